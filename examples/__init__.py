"""Runnable end-to-end examples.

Run them as modules from the repository root, e.g. `python -m examples.digits.evaluate`.
"""
