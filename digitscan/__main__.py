"""Run as ``python -m digitscan``."""

from digitscan.cli.start import main

main()
