"""The outside world behind our ports: databases, the event log, clocks, providers."""
