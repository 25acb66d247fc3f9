"""The line of magnetic characters (E-13B) at a cheque's foot: its standard, where it lies, what it says."""
