"""Plumbing that knows no billing: HTTP, transactions, secrets, environments."""
