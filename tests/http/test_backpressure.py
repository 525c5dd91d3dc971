"""Too much at once: refused at once with 429, nothing stored, no memory kept; who comes back succeeds."""

import asyncio
import json
import sqlite3
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tallybook.applier import Metering
from tallybook.kit.http.limits import Gate, RequestLimits
from tallybook.kit.rate_limit import NS_PER_S, RateLimit
from tallybook.kit.settings import Settings, from_environment
from tallybook.values.errors import Invalid, TooMany
from tests.cli.support import served
from tests.metering.over_http import (
    accepted,
    create_customer,
    create_metric,
    event,
    send,
    server_sees,
    value,
)
from tests.metering.test_metering import Standing
from tests.support import PRODUCTION_TOKEN, Server, serving


def assert_too_many(answer: httpx.Response) -> None:
    assert answer.status_code == 429, answer.text
    assert list(answer.json()) == ["message"]
    assert int(answer.headers["retry-after"]) >= 1
    assert answer.headers["x-metronome-rate-limit-type"] in {"client", "customer"}


def many(name: str, count: int) -> list[dict[str, Any]]:
    return [event(f"{name}-{number}") for number in range(count)]


# Rates


def test_events_beyond_the_rate_are_refused_and_not_stored(tmp_path: Path) -> None:
    with serving(tmp_path / "data", events_per_second=100) as server:
        assert send(server, *many("a", 100)).status_code == 200
        assert_too_many(send(server, *many("b", 100)))
        assert_too_many(send(server, *many("b", 100)))
        server_sees(server)
        assert accepted(server) == 100
        # The other environment has a rate of its own.
        production = server.post("/v1/ingest", [], token=PRODUCTION_TOKEN)
        assert production.status_code == 400


def test_the_official_client_waits_and_succeeds(tmp_path: Path) -> None:
    with serving(tmp_path / "data", events_per_second=100) as server:
        metric, customer = create_metric(server, "COUNT"), create_customer(server, "somebody")
        client = server.client.with_options(max_retries=5)
        for name in "abc":
            client.v1.usage.ingest(usage=many(name, 100))  # type: ignore[arg-type]
        assert value(server, customer, metric) == 300


def test_a_request_larger_than_the_rate_is_taken_when_nothing_was_before(tmp_path: Path) -> None:
    with serving(tmp_path / "data", events_per_second=10) as server:
        assert send(server, *many("a", 100)).status_code == 200
        refused = send(server, event(1))
        assert_too_many(refused)
        assert 8 <= int(refused.headers["retry-after"]) <= 10


def test_requests_beyond_the_rate_of_a_token_are_refused(tmp_path: Path) -> None:
    with serving(tmp_path / "data", requests_per_second=3) as server:
        answers = [server.post("/v1/customers", {"name": f"c{number}"}) for number in range(10)]
        refused = [answer for answer in answers if answer.status_code != 200]
        assert len(refused) >= 5
        for answer in refused:
            assert_too_many(answer)
        assert server.get("/v1/customers", token=PRODUCTION_TOKEN).status_code == 200
        assert server.http.get(server.url + "/healthz").status_code == 200
        client = server.client.with_options(max_retries=10)
        stored = [customer.name for customer in client.v1.customers.list()]
        assert len(stored) == 10 - len(refused)


