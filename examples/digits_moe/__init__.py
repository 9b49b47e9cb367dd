"""Vision Transformers with mixtures of experts, trained here on digits and run between two parties."""
