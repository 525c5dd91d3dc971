"""The pure rules of contracts, and what is due, without HTTP."""

from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal

import pytest

from tallybook.domains import contracts
from tallybook.domains.contracts import Contract
from tallybook.domains.contracts.model import (
    MultiplierPrioritization,
    StatementDay,
    anchor_of,
    check_term,
    payment_terms_of,
)
from tallybook.rating.statements import StatementFrequency, StatementSchedule
from tallybook.values.errors import Invalid, NotFound
from tallybook.values.period import Period
from tests.support import NOW, Server


def day(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def contract(start: str = "2026-01-10", end: str | None = "2026-03-05") -> Contract:
    return Contract(
        id="c",
        customer_id="a",
        name=None,
        uniqueness_key=None,
        starting_at=day(start),
        ending_before=day(end) if end else None,
        rate_card_id=None,
        net_payment_terms_days=None,
        schedule=StatementSchedule(frequency=StatementFrequency.MONTHLY, anchor=day("2026-01-01")),
        total_contract_value=None,
        multiplier_override_prioritization=MultiplierPrioritization.LOWEST_MULTIPLIER,
        scheduled_charges_on_usage_invoices=None,
        netsuite_sales_order_id=None,
        salesforce_opportunity_id=None,
        billing_provider_configuration_id=None,
        revenue_system_configuration_id=None,
        created_at=NOW,
        created_by="test",
        archived_at=None,
        billed_until=None,
    )


@pytest.mark.parametrize(
    ("instant", "is_covered"),
    [
        ("2026-01-09T23:59:59", False),
        ("2026-01-10", True),
        ("2026-03-04T23:59:59", True),
        ("2026-03-05", False),
    ],
)
def test_a_term_begins_with_its_start_and_stops_before_its_end(instant: str, is_covered: bool) -> None:
    assert contract().covers(day(instant)) is is_covered
    assert contract(end=None).covers(day(instant)) is (instant >= "2026-01-10")


def test_next_statement_follows_what_is_billed() -> None:
    made = contract()
    assert made.next_statement() == Period(day("2026-01-10"), day("2026-02-01"))
    made = replace(made, billed_until=day("2026-02-01"))
    assert made.next_statement() == Period(day("2026-02-01"), day("2026-03-01"))
    made = replace(made, billed_until=day("2026-03-01"))
    assert made.next_statement() == Period(day("2026-03-01"), day("2026-03-05"))
    assert replace(made, billed_until=day("2026-03-05")).next_statement() is None
    assert replace(made, archived_at=NOW).next_statement() is None


@pytest.mark.parametrize(
    ("start", "end", "named"),
    [
        ("2026-01-01T00:30", None, "starting_at"),
        ("2026-01-01T00:00:01", None, "starting_at"),
        ("1969-12-31T23:00", None, "starting_at"),
        ("2026-01-01", "2026-01-01T01:00:00.000001", "ending_before"),
        ("2026-01-01", "2026-01-01", "ending_before"),
        ("2026-01-01", "2025-12-31", "ending_before"),
    ],
)
def test_term_is_checked(start: str, end: str | None, named: str) -> None:
    with pytest.raises(Invalid, match=f"^{named}: "):
        check_term(day(start), day(end) if end else None)


def test_least_and_greatest_terms_are_taken() -> None:
    check_term(day("1970-01-01"), day("1970-01-01T01:00"))
    check_term(day("9999-12-31T22:00"), day("9999-12-31T23:00"))


def test_anchor_needs_a_date_only_for_a_custom_day() -> None:
    start, date = day("2026-01-20T07:00"), day("2025-06-30T05:00")
    assert anchor_of(StatementDay.FIRST_OF_MONTH, start, None) == day("2026-01-01")
    assert anchor_of(StatementDay.CONTRACT_START, start, None) == start
    assert anchor_of(StatementDay.CUSTOM_DATE, start, date) == date
    for chosen, given in (
        (StatementDay.CUSTOM_DATE, None),
        (StatementDay.FIRST_OF_MONTH, date),
        (StatementDay.CONTRACT_START, date),
        (StatementDay.CUSTOM_DATE, day("2025-06-30T05:01")),
    ):
        with pytest.raises(Invalid, match=r"^usage_statement_schedule\.billing_anchor_date: "):
            anchor_of(chosen, start, given)


@pytest.mark.parametrize("given", ["-1", "0.5", "36501", "1E+60"])
def test_payment_terms_are_whole_days(given: str) -> None:
    with pytest.raises(Invalid, match=r"^net_payment_terms_days: "):
        payment_terms_of(Decimal(given))


def test_payment_terms_may_be_written_with_a_point() -> None:
    assert payment_terms_of(Decimal("30.0")) == 30
    assert payment_terms_of(Decimal(0)) == 0
    assert payment_terms_of(None) is None


# ---- what is due ----


def test_due_contracts_come_in_the_order_in_which_their_periods_end(server: Server) -> None:
    client = server.client
    customer = client.v1.customers.create(name="Acme").data.id
    made = {
        name: client.v1.contracts.create(customer_id=customer, **terms).data.id
        for name, terms in {
            "later start": {"starting_at": day("2026-01-05")},
            "earlier start": {"starting_at": day("2026-01-02")},
            "short": {"starting_at": day("2026-01-01"), "ending_before": day("2026-01-15")},
            "next month": {"starting_at": day("2026-02-10")},
            "no statement": {
                "starting_at": day("2026-01-01"),
                "ending_before": day("2026-02-01"),
                "usage_statement_schedule": {
                    "frequency": "MONTHLY",
                    "invoice_generation_starting_at": day("2026-02-01"),
                },
            },
        }.items()
    }
    names = {contract_id: name for name, contract_id in made.items()}
    with server.tallybook.environments["sandbox"].write("test") as tx:

        def due(text: str, count: int = 10) -> list[str]:
            return [names[item.id] for item in contracts.due_contracts(tx, day(text), count)]

        assert due("2026-01-14T23:59:59") == []
        assert due("2026-01-15") == ["short"]
        assert due("2026-02-01") == ["short", "earlier start", "later start"]
        assert due("2026-02-01", count=2) == ["short", "earlier start"]

        contracts.mark_billed(tx, made["short"], day("2026-01-15"))
        contracts.mark_billed(tx, made["earlier start"], day("2026-02-01"))
        assert due("2026-02-01") == ["later start"]
        assert due("2026-03-01") == ["later start", "earlier start", "next month"]
        billed = contracts.get_contract(tx, made["earlier start"])
        assert billed.billed_until == day("2026-02-01")
        assert billed.next_statement() == Period(day("2026-02-01"), day("2026-03-01"))

        starts = [item.starting_at for item in contracts.contracts_of(tx, customer)]
        assert starts == sorted(starts)
        assert len(contracts.archive_contracts_of(tx, customer)) == 5
        assert contracts.archive_contracts_of(tx, customer) == []
        assert due("2030-01-01") == []
        assert contracts.contracts_of(tx, customer) == []
        assert len(contracts.contracts_of(tx, customer, include_archived=True)) == 5


def test_unknown_contract_is_not_found_under_the_name_asked_for(server: Server) -> None:
    with server.tallybook.environments["sandbox"].write("test") as tx:
        with pytest.raises(NotFound, match=r"^from_contract_id: "):
            contracts.get_contract(tx, "nothing", "from_contract_id")
        with pytest.raises(NotFound, match=r"^contract_id: "):
            contracts.mark_billed(tx, "nothing", NOW)
