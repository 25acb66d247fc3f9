"""Posteriors become text: the best paths through a lattice and along a line, under what may stand there."""
