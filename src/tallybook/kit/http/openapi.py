"""Our own OpenAPI document, made from the operations, and a page that lists them."""

from collections.abc import Sequence
from html import escape
from typing import Any

import msgspec

from tallybook.kit.http.operation import Operation
from tallybook.values.errors import TallybookError

_ERROR = {
    "type": "object",
    "required": ["message"],
    "properties": {"message": {"type": "string"}},
}
_REFUSALS = {
    "400": "The request cannot succeed as sent",
    "401": "No or unknown token",
    "403": "The token may not do this",
    "404": "Not found in this environment",
    "409": "Collides with what is stored",
    "413": "The body is too large",
    "415": "The body is not JSON",
    "429": "Too many requests",
    "501": "Not available in this version",
    "503": "The store cannot answer now",
}


def document(operations: Sequence[Operation]) -> bytes:
    """The OpenAPI 3.1 document of these operations, as JSON."""
    shapes = [shape for item in operations for shape in _shapes(item)]
    schemas, components = msgspec.json.schema_components(
        shapes, schema_hook=_foreign, ref_template="#/components/schemas/{name}"
    )
    by_shape = {id(shape): schema for shape, schema in zip(shapes, schemas, strict=True)}
    paths: dict[str, dict[str, Any]] = {}
    for item in operations:
        paths.setdefault(item.path, {})[item.method.lower()] = _describe(item, by_shape, components)
    content = {
        "openapi": "3.1.0",
        "info": {"title": "Tallybook", "version": "1"},
        "security": [{"bearer": []}],
        "paths": paths,
        "components": {
            "schemas": {**components, "Error": _ERROR},
            "securitySchemes": {"bearer": {"type": "http", "scheme": "bearer"}},
        },
    }
    return msgspec.json.encode(_with_numbers(content))


def _with_numbers(schema: Any) -> Any:
    """The document with decimals described as they are written: JSON numbers, not texts."""
    if isinstance(schema, dict):
        if schema.get("type") == "string" and schema.get("format") == "decimal":
            return {**{key: item for key, item in schema.items() if key != "format"}, "type": "number"}
        return {key: _with_numbers(item) for key, item in schema.items()}
    if isinstance(schema, list):
        return [_with_numbers(item) for item in schema]
    return schema


def page(operations: Sequence[Operation]) -> bytes:
    """A page that lists the operations by noun."""
    rows = "".join(
        f"<tr><td>{escape(item.noun)}</td><td>{item.method}</td><td><code>{escape(item.path)}</code></td>"
        f"<td>{escape((item.handler.__doc__ or '').strip())}</td></tr>"
        for item in operations
    )
    style = "body{font:16px system-ui;margin:2rem}td{padding:.3rem .8rem;border-top:1px solid #ddd}"
    return (
        f"<!doctype html><html lang=en><meta charset=utf-8><title>Tallybook API</title><style>{style}</style>"
        f"<h1>Tallybook API</h1><p>Machine-readable: <a href=/openapi.json>openapi.json</a></p>"
        f"<table>{rows}</table></html>"
    ).encode()


def _foreign(shape: type) -> dict[str, Any]:
    if issubclass(shape, TallybookError):
        return _ERROR
    raise NotImplementedError(f"no schema for {shape}")


def _path_schema(kind: Any) -> dict[str, Any]:
    return {"type": "string", "format": "uuid"} if kind is str else {"type": "string", "enum": list(kind)}


def _shapes(item: Operation) -> list[Any]:
    return [shape for shape in (item.body, item.content, item.query, item.answer) if shape is not None]


def _describe(item: Operation, by_shape: dict[int, Any], components: dict[str, Any]) -> dict[str, Any]:
    parameters = [
        {"name": name, "in": "path", "required": True, "schema": _path_schema(kind)}
        for name, kind in item.path_parameters.items()
    ]
    if item.query is not None:
        fields = components[by_shape[id(item.query)]["$ref"].rsplit("/", 1)[-1]]
        for name, schema in fields.get("properties", {}).items():
            parameters.append({"name": name, "in": "query", "required": False, "schema": schema})
    refusal = {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}}
    described: dict[str, Any] = {
        "operationId": item.name,
        "summary": (item.handler.__doc__ or "").strip(),
        "tags": [item.noun],
        "parameters": parameters,
        "responses": {
            "200": {
                "description": "Done",
                "content": {"application/json": {"schema": by_shape[id(item.answer)]}},
            },
            **{status: {"description": text, "content": refusal} for status, text in _REFUSALS.items()},
        },
    }
    body = item.content if item.content is not None else item.body
    if body is not None:
        schema = by_shape[id(body)]
        described["requestBody"] = {
            "required": not item.body_is_optional,
            "content": {"application/json": {"schema": schema}},
        }
    return described
