"""Recipes: settings, stages and error messages."""
