"""The examples of the reference give what it says."""

import re
from decimal import Decimal

import pytest

from tests.meta.repository import ROOT
from tests.sql_metrics.support import HOUR, Sent, value

PAGE = (ROOT / "docs" / "reference" / "sql-metrics.md").read_text(encoding="utf-8")
EXAMPLES = re.findall(r"^\| `(SELECT [^`]+)` \| ([\d.]+) \|$", PAGE, re.MULTILINE)
EVENTS = [
    Sent(HOUR, "call", {"n": 2, "user": "ann"}, 0),
    Sent(2 * HOUR, "call", {"n": "3.5", "user": "bob"}, 1),
    Sent(26 * HOUR, "call", {"n": 4, "user": "ann"}, 2),
]


@pytest.mark.parametrize(("sql", "expected"), EXAMPLES)
def test_example(sql: str, expected: str) -> None:
    assert value(EVENTS, sql) == Decimal(expected)


def test_there_are_examples() -> None:
    assert len(EXAMPLES) == 8
