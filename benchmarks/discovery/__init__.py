"""The cost of finding plugins."""
