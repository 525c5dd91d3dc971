"""Use cases of contracts."""

from tallybook.domains.contracts.service.create import (
    ConfigurationChoice,
    ContractDraft,
    ScheduleDraft,
    create_contract,
)
from tallybook.domains.contracts.service.progress import (
    archive_contracts_of,
    due_contracts,
    earliest_open,
    mark_billed,
)
from tallybook.domains.contracts.service.show import (
    ContractDetail,
    ContractFilter,
    contracts_of,
    detail_of,
    details_of,
    get_contract,
    get_contract_of,
    list_contracts,
    rates_of,
)

__all__ = [
    "ConfigurationChoice",
    "ContractDetail",
    "ContractDraft",
    "ContractFilter",
    "ScheduleDraft",
    "archive_contracts_of",
    "contracts_of",
    "create_contract",
    "detail_of",
    "details_of",
    "due_contracts",
    "earliest_open",
    "get_contract",
    "get_contract_of",
    "list_contracts",
    "mark_billed",
    "rates_of",
]
