"""Correlations without a third party: made between the two parties by oblivious transfer and RLWE encryption."""
