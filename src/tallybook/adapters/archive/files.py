"""Writes the archive's Parquet files, durably; nothing names them yet."""

import os
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from tallybook.adapters.archive.manifest import DAY_MICROS, ArchiveFile, Step, day_name, fsync_folder

EVENTS_PER_GROUP = 16_384
"""Small enough that one customer's events are found without reading many others'."""


def write_day(archive: Path, name: str, table: pa.Table, step: Step) -> ArchiveFile:
    """Write one file of one day, durably; nothing names it yet."""
    day = table.column("timestamp")[0].as_py() // DAY_MICROS
    folder = archive / day_name(day)
    step("day folder")
    folder.mkdir(exist_ok=True)
    path = folder / name
    step("file write")
    pq.write_table(
        table,
        path,
        compression="zstd",
        row_group_size=EVENTS_PER_GROUP,
        use_dictionary=["customer_id", "event_type", "texts.key_value.key", "texts.key_value.value"],
    )
    customers = table.column("customer_id")
    return finished(archive, day, name, table.num_rows, (customers[0].as_py(), customers[-1].as_py()), step)


def finished(
    archive: Path, day: int, name: str, events: int, customers: tuple[str, str], step: Step
) -> ArchiveFile:
    """Make a file that was written durable."""
    path = archive / day_name(day) / name
    step("file fsync")
    with path.open("rb") as file:
        os.fsync(file.fileno())
    step("day folder fsync")
    fsync_folder(path.parent)
    return ArchiveFile(day, name, events, path.stat().st_size, *customers)