@given(
    st.integers(1, 50),
    st.lists(st.tuples(st.integers(0, 2 * NS_PER_S), st.integers(1, 100)), min_size=1, max_size=50),
)
def test_no_more_than_the_rate_passes_in_the_long_run(rate: int, steps: list[tuple[int, int]]) -> None:
    now = [0]
    limit = RateLimit(rate, lambda: now[0])
    taken = 0
    for pause, count in steps:
        now[0] += pause
        wait = limit.wait_ns(count)
        if wait:
            with pytest.raises(TooMany) as refused:
                limit.take(count, "things")
            assert refused.value.retry_after_s == -(-wait // NS_PER_S)
        else:
            limit.take(count, "things")
            # What a full bucket held, what came since, and the overdraft of one that is too large.
            assert taken * NS_PER_S <= rate * NS_PER_S + rate * now[0]
            taken += count


@given(st.integers(1, 1_000), st.integers(1, 5_000), st.integers(1, 5_000))
def test_who_waits_as_told_gets_in(rate: int, first: int, second: int) -> None:
    now = [0]
    limit = RateLimit(rate, lambda: now[0])
    limit.take(first, "things")
    wait = limit.wait_ns(second)
    if wait:
        now[0] += wait - 1
        assert limit.wait_ns(second) == 1
        now[0] += 1
    limit.take(second, "things")


# What waits


@contextmanager
def stuck_log(server: Server) -> Iterator[None]:
    """Hold the log's file, so that nothing can be appended."""
    path = server.tallybook.settings.data / "sandbox" / "events.db"
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
    finally:
        connection.execute("ROLLBACK")
        connection.close()


def test_events_that_would_wait_beyond_the_limit_are_refused(tmp_path: Path) -> None:
    with serving(tmp_path / "data", events_waiting_max=250) as server, ThreadPoolExecutor(12) as pool:
        finished = threading.Event()

        def one(number: int) -> httpx.Response:
            with httpx.Client(timeout=60) as http:
                answer = http.post(
                    server.url + "/v1/ingest",
                    json=many(str(number), 100),
                    headers={"authorization": "Bearer sandbox-token"},
                )
            finished.set()
            return answer

        with stuck_log(server):
            under_way = [pool.submit(one, number) for number in range(12)]
            assert finished.wait(9)
        answers = [future.result() for future in under_way]
        refused = [answer for answer in answers if answer.status_code != 200]
        assert refused
        for answer in refused:
            assert_too_many(answer)
        server_sees(server)
        assert accepted(server) == 100 * (12 - len(refused))
        assert send(server, *many("after", 100)).status_code == 200


def test_memory_does_not_grow_while_requests_are_refused(tmp_path: Path) -> None:
    def resident() -> int:
        return int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1]) * 4_096

    with serving(tmp_path / "data", events_per_second=1) as server:
        assert send(server, *many("first", 100)).status_code == 200
        large = [event(number, properties={"text": "x" * 20_000}) for number in range(100)]
        for _ in range(10):
            assert_too_many(send(server, *large))
        before = resident()
        for _ in range(150):
            assert_too_many(send(server, *large))
        # 150 such bodies are 300 MB.
        assert resident() - before < 40_000_000
        server_sees(server)
        assert accepted(server) == 100


def test_slow_questions_beyond_the_limit_are_refused(tmp_path: Path) -> None:
    """Four run, one waits, one more is refused."""
    with serving(tmp_path / "data", slow_requests_waiting_max=1) as server, ThreadPoolExecutor(6) as pool:
        metric, customer = create_metric(server, "COUNT"), create_customer(server, "somebody")
        refused = threading.Event()

        def ask(_: int) -> int:
            question = {
                "window_size": "NONE",
                "customer_ids": [customer],
                "billable_metrics": [{"id": metric}],
                "starting_on": "2026-01-15T00:00:00Z",
                "ending_before": "2026-01-16T00:00:00Z",
            }
            with httpx.Client(timeout=60) as http:
                headers = {"authorization": "Bearer sandbox-token"}
                answer = http.post(server.url + "/v1/usage", json=question, headers=headers)
            if answer.status_code != 200:
                assert_too_many(answer)
                refused.set()
            return answer.status_code

        with server.tallybook.meterings["sandbox"]._state._lock:  # type: ignore[union-attr]
            under_way = [pool.submit(ask, number) for number in range(6)]
            assert refused.wait(20)
            assert server.get("/v1/customers").status_code == 200
        assert sorted(future.result() for future in under_way) == [200] * 5 + [429]
        assert value(server, customer, metric) == 0


def test_bodies_are_held_up_to_a_limit() -> None:
    gate = Gate(RequestLimits(clock_ns=lambda: 0, bodies_bytes_max=10))
    gate.hold(6)
    gate.hold(4)
    with pytest.raises(TooMany):
        gate.hold(1)
    gate.release(4)
    gate.hold(3)
    with pytest.raises(TooMany):
        gate.hold(2)


