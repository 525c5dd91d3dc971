"""Our own OpenAPI document keeps its word: generated requests get only answers that it describes."""

import json
from typing import Any

import pytest

from tallybook.kit.http import openapi
from tallybook.operations import all_operations
from tests.catalogue import Catalogue
from tests.compat.conformance import exercise, operations_in
from tests.support import NOW, Server

DOCUMENT: dict[str, Any] = json.loads(openapi.document(all_operations()))
OPERATIONS = operations_in(DOCUMENT)
EXAMPLES = 12


@pytest.fixture(scope="module")
def known(shared_server: Server) -> dict[str, str]:
    """The ids of a small catalogue, by the names of the fields that take them."""
    return make_known(shared_server)


def make_known(server: Server) -> dict[str, str]:
    catalogue = Catalogue(server.client)
    customer = catalogue.customer("Acme", "acme")
    metric = catalogue.metric()
    product = catalogue.product(metric)
    card = catalogue.card()
    catalogue.rate(card, product, 2)
    contract = catalogue.contract(customer, card)
    catalogue.use("acme", 1000, NOW, "request-1")
    (invoice,) = server.client.v1.customers.invoices.list(customer_id=customer)
    return {
        "customer_id": customer,
        "billable_metric_id": metric,
        "product_id": product,
        "rate_card_id": card,
        "contract_id": contract,
        "invoice_id": invoice.id,
        "getProduct-v1.id": product,
        "getRateCard-v1.id": card,
    }


@pytest.mark.parametrize("name", OPERATIONS)
def test_answers_are_as_the_document_says(shared_server: Server, known: dict[str, str], name: str) -> None:
    if name == "moveClock":
        # A clock moved by chance would close a thousand years of periods; the document's other promises hold.
        return
    exercise(OPERATIONS[name], shared_server, known, EXAMPLES)
