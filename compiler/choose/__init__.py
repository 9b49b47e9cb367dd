"""Which approximation computes which operation: cost and error of every candidate, and the cheapest plan."""
