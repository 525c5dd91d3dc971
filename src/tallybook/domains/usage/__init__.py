"""Usage: events in, metered quantities out."""
