"""Finishing: colour correction of a fused picture."""

from __future__ import annotations

from stacking.finish.apply import apply_recipe
from stacking.finish.options import recipe_from_options
from stacking.finish.picture import finish_picture
from stacking.finish.recipe import Recipe, read_recipe, shipped_recipe, shipped_recipes

__all__ = [
    "Recipe",
    "apply_recipe",
    "finish_picture",
    "read_recipe",
    "recipe_from_options",
    "shipped_recipe",
    "shipped_recipes",
]
