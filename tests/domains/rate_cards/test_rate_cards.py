"""Rate cards and their aliases through the official client, strict about every answer."""

from datetime import UTC, datetime
from typing import Any

import metronome
import pytest
from metronome import Metronome

from tallybook.domains import rate_cards
from tallybook.values.errors import Invalid, NotFound
from tallybook.values.money import FIAT_TYPES, USD_CENTS_ID
from tests.support import NOW, PRODUCTION_TOKEN, Server

PATH = "/v1/contract-pricing/rate-cards"
EUR = next(fiat.id for fiat in FIAT_TYPES.values() if fiat.name == "EUR")


def month(number: int) -> datetime:
    return datetime(2026, number, 1, tzinfo=UTC)


def read(server: Server, card: str) -> dict[str, Any]:
    answer = server.post(f"{PATH}/get", {"id": card})
    assert answer.status_code == 200, answer.text
    return answer.json()["data"]


def make(server: Server, *aliases: dict[str, Any], name: str = "Card") -> str:
    answer = server.post(f"{PATH}/create", {"name": name, "aliases": list(aliases)})
    assert answer.status_code == 200, answer.text
    return answer.json()["data"]["id"]


def holder(server: Server, alias: str, at: datetime) -> str | None:
    """The card that the alias stands for, as contracts will resolve it."""
    with server.tallybook.environments["sandbox"].read("test") as tx:
        try:
            return rate_cards.resolve_alias(tx, alias, at).id
        except NotFound:
            return None


def test_create_answers_what_get_and_list_answer(client: Metronome) -> None:
    client.v1.custom_fields.add_key(entity="rate_card", key="region", enforce_uniqueness=False)
    cards = client.v1.contracts.rate_cards
    created = cards.create(
        name="List prices",
        description="For all",
        fiat_credit_type_id=EUR,
        credit_type_conversions=[],
        aliases=[
            {"name": "paygo"},
            {"name": "spring", "starting_at": month(3), "ending_before": month(6)},
        ],
        custom_fields={"region": "eu"},
    ).data
    card = cards.retrieve(id=created.id).data
    assert (card.name, card.description, card.created_at) == ("List prices", "For all", NOW)
    assert card.created_by == "sandbox-admin"
    assert card.fiat_credit_type is not None
    assert (card.fiat_credit_type.id, card.fiat_credit_type.name) == (EUR, "EUR")
    assert card.credit_type_conversions == []
    assert card.custom_fields == {"region": "eu"}
    assert card.aliases is not None
    assert [(alias.name, alias.starting_at, alias.ending_before) for alias in card.aliases] == [
        ("paygo", None, None),
        ("spring", month(3), month(6)),
    ]
    (listed,) = cards.list(body={})
    assert listed.to_dict() == card.to_dict()


def test_a_name_is_enough_and_dollars_are_the_default(server: Server) -> None:
    card = read(server, make(server, name="Bare"))
    assert card == {
        "id": card["id"],
        "name": "Bare",
        "fiat_credit_type": {"id": USD_CENTS_ID, "name": "USD (cents)"},
        "credit_type_conversions": [],
        "aliases": [],
        "custom_fields": {},
        "created_at": "2026-01-15T12:00:00Z",
        "created_by": "sandbox-admin",
    }


def test_null_means_not_given(server: Server) -> None:
    names = ("description", "fiat_credit_type_id", "credit_type_conversions", "aliases", "custom_fields")
    answer = server.post(f"{PATH}/create", {"name": "Nulls", **dict.fromkeys(names)})
    card = answer.json()["data"]["id"]
    assert "description" not in read(server, card)
    before = read(server, card)
    changes = {"name": None, "description": None, "aliases": None}
    assert server.post(f"{PATH}/update", {"rate_card_id": card, **changes}).status_code == 200
    assert read(server, card) == before


def test_custom_fields_can_be_set_later(client: Metronome) -> None:
    client.v1.custom_fields.add_key(entity="rate_card", key="region", enforce_uniqueness=False)
    card = client.v1.contracts.rate_cards.create(name="Later").data.id
    client.v1.custom_fields.set_values(entity="rate_card", entity_id=card, custom_fields={"region": "us"})
    assert client.v1.contracts.rate_cards.retrieve(id=card).data.custom_fields == {"region": "us"}


def test_update_changes_only_what_is_given(client: Metronome) -> None:
    cards = client.v1.contracts.rate_cards
    card = cards.create(name="Old", description="d", aliases=[{"name": "a"}]).data.id
    assert cards.update(rate_card_id=card, name="New").data.id == card
    assert cards.update(rate_card_id=card, description="").data.id == card
    now = cards.retrieve(id=card).data
    assert (now.name, now.description, [alias.name for alias in now.aliases or ()]) == ("New", "", ["a"])
    cards.update(rate_card_id=card, aliases=[{"name": "b"}, {"name": "c"}])
    assert [alias.name for alias in cards.retrieve(id=card).data.aliases or ()] == ["b", "c"]
    cards.update(rate_card_id=card, aliases=[])
    assert cards.retrieve(id=card).data.aliases == []


