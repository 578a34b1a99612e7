"""How fast wsseg is, next to the machine's limits and to what a user would otherwise run."""
