"""The line of magnetic characters at a cheque's foot: found, read, and parted into groups."""
