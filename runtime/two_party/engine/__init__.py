"""Runs the operations' generators in step: their requests are answered together, with few messages."""
