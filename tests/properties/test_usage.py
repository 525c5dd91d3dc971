"""Whatever happens to a server and in whatever order, every answer about usage is the reference's."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.properties import generated as g
from tests.properties.budget import examples
from tests.properties.hosts import Here, Host
from tests.properties.play import DAY, midnight, production, sandbox


@examples(40)
@given(steps=g.stories())
def test_one_process_agrees_with_the_reference(here: Host, steps: list[object]) -> None:
    play = sandbox(here)
    play.play(steps)
    play.compare_all()


@examples(20)
@given(steps=g.stories())
def test_two_processes_agree_with_the_reference(apart: Host, steps: list[object]) -> None:
    play = production(apart)
    play.play(steps)
    play.compare_all()


@examples(2)
@given(steps=g.stories())
def test_what_is_not_named_is_told_whole(
    tmp_path_factory: pytest.TempPathFactory, steps: list[object]
) -> None:
    host = Here(tmp_path_factory.mktemp("alone") / "data")
    try:
        play = sandbox(host)
        play.play(steps)
        today = midnight(play.now())
        for size, days in (("NONE", 40), ("DAY", 3)):
            play.compare_everything(size, (today - days * DAY, today + 2 * DAY))
    finally:
        host.close()


@examples(12)
@given(steps=g.stories(queries=3))
def test_metrics_in_sql_agree_with_the_same_in_python(here: Host, steps: list[object]) -> None:
    play = sandbox(here)
    play.play(steps)
    play.compare_all()


@examples(3)
@given(steps=g.stories(1, queries=1), kills=st.booleans())
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
