"""Custom fields: declared keys and their values, for every kind of object."""

from tallybook.domains.custom_fields.service import attach, read, register

__all__ = ["attach", "read", "register"]
