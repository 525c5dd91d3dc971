"""The one table from kinds of error to HTTP, and the one shape of an error body."""

from tallybook.values import errors

STATUS: dict[type[errors.TallybookError], int] = {
    errors.Invalid: 400,
    errors.Unauthorized: 401,
    errors.Forbidden: 403,
    errors.NotFound: 404,
    errors.Conflict: 409,
    errors.TooLarge: 413,
    errors.Unsupported: 415,
    errors.TooMany: 429,
    errors.NotBuilt: 501,
    errors.Unavailable: 503,
}


def status_of(error: errors.TallybookError) -> int:
    """The HTTP status of an error, by its nearest kind."""
    return next(STATUS[kind] for kind in type(error).__mro__ if kind in STATUS)


def headers_of(error: errors.TallybookError) -> dict[str, str]:
    """Headers that tell a client whether and when to repeat the request (design decision 33)."""
    if isinstance(error, errors.TooMany):
        return {
            "retry-after": str(error.retry_after_s),
            "x-metronome-rate-limit-type": error.limit_type,
        }
    if isinstance(error, errors.Conflict | errors.NotBuilt):
        return {"x-should-retry": "false"}
    if isinstance(error, errors.Unavailable):
        return {"retry-after": "1"}
    if isinstance(error, errors.Unauthorized):
        return {"www-authenticate": "Bearer"}
    return {}
