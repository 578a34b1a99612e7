"""Entry point of `python -m wsseg`."""

from wsseg.cli import main

main()
