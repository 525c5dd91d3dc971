"""Counts of what was served, for Prometheus. Labels are operation names, never ids or tokens."""

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest

registry = CollectorRegistry()

_requests = Counter("tallybook_requests", "HTTP requests.", ["operation", "status"], registry=registry)
_seconds = Histogram("tallybook_request_seconds", "Time to answer.", ["operation"], registry=registry)


def observe(operation: str, status: int, seconds: float) -> None:
    """Count one answered request."""
    _requests.labels(operation, str(status)).inc()
    _seconds.labels(operation).observe(seconds)


def render() -> bytes:
    """Everything counted so far, in the Prometheus text format."""
    return generate_latest(registry)
