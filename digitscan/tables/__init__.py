"""What the readings of a table say of each other: columns, totals, cells that were overlooked."""
