"""HTTP of products."""
