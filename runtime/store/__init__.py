"""Stores of one-time correlations."""
