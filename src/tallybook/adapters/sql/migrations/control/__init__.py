"""Revisions of the control database, oldest first; none is ever edited."""
