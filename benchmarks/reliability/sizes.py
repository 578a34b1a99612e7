"""Numbers of inputs and kills: of the benchmark, of `make test` and of `make test-all`."""

INPUTS, KILLS = 87, 20  # of the benchmark: inputs of each kind, and kills
QUICK_INPUTS, QUICK_KILLS = 50, 1  # in all
SLOW_INPUTS, SLOW_KILLS = 1000, 20  # in all