def test_bodies_that_were_answered_are_no_longer_held(tmp_path: Path) -> None:
    """More than the limit of bytes passes through, one after another, whatever comes of it."""
    with serving(tmp_path / "data") as server:
        text = b" " * (8 * 1024 * 1024 - 10)
        for path in ["/v1/ingest", "/v1/customers", "/v1/nowhere"] * 12:
            answer = server.request("POST", path, content=text, headers={"content-type": "application/json"})
            assert answer.status_code in {400, 404}


def test_large_events_that_wait_to_be_applied_hold_up_those_after_them(tmp_path: Path) -> None:
    """What waits is bounded by bytes too: 200 bodies of 1 MiB are not all taken while none is applied."""
    metering = Metering(tmp_path, Standing())
    acknowledged: list[int] = []
    text = "x" * 1_048_576

    async def one(number: int) -> None:
        await metering.ingest(json.dumps([event(number, properties={"text": text})]).encode())
        acknowledged.append(number)

    async def play() -> None:
        with metering._state._lock:
            sending = [asyncio.create_task(one(number)) for number in range(200)]
            count = -1
            while len(acknowledged) > count:
                count = len(acknowledged)
                await asyncio.sleep(1.5)
            assert count < 150
        await asyncio.gather(*sending)

    asyncio.run(play())
    assert len(acknowledged) == 200
    metering.close()


def test_a_refused_request_may_come_again_under_its_key(tmp_path: Path) -> None:
    with serving(tmp_path / "data", events_per_second=100) as server:
        key = {"idempotency-key": "again"}
        assert send(server, *many("a", 100)).status_code == 200
        assert_too_many(server.post("/v1/ingest", many("b", 50), headers=key))
        client = server.client.with_options(max_retries=5)
        client.v1.usage.ingest(usage=many("b", 50), extra_headers=key)  # type: ignore[arg-type]
        server_sees(server)
        assert accepted(server) == 150


def test_serve_takes_limits_from_its_environment(tmp_path: Path) -> None:
    known = {"TALLYBOOK_API_TOKEN": "live", "TALLYBOOK_EVENTS_PER_SECOND": "100"}
    with served(tmp_path / "data", **known) as server:
        now = server.call("GET", "/tallybook/v1/clock", "live").json()["data"]["now"]

        def ingest(name: str) -> httpx.Response:
            events = [{**item, "timestamp": now} for item in many(name, 100)]
            return server.call("POST", "/v1/ingest", "live", json=events)

        assert ingest("a").status_code == 200
        assert_too_many(ingest("b"))
        assert server.stop() == 0


# Settings


NUMBERS = {
    "TALLYBOOK_EVENTS_WAITING_MAX": ("events_waiting_max", 1, 1_000_000_000),
    "TALLYBOOK_EVENTS_PER_SECOND": ("events_per_second", 1, 1_000_000_000),
    "TALLYBOOK_REQUESTS_PER_SECOND": ("requests_per_second", 1, 1_000_000_000),
    "TALLYBOOK_SLOW_REQUESTS_WAITING_MAX": ("slow_requests_waiting_max", 1, 1_000_000_000),
}


@pytest.mark.parametrize("name", NUMBERS)
def test_settings_take_whole_numbers_only(tmp_path: Path, name: str) -> None:
    attribute, least, most = NUMBERS[name]
    for number in (least, least + 6, most):
        known = from_environment(tmp_path, variables={name: str(number)})
        assert getattr(known, attribute) == number
    default = getattr(Settings(data=tmp_path), attribute)
    assert getattr(from_environment(tmp_path, variables={}), attribute) == default
    assert getattr(from_environment(tmp_path, variables={name: ""}), attribute) == default
    for text in (str(least - 1), str(most + 1), "-1", "1.5", "many", " 1", "1e3", "9" * 5_000, "\u0663"):
        with pytest.raises(Invalid, match=f"^{name}: "):
            from_environment(tmp_path, variables={name: text})


def test_grace_is_0_to_1440_hours(tmp_path: Path) -> None:
    for hours in (0, 24, 1_440):
        known = from_environment(tmp_path, variables={"TALLYBOOK_GRACE_HOURS": str(hours)})
        assert known.grace.total_seconds() == hours * 3_600
    with pytest.raises(Invalid, match=r"^TALLYBOOK_GRACE_HOURS: .* from 0 to 1440"):
        from_environment(tmp_path, variables={"TALLYBOOK_GRACE_HOURS": "1441"})
