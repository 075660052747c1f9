"""Who does row work over the pieces of a batch."""
