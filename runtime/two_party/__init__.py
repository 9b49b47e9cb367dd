"""Correlations without a third party: made between the two by oblivious transfer and RLWE encryption."""
