"""HTTP of contracts."""
