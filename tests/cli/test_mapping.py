"""Records become events: columns, timestamps, properties."""

from decimal import Decimal

import pytest

from tallybook.cli.ingest.mapping import Mapping, Unusable, event_maker, timestamp_of
from tallybook.values.errors import Invalid


@pytest.mark.parametrize(
    ("written", "sent"),
    [
        ("2023-11-16 18:17:03.9799600", "2023-11-16T18:17:03.979960Z"),
        ("2023-11-16 18:59:59.9999999", "2023-11-16T18:59:59.999999Z"),
        ("2023-11-16T18:17:03Z", "2023-11-16T18:17:03Z"),
        ("2023-11-16t18:17:03,5z", "2023-11-16T18:17:03.5Z"),
        ("2023-11-16 18:17", "2023-11-16T18:17:00Z"),
        ("2023-11-16 18:17:03 UTC", "2023-11-16T18:17:03Z"),
        ("2023-11-16 18:17:03+0200", "2023-11-16T18:17:03+02:00"),
        (" 2023-11-16 18:17:03-05:30 ", "2023-11-16T18:17:03-05:30"),
    ],
)
def test_times_become_rfc_3339_and_are_cut_never_rounded(written: str, sent: str) -> None:
    assert timestamp_of(written) == sent


@pytest.mark.parametrize(
    "written", ["", "yesterday", "2023-11-16", "2023-02-30 10:00:00", "1700158623", "16/11/2023 10:00"]
)
def test_other_times_are_refused(written: str) -> None:
    with pytest.raises(Unusable, match="timestamp"):
        timestamp_of(written)


def test_a_time_without_offset_is_refused_when_utc_is_not_assumed() -> None:
    with pytest.raises(Unusable, match="--assume-utc"):
        timestamp_of("2023-11-16 18:17:03", assumes_utc=False)
    assert timestamp_of("2023-11-16 18:17:03+01:00", assumes_utc=False) == "2023-11-16T18:17:03+01:00"


def test_named_columns_of_a_csv_file() -> None:
    mapping = Mapping(
        customer_id="acme",
        event_type_column="Kind",
        timestamp_column="At",
        properties={"in": "In", "out": "Out"},
    )
    make = event_maker(mapping, ["At", "Kind", "In", "Out", "Note"])
    made = make({"At": "2026-01-01 00:00:00", "Kind": "chat", "In": "0.10", "Out": "", "Note": "x"})
    # Numbers stay the text they were; an empty cell is no property; other columns are left out.
    assert made == {
        "customer_id": "acme",
        "event_type": "chat",
        "timestamp": "2026-01-01T00:00:00Z",
        "properties": {"in": "0.10"},
    }


def test_the_api_s_own_names_need_no_options() -> None:
    columns = ["transaction_id", "customer_id", "event_type", "timestamp", "tokens"]
    make = event_maker(Mapping(), columns)
    row = ["t-1", "acme", "chat", "2026-01-01T00:00:00Z", "5"]
    made = make(dict(zip(columns, row, strict=True)))
    assert made["transaction_id"] == "t-1"
    assert made["properties"] == {"tokens": "5"}


def test_rest_beside_named_properties() -> None:
    mapping = Mapping(customer_id="a", event_type="e", properties={"n": "N"}, takes_rest=True)
    made = event_maker(mapping, ["timestamp", "N", "model"])(
        {"timestamp": "2026-01-01T00:00:00Z", "N": "1", "model": "m"}
    )
    assert made["properties"] == {"n": "1", "model": "m"}


@pytest.mark.parametrize(
    ("mapping", "named"),
    [
        (Mapping(customer_id="a", event_type="e", timestamp_column="at"), "--timestamp-column: .*'at'"),
        (Mapping(event_type="e"), "--customer-column .*'customer_id'"),
        (Mapping(customer_id="a"), "--event-type-column .*'event_type'"),
        (Mapping(customer_id="a", event_type="e", transaction_id_column="id"), "--transaction-id-column"),
        (Mapping(customer_id="a", event_type="e", properties={"n": "N"}), "--property n=N"),
    ],
)
def test_a_column_that_does_not_exist_is_wrong_usage(mapping: Mapping, named: str) -> None:
    with pytest.raises(Invalid, match=named):
        event_maker(mapping, ["timestamp", "tokens"])


def test_json_lines_in_the_documented_shape() -> None:
    event = {
        "transaction_id": "t-1",
        "customer_id": "acme",
        "event_type": "chat",
        "timestamp": "2026-01-01T00:00:00.25+01:00",
        "properties": {"n": Decimal("0.10"), "nested": {"a": [1]}},
    }
    assert event_maker(Mapping(), None)(dict(event)) == event


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"customer_id": ""}, "customer_id: empty"),
        ({"customer_id": None}, "customer_id: missing"),
        ({"event_type": ["x"]}, "event_type: not a text"),
        ({"timestamp": True}, "timestamp: not a text"),
        ({"transaction_id": "x" * 129}, "transaction_id: longer than 128"),
        ({"properties": "x"}, "properties: not an object"),
        ({"tokens": 5}, "tokens: unknown field"),
    ],
)
def test_an_unusable_line_says_why(change: dict[str, object], reason: str) -> None:
    values = {"customer_id": "a", "event_type": "e", "timestamp": "2026-01-01T00:00:00Z"} | change
    with pytest.raises(Unusable, match=reason):
        event_maker(Mapping(), None)(values)


def test_columns_out_of_json_lines() -> None:
    mapping = Mapping(customer_column="org", event_type="chat", timestamp_column="at", takes_rest=True)
    made = event_maker(mapping, None)(
        {"org": 42, "at": "2026-01-01 00:00:00", "n": Decimal("1.50"), "x": None}
    )
    assert made["customer_id"] == "42"
    assert made["properties"] == {"n": Decimal("1.50")}
