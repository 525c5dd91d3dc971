"""`tallybook worker`, `migrate` and `token` on a data folder."""

import os
import signal
import subprocess
from pathlib import Path

import pytest

from tallybook.kit.http.auth import Tokens
from tests.cli.support import TALLYBOOK, run, served

CLOCK = "/tallybook/v1/clock"


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A folder that holds an installation, with nothing running."""
    assert run("migrate", "--data", tmp_path / "data").status == 0
    return tmp_path / "data"


def test_migrate_makes_a_folder_and_is_safe_to_repeat(tmp_path: Path) -> None:
    for _ in range(2):
        ran = run("migrate", "--data", tmp_path / "new", "--json")
        assert ran.status == 0
        assert ran.json["data"] == str(tmp_path / "new")
    assert "is at the schema of version" in run("migrate", "--data", tmp_path / "new").out


def test_worker_once_does_what_is_due_and_ends(data: Path) -> None:
    ran = run("worker", "--data", data, "--once", "--json")
    assert ran.status == 0
    assert ran.json == {"done": {"production": 0, "sandbox": 0}}
    assert "sandbox" in run("worker", "--data", data, "--once").out


def test_worker_goes_on_until_it_is_stopped(data: Path) -> None:
    process = subprocess.Popen(
        [TALLYBOOK, "worker", "--data", data], stdout=subprocess.PIPE, text=True, env=os.environ
    )
    assert process.stdout is not None
    assert "working on" in process.stdout.readline()
    process.send_signal(signal.SIGTERM)
    assert process.wait(30) == 0
    process.stdout.close()


def test_a_folder_that_a_server_holds_is_left_alone(tmp_path: Path) -> None:
    with served(tmp_path / "data", TALLYBOOK_SANDBOX_TOKEN="trial"):
        for command in (("worker", "--once"), ("migrate",), ("serve", "--port", "0")):
            ran = run(*command, "--data", tmp_path / "data")
            assert ran.status == 2
            assert "another process holds" in ran.err


def test_a_folder_without_an_installation(tmp_path: Path) -> None:
    for command in (("worker", "--once"), ("token", "list"), ("token", "create", "x")):
        ran = run(*command, "--data", tmp_path / "none")
        assert ran.status == 2
        assert "holds no installation" in ran.err
    assert not (tmp_path / "none").exists()


def test_token_life(tmp_path: Path) -> None:
    """Created for a running server, used, listed without its text, revoked."""
    data = tmp_path / "data"
    with served(data, TALLYBOOK_SANDBOX_TOKEN="trial") as server:
        text = run("token", "create", "ci", "--data", data, "--json").json["token"]
        reader = run("token", "create", "reader", "--read-only", "--data", data).out.strip()
        live = run("token", "create", "live", "--environment", "production", "--data", data).out.strip()
        assert server.call("GET", CLOCK, text).status_code == 200
        assert server.call("POST", "/v1/customers", reader, json={"name": "A"}).status_code == 403
        assert server.call("POST", "/v1/customers", text, json={"name": "A"}).status_code == 200
        assert server.call("GET", "/v1/customers", live).json()["data"] == []
        rows = run("token", "list", "--data", data, "--json").json
        assert [(row["name"], row["environment"], row["read_only"]) for row in rows] == [
            ("sandbox-admin", "sandbox", False),
            ("ci", "sandbox", False),
            ("reader", "sandbox", True),
            ("live", "production", False),
        ]
        assert text not in str(rows)
        assert "ci" in run("token", "list", "--data", data).out
        assert run("token", "revoke", rows[1]["id"], "--data", data).status == 0
        assert Tokens(_control(data)).list()[1].revoked_at is not None
    with served(data) as server:
        assert server.call("GET", CLOCK, text).status_code == 401


def _control(data: Path):
    from tallybook.adapters.sql.engine import open_sqlite

    return open_sqlite(data / "control.db")


def test_wrong_tokens_commands(data: Path) -> None:
    assert "--environment" in run("token", "create", "x", "--environment", "test", "--data", data).err
    # An empty or short id must never match several tokens.
    for wrong in ("", "a", "zzzzzzzzzzzz"):
        ran = run("token", "revoke", wrong, "--data", data)
        assert ran.status == 2
        assert "is not a token's id" in ran.err
    assert "no active token" in run("token", "revoke", "0" * 12, "--data", data).err
