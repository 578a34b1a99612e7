"""How much is tried: by the benchmark, by `make test` and by `make test-all`."""

INPUTS, KILLS = 125, 20  # the benchmark's: inputs a kind, kills
QUICK_INPUTS, QUICK_KILLS = 50, 3  # in all
SLOW_INPUTS, SLOW_KILLS = 1000, 20  # in all
