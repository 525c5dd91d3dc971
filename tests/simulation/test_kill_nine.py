"""A few rounds of the simulation; `make kill9` runs hundreds."""

from pathlib import Path

from tests.simulation.kill_nine import simulate


def test_every_acknowledged_event_counts_once_after_kill_nine(tmp_path: Path) -> None:
    tally = simulate(tmp_path, rounds=5, seed=9)
    assert tally["events acknowledged"] > 0
    assert tally["metrics"] == 6
    assert tally["compactions"] > 0
