"""Files are read record by record, exactly, and say where a record begins."""

from decimal import Decimal
from pathlib import Path

import pytest

from tallybook.cli.ingest.sources import Record, Source
from tallybook.values.errors import Invalid


def _records(path: Path, content: bytes) -> list[Record]:
    path.write_bytes(content)
    source = Source(path, None)
    records = list(source.records())
    assert source.bytes_read == len(content)
    return records


def test_csv_rows_with_quotes_and_blank_lines(tmp_path: Path) -> None:
    records = _records(tmp_path / "a.csv", b'\xef\xbb\xbfa,b\r\n1,"x\r\ny"\r\n\r\n2,\xc3\xa4\r\n')
    assert [(record.line, record.values) for record in records] == [
        (2, {"a": "1", "b": "x\r\ny"}),
        (5, {"a": "2", "b": "ä"}),
    ]


def test_bad_csv_rows_say_why_and_the_others_go_on(tmp_path: Path) -> None:
    records = _records(tmp_path / "a.csv", b'a,b\n1\n1,2,3\n\xff,2\n"x"y,2\n5,6\n')
    assert [record.line for record in records] == [2, 3, 4, 5, 6]
    problems = [record.problem or "" for record in records]
    assert "1 cells where the first line names 2" in problems[0]
    assert "3 cells" in problems[1]
    assert "UTF-8" in problems[2]
    assert "not CSV" in problems[3]
    assert records[4].values == {"a": "5", "b": "6"}


def test_json_lines_keep_every_digit(tmp_path: Path) -> None:
    records = _records(
        tmp_path / "a.jsonl", b'{"n": 0.10, "big": 123456789012345678901234567890}\n\n{"n": 1e-7}'
    )
    assert records[0].values == {"n": Decimal("0.10"), "big": 123456789012345678901234567890}
    assert records[1] == Record(str(tmp_path / "a.jsonl"), 3, {"n": Decimal("1E-7")})


@pytest.mark.parametrize("line", [b"[]", b"1", b"{", b'{"a": "\xff"}', b"[" * 5_000, b'{"a": NaN}'])
def test_bad_json_lines_say_why_and_the_others_go_on(tmp_path: Path, line: bytes) -> None:
    first, second = _records(tmp_path / "a.jsonl", line + b'\n{"a": 1}\n')
    assert first.problem is not None
    assert first.problem.startswith("not a JSON object")
    assert second.values == {"a": 1}


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("a.txt", b"a", "--format"),
        ("a.csv", b"", "is empty"),
        ("a.csv", b"a,b,a\n", "named twice"),
    ],
)
def test_a_file_that_cannot_be_used_at_all(tmp_path: Path, name: str, content: bytes, said: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(Invalid, match=said):
        Source(tmp_path / name, None)


def test_format_given_against_the_name(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes(b"a\n1\n")
    assert [record.values for record in Source(tmp_path / "a.txt", "csv").records()] == [{"a": "1"}]
    with pytest.raises(Invalid, match="--format"):
        Source(tmp_path / "a.txt", "parquet")
