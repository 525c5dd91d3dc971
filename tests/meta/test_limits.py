"""The table of limits tells the numbers that the code goes by."""

import re
from datetime import timedelta

import pytest

from tallybook.app import FREE_BYTES_MIN
from tallybook.domains.custom_fields.model import VALUE_LENGTH_MAX
from tallybook.domains.customers.model import ALIASES_MAX, NAME_LENGTH
from tallybook.domains.usage.schemas import FILTER_VALUES_MAX
from tallybook.kit.http.application import BODY_LIMIT
from tallybook.kit.http.connection import HEAD_BYTES_MAX, REQUEST_S_MAX
from tallybook.kit.http.idempotency import KEPT_FOR
from tallybook.kit.http.limits import BODIES_BYTES_MAX, SLOW_AT_ONCE
from tallybook.kit.settings import EVENTS_WAITING_MAX, SLOW_REQUESTS_WAITING_MAX
from tallybook.metering.aggregate import DEDUPLICATION
from tallybook.metering.event import EVENTS_MAX, FUTURE, NESTING_MAX, PAST, PROPERTIES_MAX
from tallybook.values.quantity import DIGITS_MAX
from tests.meta.repository import ROOT

KIB, MIB = 1024, 1024 * 1024
PAGE = (ROOT / "docs" / "operations" / "limits.md").read_text(encoding="utf-8")
ROWS = dict(re.findall(r"^\| ([^|]+?) \| ([^|]+?) \|", PAGE, re.MULTILINE))
TOLD = {
    "events in a request": f"1 to {EVENTS_MAX}",
    "age of an event": f"{PAST // timedelta(days=1)} days, inclusive",
    "an event ahead of the clock": f"{FUTURE // timedelta(hours=1)} hours, inclusive",
    "properties of an event": f"{PROPERTIES_MAX:,}",
    "lists and objects inside one property": f"{NESTING_MAX} levels",
    "digits of a number": f"{DIGITS_MAX} on either side of the point",
    "time in which a `transaction_id` counts once": (
        f"{DEDUPLICATION // timedelta(days=1)} days from when it was accepted, to the second"
    ),
    "values of `group_by`": f"{FILTER_VALUES_MAX}",
    "values in `group_filters`": f"{FILTER_VALUES_MAX} in all",
    "aliases of a customer, archived or not": f"{ALIASES_MAX:,}",
    "name of a customer": f"{NAME_LENGTH} characters",
    "value of a custom field": f"{VALUE_LENGTH_MAX} characters",
    "body of a request": f"{BODY_LIMIT // MIB} MiB",
    "head of a request": f"{HEAD_BYTES_MAX // KIB} KiB",
    "time until a request has come whole": f"{REQUEST_S_MAX} seconds",
    "`Idempotency-Key`": f"255 characters, kept for {KEPT_FOR // timedelta(hours=1)} hours",
    "events waiting for the disk, of an environment": f"{EVENTS_WAITING_MAX:,}",
    "slow questions waiting": f"{SLOW_REQUESTS_WAITING_MAX}, while {SLOW_AT_ONCE} are answered",
    "bodies of all requests under way": f"{BODIES_BYTES_MAX // MIB} MiB",
}


@pytest.mark.parametrize("what", TOLD)
def test_the_table_of_limits_tells_what_the_code_does(what: str) -> None:
    assert ROWS[what] == TOLD[what]


def test_the_room_that_readiness_wants_is_told() -> None:
    page = (ROOT / "docs" / "operations" / "watching.md").read_text(encoding="utf-8")
    assert f"{FREE_BYTES_MIN // MIB} MiB left" in page
