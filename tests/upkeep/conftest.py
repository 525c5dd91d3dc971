"""One folder is made once, and copied for every test that damages it."""

from pathlib import Path

import pytest

from tests.upkeep.support import archive, copied, make


@pytest.fixture(scope="session")
def healthy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that nobody may change."""
    data = make(tmp_path_factory.mktemp("upkeep") / "data")
    archive(data)
    return data


@pytest.fixture
def data(healthy: Path, tmp_path: Path) -> Path:
    """A copy of it to be damaged."""
    return copied(healthy, tmp_path / "data")
