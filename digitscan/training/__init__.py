"""Networks are made here."""
