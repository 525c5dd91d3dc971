"""Writes one statement for how much the value rises in each stretch, looking at no event twice.

A row of a level changes only in stretches in which parts of it lie. So each row is told as versions:
from one such stretch until the next. When a version ends it is taken away from the level above, and the
next one is added there. Counts and sums above follow what is added and taken away; least and greatest
values cannot, so a query with those above its first level is evaluated bound by bound instead.
"""

# ruff: noqa: S608 - statements are put together here, of nothing that comes from outside: see expressions.py

from collections.abc import Sequence

from tallybook.metering.sql.expressions import Columns, Piece, divided, write
from tallybook.metering.sql.generate import Program
from tallybook.metering.sql.nodes import Aggregate, Kind, Node, Rollup, SqlMetric

_FOLLOWING = ("COUNT", "SUM", "AVG")
_BEFORE = "SELECT -1 AS h"
"""What a level without keys gives before there is anything."""


def can_rise(metric: SqlMetric) -> bool:
    """Whether every level above the first can follow changes of the rows below it."""
    return all(total.name in _FOLLOWING for level in metric.levels[1:] for total in level.totals)


def rises_statement(program: Program, groups: Sequence[int]) -> str:
    """The rise of each stretch: its number, the groups' columns, and by how much."""
    metric, first = program.metric, program.metric.levels[0]
    source = "SELECT * FROM parts"
    if first.keys is None:
        source += f" UNION ALL BY NAME {_BEFORE}"
    below = program.events()
    steps, columns = [], below
    for place, level in enumerate(metric.levels):
        if place:
            source = _parts(program, level, columns, place)
        versions, columns = _versions(program, level, columns, source, is_first=not place)
        steps.append(f"v{place} AS MATERIALIZED ({versions})")
    told = [f"{write(metric.groups[place], columns).sql} AS x{place}" for place in groups]
    told.append(f"{write(metric.value, columns).sql} AS v")
    rows = _signed(f"v{len(steps) - 1}", told, metric.where, columns)
    names = ", ".join(["k", *(f"x{place}" for place in groups)])
    rise = "coalesce(sum(CASE WHEN w > 0 THEN v ELSE -v END), 0) AS rise"
    summed = f"SELECT greatest(h, 0) AS k, * EXCLUDE (h) FROM ({rows})"
    summed = f"SELECT {names}, {rise} FROM ({summed}) GROUP BY {names}"
    return f"WITH {', '.join(steps)} SELECT * FROM ({summed}) WHERE rise <> 0 ORDER BY k"


def _signed(versions: str, told: Sequence[str], where: Node | None, columns: Columns) -> str:
    """Rows made of versions: added (w = 1) where a version begins, taken away (-1) where it ends."""
    passing = "is_there" if where is None else f"is_there AND {write(where, columns).sql}"
    names = ", ".join(told)
    begun = f"SELECT h, 1 AS w, {names} FROM {versions} WHERE {passing}"
    ended = f"SELECT until AS h, -1 AS w, {names} FROM {versions} WHERE {passing} AND until IS NOT NULL"
    return f"{begun} UNION ALL {ended}"


def _versions(
    program: Program, level: Rollup, below: Columns, source: str, *, is_first: bool
) -> tuple[str, Columns]:
    _, keys = program.keys(level, below)
    arguments = program.arguments(level, below)
    running = _running if is_first else _following
    totals = [running(total, place, arguments[place]) for place, total in enumerate(level.totals)]
    by = f"PARTITION BY {', '.join(key.sql for key in keys)} " if keys else ""
    is_there = "TRUE" if is_first or level.keys is None else "sum(r) OVER w > 0"
    told = ["h", "lead(h) OVER n AS until", f"{is_there} AS is_there", *(key.sql for key in keys)]
    told += [f"{total.sql} AS t{place}" for place, total in enumerate(totals)]
    windows = f"n AS ({by}ORDER BY h), w AS ({by}ORDER BY h ROWS UNBOUNDED PRECEDING)"
    own = [Piece(f"t{place}", total.kind, total.decimals) for place, total in enumerate(totals)]
    return f"SELECT {', '.join(told)} FROM ({source}) WINDOW {windows}", Columns({}, {}, keys, own)


def _parts(program: Program, level: Rollup, below: Columns, place: int) -> str:
    """What is added and taken away in each stretch, by the level's keys."""
    keys, own = program.keys(level, below)
    arguments = program.arguments(level, below)
    told = [f"{key.sql} AS g{n}" for n, key in enumerate(keys)]
    told += [f"{piece.sql} AS a{n}" for n, piece in arguments.items() if piece is not None]
    rows = _signed(f"v{place - 1}", told or ["1 AS one"], level.where, below)
    if level.keys is None:
        rows += f" UNION ALL BY NAME {_BEFORE}, 0 AS w"
    kept = ["sum(w) AS r"]
    for n, total in enumerate(level.totals):
        if total.of is not None:
            kept.append(f"sum(w) FILTER (WHERE a{n} IS NOT NULL) AS c{n}")
        if total.name in ("SUM", "AVG"):
            kept.append(f"sum(CASE WHEN w > 0 THEN a{n} ELSE -a{n} END) AS s{n}")
    names = ", ".join(["h", *(key.sql for key in own)])
    return f"SELECT {names}, {', '.join(kept)} FROM ({rows}) GROUP BY {names}"


def _running(total: Aggregate, place: int, of: Piece | None) -> Piece:
    """An aggregate of the first level up to a stretch."""
    name, decimals, kept = total.name, 0 if of is None else of.decimals, f"s{place}"
    if name in ("COUNT", "COUNT_DISTINCT"):
        return Piece(f"CAST(coalesce(sum(c{place}) OVER w, 0) AS DECIMAL(38,0))", Kind.NUMBER)
    if name == "AVG":
        return divided(f"sum({kept}) OVER w", f"sum(c{place}) OVER w", decimals)
    picked = {"LATEST": f"arg_max({kept}, o{place})", "EARLIEST": f"arg_min({kept}, o{place})"}
    sql = f"{picked.get(name, f'{name.lower()}({kept})')} OVER w"
    if total.kind is Kind.NUMBER:
        sql = f"CAST({sql} AS DECIMAL(38,{decimals}))"
    return Piece(sql, total.kind, decimals)


def _following(total: Aggregate, place: int, of: Piece | None) -> Piece:
    """A count or sum of a level above, of what has been added and not taken away."""
    if of is None:
        return Piece("CAST(coalesce(sum(r) OVER w, 0) AS DECIMAL(38,0))", Kind.NUMBER)
    count, whole = f"sum(c{place}) OVER w", f"sum(s{place}) OVER w"
    if total.name == "COUNT":
        return Piece(f"CAST(coalesce({count}, 0) AS DECIMAL(38,0))", Kind.NUMBER)
    if total.name == "AVG":
        return divided(whole, count, of.decimals)
    some = f"CASE WHEN {count} > 0 THEN CAST({whole} AS DECIMAL(38,{of.decimals})) END"
    return Piece(some, Kind.NUMBER, of.decimals)
