"""Merges the small files of a day, so that a question opens few.

Files are merged with those of about their size, so an event is written again a few times at most,
however many there are. DuckDB sorts within a limit of memory and spills what does not fit.
"""

from collections import defaultdict
from pathlib import Path

from tallybook.adapters.archive.files import EVENTS_PER_GROUP, finished
from tallybook.adapters.archive.manifest import ArchiveFile, Manifest, Step, day_name
from tallybook.adapters.archive.paths import globbed, quoted

FILES_MAX = 6
"""So many files of one size are merged into one of the next."""
SMALLEST = 4_096
LARGEST = 1_500_000
"""Files with more events are left as they are."""
CLOSED_DAYS = 36
"""Days so far before the newest get no more events: what little they have becomes one file."""
MEMORY = "256MB"
SPILLED = "64GB"


def merge(archive: Path, manifest: Manifest, step: Step) -> list[tuple[list[ArchiveFile], ArchiveFile]]:
    """Write the merged files that are due; which ones each stands for. The manifest is not changed."""
    merged = []
    for number, group in enumerate(due(manifest.files)):
        name = f"{manifest.generation + 1}-{number}.parquet"
        merged.append((group, _merge(archive, name, group, step)))
    return merged


def due(files: tuple[ArchiveFile, ...]) -> list[list[ArchiveFile]]:
    """Files of a day and of about one size, where they are many; all of a day that is long over."""
    newest = max([file.day for file in files], default=0)
    groups: dict[tuple[int, int], list[ArchiveFile]] = defaultdict(list)
    for file in files:
        if file.events <= LARGEST:
            is_closed = file.day < newest - CLOSED_DAYS
            groups[file.day, -1 if is_closed else _size(file)].append(file)
    return [group for (_, size), group in groups.items() if len(group) >= (2 if size < 0 else FILES_MAX)]


def _size(file: ArchiveFile) -> int:
    size = 0
    while SMALLEST * FILES_MAX**size < file.events:
        size += 1
    return size


def _merge(archive: Path, name: str, group: list[ArchiveFile], step: Step) -> ArchiveFile:
    import duckdb  # noqa: PLC0415  # loaded only where something is merged

    day = group[0].day
    paths = ", ".join(quoted(globbed(str(archive / file.path))) for file in group)
    target = archive / day_name(day) / name
    config: dict[str, str | bool | int | float | list[str]] = {
        "threads": 1,
        "memory_limit": MEMORY,
        "temp_directory": str(archive / "tmp"),
        "max_temp_directory_size": SPILLED,
        "autoinstall_known_extensions": False,
        "autoload_known_extensions": False,
    }
    step("merge write")
    with duckdb.connect(":memory:", config=config) as connection:
        connection.execute(
            f"COPY (SELECT * FROM read_parquet([{paths}], hive_partitioning = false) "  # noqa: S608  # ours
            "ORDER BY customer_id, timestamp, log_row, log_index) "
            f"TO {quoted(str(target))} "
            f"(FORMAT parquet, COMPRESSION zstd, ROW_GROUP_SIZE {EVENTS_PER_GROUP})"
        )
    events = sum([file.events for file in group])
    customers = (min(file.customer_first for file in group), max(file.customer_last for file in group))
    return finished(archive, day, name, events, customers, step)
