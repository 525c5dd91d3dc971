"""Whatever happens to a server and in whatever order, every answer about usage is the reference's."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import count

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.properties import generated as g
from tests.properties.budget import examples
from tests.properties.hosts import Apart, Here, Host
from tests.properties.play import Play, midnight

TAGS = count(1)


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Host]:
    host = Here(tmp_path_factory.mktemp("here") / "data")
    yield host
    host.close()


@pytest.fixture(scope="module")
def apart(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Host]:
    host = Apart(tmp_path_factory.mktemp("apart") / "data")
    yield host
    host.close()


def sandbox(host: Host) -> Play:
    """An example in the sandbox, at noon of a day that no other has seen."""

    def now() -> datetime:
        answer = host.send("sandbox", "GET", "/tallybook/v1/clock").json()
        return datetime.fromisoformat(answer["data"]["now"]).astimezone(UTC)

    to = midnight(now()) + timedelta(days=1, hours=12)
    assert host.send("sandbox", "POST", "/tallybook/v1/clock", json={"now": to.isoformat()}).is_success
    return Play(host, "sandbox", f"s{next(TAGS)}", now)


def production(host: Host) -> Play:
    """An example in production, whose log a second process applies."""
    return Play(host, "production", f"p{next(TAGS)}", lambda: datetime.now(UTC))


@examples(60)
@given(steps=g.stories())
def test_one_process_agrees_with_the_reference(here: Host, steps: list[object]) -> None:
    play = sandbox(here)
    play.play(steps)
    play.compare_all()


@examples(30)
@given(steps=g.stories())
def test_two_processes_agree_with_the_reference(apart: Host, steps: list[object]) -> None:
    play = production(apart)
    play.play(steps)
    play.compare_all()


@examples(4)
@given(steps=g.stories(1), kills=st.booleans())
def test_a_server_started_again_agrees_with_the_reference(
    apart: Host, steps: list[object], kills: bool
) -> None:
    plays = [sandbox(apart), production(apart)]
    for step in steps:
        for play in plays[: 1 if isinstance(step, g.Restart) else 2]:
            play.play([step])
    apart.restart(kills=kills)
    for play in plays:
        play.compare_all()
