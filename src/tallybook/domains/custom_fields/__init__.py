"""Custom fields: declared keys and their values, for every kind of object."""

from tallybook.domains.custom_fields.service import attach, read, read_one, register

__all__ = ["attach", "read", "read_one", "register"]
