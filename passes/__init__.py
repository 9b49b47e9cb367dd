"""Rewrites of the intermediate representation, one file a pass."""
