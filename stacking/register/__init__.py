"""Registration: how every frame of a stack lies on the reference frame, and how bright it is."""

from stacking.register.features import Features
from stacking.register.registrar import Registrar, Solution

__all__ = ["Features", "Registrar", "Solution"]
