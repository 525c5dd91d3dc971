"""Use cases of integrations."""

from collections.abc import Sequence

from tallybook.domains.integrations import store
from tallybook.domains.integrations.model import ConfigurationDraft, check_configuration
from tallybook.kit.db.tx import Tx
from tallybook.values.errors import Invalid, NotBuilt


def create_billing_configurations(tx: Tx, customer_id: str, drafts: Sequence[ConfigurationDraft]) -> None:
    """Store billing-provider configurations given with a new customer. Raises Invalid, NotBuilt."""
    _create(tx, customer_id, "billing", "customer_billing_provider_configurations", drafts)


def create_revenue_configurations(tx: Tx, customer_id: str, drafts: Sequence[ConfigurationDraft]) -> None:
    """Store revenue-system configurations given with a new customer. Raises Invalid, NotBuilt."""
    _create(tx, customer_id, "revenue", "customer_revenue_system_configurations", drafts)


def _create(tx: Tx, customer_id: str, kind: str, path: str, drafts: Sequence[ConfigurationDraft]) -> None:
    for index, draft in enumerate(drafts):
        where = f"{path}[{index}]"
        if draft.delivery_method_id is not None:
            raise NotBuilt(f"{where}.delivery_method_id: not available in this version; send delivery_method")
        if draft.delivery_method is None:
            raise Invalid(f"{where}.delivery_method: required; send direct_to_billing_provider")
        check_configuration(draft.provider.value, draft.configuration, f"{where}.configuration")
        values = {
            "provider": draft.provider.value,
            "configuration": draft.configuration,
            "delivery_method": draft.delivery_method.value,
            "tax_provider": draft.tax_provider.value if draft.tax_provider else None,
        }
        store.insert_configuration(tx, customer_id, kind, values)
