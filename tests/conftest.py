"""Fixtures for every test that talks to a server."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from metronome import Metronome

from tests.support import Server, serving


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    """A fresh server of its own for one test."""
    with serving(tmp_path / "data") as running:
        yield running


@pytest.fixture(scope="module")
def shared_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One server for the tests of a module that do not disturb each other."""
    with serving(tmp_path_factory.mktemp("shared") / "data") as running:
        yield running


@pytest.fixture
def client(server: Server) -> Metronome:
    """The official client on a fresh sandbox."""
    return server.client
