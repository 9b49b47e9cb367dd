"""Correlated randomness: what a protocol declares (slots), what a dealer makes, what a party draws."""
