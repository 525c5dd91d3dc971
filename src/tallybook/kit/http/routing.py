"""Finds what serves a path: fixed segments first, then `{parameters}`."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Generic, TypeVar
from urllib.parse import unquote

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Match(Generic[T]):
    """What was found at a path, with the texts of its parameters."""

    target: T
    parameters: dict[str, str]


class Routes(Generic[T]):
    """Targets by method and path pattern, found in time that grows with the path alone."""

    def __init__(self, targets: Mapping[tuple[str, str], T]) -> None:
        """Take targets keyed by (method, pattern), e.g. ("GET", "/v1/customers/{customer_id}")."""
        self._fixed = {key: target for key, target in targets.items() if "{" not in key[1]}
        self._patterns: dict[int, list[tuple[str, list[str], T]]] = {}
        for (method, pattern), target in targets.items():
            if "{" in pattern:
                segments = pattern.split("/")
                self._patterns.setdefault(len(segments), []).append((method, segments, target))
        for candidates in self._patterns.values():
            candidates.sort(key=lambda item: sum(part.startswith("{") for part in item[1]))

    def find(self, method: str, path: str) -> Match[T] | None:
        """The target at this method and path."""
        fixed = self._fixed.get((method, path))
        if fixed is not None:
            return Match(fixed, {})
        segments = path.split("/")
        for verb, pattern, target in self._patterns.get(len(segments), ()):
            if verb == method and (parameters := _fit(pattern, segments)) is not None:
                return Match(target, parameters)
        return None

    def methods(self, path: str) -> set[str]:
        """The methods that something is offered for at this path."""
        segments = path.split("/")
        found = {method for method, known in self._fixed if known == path}
        candidates = self._patterns.get(len(segments), ())
        return found | {verb for verb, pattern, _ in candidates if _fit(pattern, segments) is not None}


def _fit(pattern: list[str], segments: list[str]) -> dict[str, str] | None:
    parameters = {}
    for part, segment in zip(pattern, segments, strict=True):
        if part.startswith("{") and segment:
            parameters[part[1:-1]] = unquote(segment)
        elif part != segment:
            return None
    return parameters
