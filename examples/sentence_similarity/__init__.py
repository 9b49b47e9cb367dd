"""Sentence embeddings by MiniLM-L6, computed between two parties."""
