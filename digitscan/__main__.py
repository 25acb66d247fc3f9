"""Run as ``python -m digitscan``."""

from digitscan.cli.app import main

main()
