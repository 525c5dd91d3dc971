"""Revisions of the catalogue database, oldest first; none is ever edited."""
