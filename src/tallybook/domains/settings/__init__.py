"""What an environment is told once and everyone reads: credit types, services, the clock."""

from tallybook.domains.settings.service import credit_types, get_credit_type

__all__ = ["credit_types", "get_credit_type"]
