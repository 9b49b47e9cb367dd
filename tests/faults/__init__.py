"""Faults on real processes and sockets: `python -m tests.faults`, see docs/faults.md."""
