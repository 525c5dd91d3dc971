"""HTTP of integrations."""
