"""Finishing: colour correction of a fused picture."""

from __future__ import annotations

from stacking.finish.apply import apply_recipe, result_profile
from stacking.finish.options import FinishTexts, recipe_from_options
from stacking.finish.picture import finish_picture
from stacking.finish.recipe import Recipe, read_recipe, shipped_recipe, shipped_recipes

__all__ = [
    "FinishTexts",
    "Recipe",
    "apply_recipe",
    "finish_picture",
    "read_recipe",
    "recipe_from_options",
    "result_profile",
    "shipped_recipe",
    "shipped_recipes",
]
