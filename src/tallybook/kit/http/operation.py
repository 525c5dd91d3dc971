"""Operations: plain functions with an address, from which routes and the OpenAPI page are made.

    @post("/v1/customers", "createCustomer-v1")
    def create_customer(tx: Tx, body: CreateCustomerRequest) -> Data[CreatedCustomer]: ...

The function's annotations say everything: `body` is the JSON body, `query` the query string, any
other parameter a part of the path: a UUID where it is a `str`, else a member of its enum. Taking `Tx`
lets it write; taking `ReadTx` keeps it read-only. A few take the whole `environment` and no
transaction: `async` ones run on the event loop and get the undecoded body as `content`.
"""

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar, get_args, get_type_hints

from tallybook.kit.db.tx import Tx

Handler = TypeVar("Handler", bound=Callable[..., Any])


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """One operation of the HTTP API."""

    method: str
    path: str
    name: str
    """The operationId of the published API, or ours for paths under /tallybook/v1."""
    handler: Callable[..., Any]
    writes: bool
    body: Any
    body_is_optional: bool
    content: Any
    """What the undecoded body holds, for documentation; None when `body` is decoded."""
    is_async: bool
    is_slow: bool
    """Whether one call may take seconds; such calls wait for each other, not in the way of the rest."""
    takes_environment: bool
    query: Any
    answer: Any
    path_parameters: dict[str, Any]
    """The parameters in the path by name: `str` for a UUID, else an enum."""

    @property
    def noun(self) -> str:
        """The domain folder the operation lives in."""
        parts = self.handler.__module__.split(".")
        return parts[parts.index("domains") + 1] if "domains" in parts else parts[-1]


def operation(method: str, path: str, name: str, *, is_slow: bool = False) -> Callable[[Handler], Handler]:
    """Mark a function as the handler of one operation; `operations_of` finds it."""

    def mark(handler: Handler) -> Handler:
        handler.operation = _describe(method, path, name, handler, is_slow=is_slow)  # type: ignore[attr-defined]  # the mark
        return handler

    return mark


def get(path: str, name: str, *, is_slow: bool = False) -> Callable[[Handler], Handler]:
    """Mark the handler of a GET."""
    return operation("GET", path, name, is_slow=is_slow)


def post(path: str, name: str, *, is_slow: bool = False) -> Callable[[Handler], Handler]:
    """Mark the handler of a POST."""
    return operation("POST", path, name, is_slow=is_slow)


def put(path: str, name: str) -> Callable[[Handler], Handler]:
    """Mark the handler of a PUT."""
    return operation("PUT", path, name)


def delete(path: str, name: str) -> Callable[[Handler], Handler]:
    """Mark the handler of a DELETE."""
    return operation("DELETE", path, name)


def operations_of(*modules: Any) -> list[Operation]:
    """Every operation whose handler is defined in the given endpoint modules, in source order."""
    found = [
        member.operation
        for module in modules
        for member in vars(module).values()
        if callable(member) and hasattr(member, "operation") and member.__module__ == module.__name__
    ]
    return sorted(found, key=lambda item: (item.noun, item.handler.__code__.co_firstlineno))


def _describe(method: str, path: str, name: str, handler: Callable[..., Any], *, is_slow: bool) -> Operation:
    hints = get_type_hints(handler, include_extras=True)
    parameters = inspect.signature(handler).parameters
    in_path = tuple(part[1:-1] for part in path.split("/") if part.startswith("{"))
    expected = {*in_path, "tx", "body", "query", "environment", "content"}
    if unknown := set(parameters) - expected:
        message = f"{handler.__name__}: parameters {sorted(unknown)} are neither in the path nor known names"
        raise TypeError(message)
    return Operation(
        method=method,
        path=path,
        name=name,
        handler=handler,
        writes=method != "GET" if "environment" in hints else hints["tx"] is Tx,
        body=hints.get("body"),
        body_is_optional="body" in parameters and parameters["body"].default is not inspect.Parameter.empty,
        content=get_args(hints["content"])[1] if "content" in hints else None,
        is_async=inspect.iscoroutinefunction(handler),
        is_slow=is_slow,
        takes_environment="environment" in hints,
        query=hints.get("query"),
        answer=hints["return"],
        path_parameters={part: hints[part] for part in in_path},
    )
