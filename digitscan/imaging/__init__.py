"""Pages become ink: background, binarization, geometry, rules."""
