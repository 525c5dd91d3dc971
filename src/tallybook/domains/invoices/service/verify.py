"""Rates final invoices again from what is kept with them and compares with what is stored."""

from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from decimal import Decimal
from typing import Any

import msgspec
import zstandard

from tallybook.domains.invoices import store
from tallybook.domains.invoices.model import FinalInvoice
from tallybook.kit.db.tx import ReadTx
from tallybook.rating.account import rate
from tallybook.values.quantity import plain, total

_AT_ONCE = 500


def verify_invoices(tx: ReadTx, invoice_id: str | None = None) -> Iterator[tuple[str, list[str]]]:
    """Every stored invoice's id, or the one asked for, each with what is wrong with it, in words.

    Nothing is given for an id that no final invoice has.
    """
    ids = [invoice_id] if invoice_id is not None else None
    after = ""
    while ids is None or ids:
        page = ids if ids is not None else store.select_ids(tx, after, _AT_ONCE)
        if not page:
            return
        for each in page:
            faults = _faults_of(tx, each)
            if faults is not None:
                yield each, faults
        after = page[-1]
        if ids is not None:
            return


def count_invoices(tx: ReadTx) -> int:
    """How many invoices are stored."""
    return store.count_invoices(tx)


def _faults_of(tx: ReadTx, invoice_id: str) -> list[str] | None:
    """What is wrong with an invoice; None when there is no such invoice."""
    try:
        found = store.select_final(tx, invoice_id)
        if found is None:
            return None
        kept = store.select_rated_from(tx, invoice_id)
    except (msgspec.DecodeError, zstandard.ZstdError, ValueError, ArithmeticError) as error:
        return [f"what is stored cannot be read ({error})"]
    assert kept is not None
    faults = list(_contradictions(found))
    again = rate(kept.terms, kept.usage).invoices
    if len(again) != 1:
        return [*faults, f"what it was rated from gives {len(again)} invoices"]
    faults += [
        f"{name} is {ours}; rated again it is {theirs}"
        for name, ours, theirs in _unequal(found.content.draft, again[0])
    ]
    return faults


def _contradictions(found: FinalInvoice) -> Iterator[str]:
    """Where the columns of a row, or the sum of its lines, say otherwise than the invoice in it."""
    draft = found.content.draft
    said = {
        "contract_id": (found.contract_id, draft.contract_id),
        "kind": (found.kind, draft.kind.value),
        "starting_at": (found.starting_at, draft.period.starting_at),
        "ending_before": (found.ending_before, draft.period.ending_before),
        "issued_at": (found.issued_at, draft.issued_at),
        "credit_type_id": (found.credit_type_id, draft.credit_type_id),
        "total": (found.total, draft.total),
    }
    for name, (column, content) in said.items():
        if column != content:
            yield f"the column {name} is {_shown(column)}; the invoice says {_shown(content)}"
    lines = total([line.total for line in draft.lines])
    if lines != draft.total:
        yield f"its lines add up to {plain(lines)}; its total is {plain(draft.total)}"


def _unequal(stored: Any, again: Any, name: str = "") -> Iterator[tuple[str, str, str]]:
    """Where two things of one kind differ: the path, both values."""
    if stored == again:
        return
    if is_dataclass(stored) and type(stored) is type(again):
        for item in fields(stored):
            path = f"{name}.{item.name}" if name else item.name
            yield from _unequal(getattr(stored, item.name), getattr(again, item.name), path)
    elif isinstance(stored, tuple) and isinstance(again, tuple) and len(stored) == len(again):
        for index, (ours, theirs) in enumerate(zip(stored, again, strict=True)):
            yield from _unequal(ours, theirs, f"{name}[{index}]")
    elif isinstance(stored, tuple) and isinstance(again, tuple):
        yield name, f"{len(stored)} long", f"{len(again)} long"
    else:
        yield name, _shown(stored), _shown(again)


def _shown(value: object) -> str:
    return plain(value) if isinstance(value, Decimal) else str(value)
