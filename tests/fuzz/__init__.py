"""Fuzzing of everything that parses: `python -m tests.fuzz TARGET --runs N`, see docs/fuzzing.md."""
