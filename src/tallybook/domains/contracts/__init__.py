"""Contracts: on which terms, and in which periods, customers are billed."""

from tallybook.domains.contracts.model import Contract
from tallybook.domains.contracts.service import (
    archive_contracts_of,
    contracts_of,
    due_contracts,
    earliest_open,
    get_contract,
    mark_billed,
)

__all__ = [
    "Contract",
    "archive_contracts_of",
    "contracts_of",
    "due_contracts",
    "earliest_open",
    "get_contract",
    "mark_billed",
]
