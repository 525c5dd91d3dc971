"""What can go wrong, in the terms of the business. `kit/http/errors.py` maps each kind to a status.

TallybookError
  Invalid        the caller sent something that can never work        400
  Unauthorized   no token, or an unknown one                          401
  Forbidden      the token may not do this                            403
  NotFound       nothing with this id in this environment             404
  Conflict       it collides with what is stored                      409
  TooLarge       the body is over the limit                           413
  Unsupported    the body is not JSON                                 415
  TooMany        slow down                                            429
  NotBuilt       documented, recognised, not available here yet       501
  Unavailable    the store cannot take it now; nothing was stored     503
"""


class TallybookError(Exception):
    """Base of every error that is meant for the caller. `message` names the field and the remedy."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


class Invalid(TallybookError):
    """The request can never succeed as sent."""


class Unauthorized(TallybookError):
    """The bearer token is missing or unknown."""


class Forbidden(TallybookError):
    """The bearer token is known but may not do this."""


class NotFound(TallybookError):
    """No such object in the caller's environment."""


class Conflict(TallybookError):
    """The request collides with what is stored; repeating it unchanged will not help."""


class TooLarge(TallybookError):
    """The request body exceeds the size limit."""


class Unsupported(TallybookError):
    """The request body is in a format we do not read."""


class TooMany(TallybookError):
    """A rate limit was reached; `retry_after_s` says when to come back."""

    def __init__(self, message: str, retry_after_s: int = 1, limit_type: str = "client") -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s
        self.limit_type = limit_type


class NotBuilt(TallybookError):
    """A documented field or operation that this version recognises and does not offer yet."""


class Unavailable(TallybookError):
    """A store could not take the write; nothing was stored and the caller may try again."""
