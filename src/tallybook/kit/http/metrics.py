"""Counts of what was served, for Prometheus. Labels are operation names, never ids or tokens."""

from functools import cache

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest

registry = CollectorRegistry()

_requests = Counter("tallybook_requests", "HTTP requests.", ["operation", "status"], registry=registry)
_seconds = Histogram("tallybook_request_seconds", "Time to answer.", ["operation"], registry=registry)


def observe(operation: str, status: int, seconds: float) -> None:
    """Count one answered request."""
    requests, times = _children(operation, status)
    requests.inc()
    times.observe(seconds)


@cache
def _children(operation: str, status: int) -> tuple[Counter, Histogram]:
    """The two that one operation and status count on."""
    return _requests.labels(operation, str(status)), _seconds.labels(operation)


def render() -> bytes:
    """Everything counted so far, in the Prometheus text format."""
    return generate_latest(registry)
