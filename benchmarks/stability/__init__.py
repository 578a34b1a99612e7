"""The spread of a recipe's results over seeds, precisions and numbers of threads."""
