"""One server for many examples; each has names of its own in it."""

from collections.abc import Iterator

import pytest

from tests.properties.hosts import Apart, Here, Host


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Host]:
    """A server in this process."""
    host = Here(tmp_path_factory.mktemp("here") / "data")
    yield host
    host.close()


@pytest.fixture(scope="module")
def apart(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Host]:
    """A server as users start it."""
    host = Apart(tmp_path_factory.mktemp("apart") / "data")
    yield host
    host.close()
