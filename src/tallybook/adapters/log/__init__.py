"""The event log: append a batch durably, read from a position."""
