"""A store that fails: 503 with a reason in the log, nothing acknowledged, no values told to the log."""

from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from tallybook.adapters.sql.engine import open_sqlite
from tallybook.app import open_tallybook
from tallybook.kit.settings import Settings
from tallybook.values.errors import Invalid, Unavailable
from tests.support import Server


def break_control(server: Server) -> None:
    """Take the tables of the control database away, as a failing disk would."""
    with server.tallybook.control.begin() as connection:
        connection.execute(text("DROP TABLE tokens"))
        connection.execute(text("DROP TABLE clocks"))
    server.tallybook.tokens.forget()


def test_tokens_that_cannot_be_read_are_503(server: Server, capsys: pytest.CaptureFixture[str]) -> None:
    break_control(server)
    answer = server.get("/v1/customers")
    assert answer.status_code == 503, answer.text
    assert answer.headers["retry-after"] == "1"
    assert "no such table" in capsys.readouterr().out


def test_a_clock_that_cannot_be_kept_is_503_and_does_not_move(server: Server) -> None:
    server.get("/v1/customers")  # the token is remembered for two seconds from here
    with server.tallybook.control.begin() as connection:
        connection.execute(text("DROP TABLE clocks"))
    answer = server.post("/tallybook/v1/clock", {"now": "2026-01-16T00:00:00Z"})
    assert answer.status_code == 503, answer.text
    assert server.get("/tallybook/v1/clock").json()["data"]["now"] == "2026-01-15T12:00:00Z"


def test_errors_of_the_store_do_not_quote_values(tmp_path: Path) -> None:
    engine = open_sqlite(tmp_path / "x.db")
    with engine.connect() as connection, pytest.raises(DBAPIError) as failed:
        connection.execute(text("INSERT INTO nowhere VALUES (:secret)"), {"secret": "whsec_1234"})
    assert "whsec_1234" not in str(failed.value)
    engine.dispose()


def test_a_folder_that_cannot_be_opened_is_told_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "control.db").write_bytes(b"not a database, but long enough to look like a page" * 100)
    with pytest.raises(Unavailable, match=r"^--data: .* cannot be opened \(file is not a database\)"):
        open_tallybook(Settings(data=tmp_path))


def test_a_bad_secret_key_is_named(tmp_path: Path) -> None:
    with pytest.raises(Invalid, match="TALLYBOOK_SECRET_KEY"):
        open_tallybook(Settings(data=tmp_path, secret_key="short"))
