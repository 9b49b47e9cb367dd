"""Dealing: makes the correlations of both parties."""
