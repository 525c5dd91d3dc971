"""HTTP of rate cards."""
