"""Products: what can be sold, in versions over time."""
