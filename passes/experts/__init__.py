"""Mixtures of experts: how each is computed, and its rewriting into the operations that compute it so."""
