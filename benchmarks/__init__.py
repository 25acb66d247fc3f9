"""Programs that measure; tests use what they make files with."""
