"""`Idempotency-Key` where no single transaction carries the work: ingest, and moving the clock."""

from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from tests.support import SANDBOX_TOKEN, Server

CLOCK = "/tallybook/v1/clock"


def move(server: Server, now: str, key: str | None = None) -> httpx.Response:
    headers = {} if key is None else {"idempotency-key": key}
    return server.post(CLOCK, {"now": now}, headers=headers)


def test_a_repeated_move_of_the_clock_gets_the_first_answer(server: Server) -> None:
    first = move(server, "2026-01-15T13:00:00Z", "one")
    assert move(server, "2026-01-15T14:00:00Z").status_code == 200
    again = move(server, "2026-01-15T13:00:00Z", "one")
    assert (again.status_code, again.json()) == (200, first.json())
    assert server.get(CLOCK).json()["data"]["now"] == "2026-01-15T14:00:00Z"


def test_a_repeated_refusal_to_move_the_clock_stays_refused(server: Server) -> None:
    first = move(server, "2026-01-15T11:00:00Z", "back")
    assert first.status_code == 409
    assert move(server, "2026-01-15T11:00:00Z", "back").json() == first.json()


def test_a_key_moves_the_clock_to_one_instant_only(server: Server) -> None:
    assert move(server, "2026-01-15T13:00:00Z", "one").status_code == 200
    other = move(server, "2026-01-15T15:00:00Z", "one")
    assert other.status_code == 409
    assert other.json()["message"].startswith("Idempotency-Key: ")
    assert server.get(CLOCK).json()["data"]["now"] == "2026-01-15T13:00:00Z"


@pytest.mark.parametrize("key", ["", "x" * 256])
def test_a_bad_key_moves_nothing(server: Server, key: str) -> None:
    assert move(server, "2026-01-15T13:00:00Z", key).status_code == 400
    assert server.get(CLOCK).json()["data"]["now"] == "2026-01-15T12:00:00Z"


def test_of_different_ingests_under_one_key_at_once_one_is_taken(server: Server) -> None:
    def send(number: int) -> int:
        event = {
            "transaction_id": f"t{number}",
            "customer_id": "c",
            "event_type": "e",
            "timestamp": "2026-01-15T10:00:00Z",
        }
        headers = {"authorization": f"Bearer {SANDBOX_TOKEN}", "idempotency-key": "same"}
        return httpx.post(server.url + "/v1/ingest", json=[event], headers=headers).status_code

    with ThreadPoolExecutor(16) as senders:
        statuses = list(senders.map(send, range(16)))
    assert sorted(statuses) == [200] + 15 * [409]
    assert server.get("/tallybook/v1/usage/status").json()["data"]["events_accepted"] == 1
