"""What a recipe can name, and the registry that finds it."""
