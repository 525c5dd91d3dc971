"""A data folder with a database that is none: every command says which, in one line."""

import os
import subprocess
from pathlib import Path

import pytest

from tests.cli.support import TALLYBOOK, run

REMEDIES = {"cells.db": "tallybook rebuild", "events.db": "restore it from a backup"}


@pytest.mark.parametrize("mode", ["--second-process", "--one-process"])
@pytest.mark.parametrize("environment", ["production", "sandbox"])
@pytest.mark.parametrize("file", REMEDIES)
def test_serve_names_the_file(tmp_path: Path, file: str, environment: str, mode: str) -> None:
    data = tmp_path / "data"
    assert run("migrate", "--data", data).status == 0
    for path in (data / environment).glob(f"{file}-*"):
        path.unlink()
    (data / environment / file).write_bytes(b"x" * 5_000)
    ran = subprocess.run(
        [TALLYBOOK, "serve", "--data", data, "--port", "0", mode],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env=os.environ,
    )
    assert ran.returncode == 2
    (line,) = ran.stderr.strip().splitlines()
    assert f"{environment}/{file}: cannot be read (file is not a database)" in line
    assert REMEDIES[file] in line
