"""A small vision Transformer for handwritten digits, trained here and run between two parties."""