def test_archived_cards_stay_readable_leave_the_list_and_take_no_change(server: Server) -> None:
    cards = server.client.v1.contracts.rate_cards
    kept, gone = make(server, name="Kept"), make(server, {"name": "old"}, name="Gone")
    before = read(server, gone)
    assert cards.archive(id=gone).data.id == gone
    assert cards.archive(id=gone).data.id == gone
    assert [card.id for card in cards.list(body={})] == [kept]
    for operation, body in [
        ("update", {"name": "x"}),
        ("addRates", {"rates": []}),
        ("setRateCardProductsOrder", {"product_order": []}),
        ("moveRateCardProducts", {"product_moves": []}),
    ]:
        answer = server.post(f"{PATH}/{operation}", {"rate_card_id": gone, **body})
        assert answer.status_code == 400
        assert answer.json()["message"].startswith("rate_card_id: ")
    assert read(server, gone) == before
    with pytest.raises(Invalid, match=r"rate_card_alias: .*archived"):
        holder(server, "old", NOW)
    taken = make(server, {"name": "old"})
    assert holder(server, "old", NOW) == taken


def test_an_alias_is_resolved_as_of_an_instant(server: Server) -> None:
    winter = make(server, {"name": "paygo", "ending_before": month(3).isoformat()})
    spring = make(
        server,
        {"name": "paygo", "starting_at": month(3).isoformat(), "ending_before": month(6).isoformat()},
    )
    assert holder(server, "paygo", datetime(1999, 1, 1, tzinfo=UTC)) == winter
    assert holder(server, "paygo", datetime(2026, 2, 28, 23, 59, 59, 999999, tzinfo=UTC)) == winter
    assert holder(server, "paygo", month(3)) == spring
    assert holder(server, "paygo", month(6)) is None
    assert holder(server, "Paygo", month(3)) is None
    with server.tallybook.environments["sandbox"].read("test") as tx:
        for field_name in ("rate_card_alias", "alias"):
            with pytest.raises(NotFound, match=f"^{field_name}: 'nobody' "):
                rate_cards.resolve_alias(tx, "nobody", NOW, field_name)


def test_assigning_an_alias_cuts_the_previous_holder_at_the_new_start(server: Server) -> None:
    first = make(server, {"name": "paygo"}, {"name": "other"})
    second = make(server, {"name": "paygo", "starting_at": month(4).isoformat()})
    assert read(server, first)["aliases"] == [
        {"name": "paygo", "ending_before": "2026-04-01T00:00:00Z"},
        {"name": "other"},
    ]
    assert (holder(server, "paygo", month(3)), holder(server, "paygo", month(4))) == (first, second)
    assert holder(server, "other", month(4)) == first


def test_the_last_assignment_wins_whichever_call_makes_it(server: Server) -> None:
    cards = server.client.v1.contracts.rate_cards
    first, second = make(server, {"name": "paygo"}), make(server, {"name": "paygo"})
    assert read(server, first)["aliases"] == []
    assert holder(server, "paygo", NOW) == second
    cards.update(rate_card_id=first, aliases=[{"name": "paygo"}])
    assert read(server, second)["aliases"] == []
    assert holder(server, "paygo", NOW) == first


def test_an_alias_that_runs_out_does_not_come_back(server: Server) -> None:
    make(server, {"name": "sale"})
    make(server, {"name": "sale", "starting_at": month(3).isoformat(), "ending_before": month(4).isoformat()})
    assert holder(server, "sale", month(4)) is None


def test_giving_a_card_its_own_aliases_again_changes_nothing(server: Server) -> None:
    first = make(server, {"name": "paygo"}, {"name": "other"})
    make(server, {"name": "paygo", "starting_at": month(4).isoformat()})
    before = read(server, first)
    answer = server.post(f"{PATH}/update", {"rate_card_id": first, "aliases": before["aliases"]})
    assert answer.status_code == 200
    assert read(server, first) == before
    assert holder(server, "paygo", month(5)) not in (first, None)


def test_a_refused_assignment_takes_nothing_away(server: Server) -> None:
    first, second = make(server, {"name": "paygo"}), make(server)
    wrong = {"name": "x", "starting_at": month(4).isoformat(), "ending_before": month(3).isoformat()}
    body = {"rate_card_id": second, "name": "New", "aliases": [{"name": "paygo"}, wrong]}
    answer = server.post(f"{PATH}/update", body)
    assert answer.status_code == 400
    assert answer.json()["message"].startswith("aliases[1].ending_before: ")
    assert read(server, second)["name"] == "Card"
    assert holder(server, "paygo", NOW) == first


def test_pages_are_complete_and_stable_while_cards_are_added(client: Metronome) -> None:
    cards = client.v1.contracts.rate_cards
    before = {cards.create(name=f"c{number}").data.id for number in range(7)}
    seen: list[str] = []
    page = cards.list(limit=2, body={})
    while True:
        seen += [card.id for card in page.data]
        if page.next_page is None:
            break
        if len(seen) <= 4:
            cards.create(name="meanwhile")
        page = cards.list(limit=2, next_page=page.next_page, body={})
    assert len(seen) == len(set(seen))
    assert before <= set(seen)


def test_list_is_oldest_first_and_needs_no_body(server: Server) -> None:
    cards = [make(server, name=f"c{number}") for number in range(3)]
    server.move_clock(datetime(2026, 1, 16, tzinfo=UTC))
    last = make(server, name="last")
    answer = server.request("POST", f"{PATH}/list")
    assert [card["id"] for card in answer.json()["data"]] == [*sorted(cards), last]
    assert answer.json()["next_page"] is None


def test_other_environments_cards_do_not_exist(server: Server) -> None:
    production = server.client_of(PRODUCTION_TOKEN).v1.contracts.rate_cards
    theirs = production.create(name="Theirs", aliases=[{"name": "shared"}]).data.id
    ours = make(server, {"name": "shared"})
    with pytest.raises(metronome.NotFoundError):
        server.client.v1.contracts.rate_cards.retrieve(id=theirs)
    assert holder(server, "shared", NOW) == ours
    assert [alias.name for alias in production.retrieve(id=theirs).data.aliases or ()] == ["shared"]
