"""The catalogue's databases and their migrations."""
