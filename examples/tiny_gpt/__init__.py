"""A tiny causal language model over bytes, generating text between two parties."""
