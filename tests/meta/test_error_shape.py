"""One shape of error everywhere: every operation is sent what it cannot take, in many ways.

Whatever is wrong, the answer is a documented status and exactly `{"message": text}`.
"""

import json
import uuid

import httpx
import pytest

from tallybook.kit.http.application import BODY_LIMIT
from tallybook.kit.http.operation import Operation
from tallybook.kit.http.wire import Request
from tallybook.operations import all_operations
from tests.support import SANDBOX_TOKEN, Server

STATUSES = {400, 401, 403, 404, 405, 409, 413, 415, 429, 501}
METHODS = {"GET", "POST", "PUT", "PATCH", "DELETE"}
JSON = {"content-type": "application/json"}

OPERATIONS = all_operations()
WITH_BODY = [item for item in OPERATIONS if item.body is not None or item.content is not None]
WITH_OBJECT = [item for item in WITH_BODY if isinstance(item.body, type) and issubclass(item.body, Request)]
WITH_PATH = [item for item in OPERATIONS if item.path_parameters]
WRITING = [item for item in OPERATIONS if item.writes]


def each(operations: list[Operation]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("item", operations, ids=lambda item: item.name)


def path_of(item: Operation, value: str | None = None) -> str:
    """The operation's path with its parameters filled in, by default with unknown ids and known names."""
    path = item.path
    for name, kind in item.path_parameters.items():
        known = str(uuid.uuid4()) if kind is str else next(iter(kind)).value
        path = path.replace(f"{{{name}}}", value or known)
    return path


def refused(answer: httpx.Response, *statuses: int) -> str:
    """The message of an answer that must be a refusal of the one shape."""
    assert answer.status_code in (statuses or STATUSES), f"{answer.status_code}: {answer.text[:300]}"
    assert answer.headers["content-type"] == "application/json"
    assert uuid.UUID(answer.headers["x-request-id"])
    body = json.loads(answer.content)
    assert list(body) == ["message"]
    assert isinstance(body["message"], str)
    assert len(body["message"]) > 10
    return str(body["message"])


MALFORMED = {
    "nothing": b"",
    "cut short": b'{"a": ',
    "two documents": b"{} {}",
    "not UTF-8": b'{"name": "\xff"}',
    "byte order mark": b"\xef\xbb\xbf{}",
    "not a number": b'{"name": NaN}',
    "single quotes": b"{'name': 1}",
    "too deep": b"[" * 100_000,
}


@pytest.mark.parametrize("content", MALFORMED.values(), ids=MALFORMED)
@each(WITH_BODY)
def test_malformed_json(shared_server: Server, item: Operation, content: bytes) -> None:
    if not content and item.body_is_optional:
        return
    refused(shared_server.request(item.method, path_of(item), content=content, headers=JSON), 400)


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "nonsense", ""])
@each(WITH_BODY)
def test_content_that_is_not_json(shared_server: Server, item: Operation, kind: str) -> None:
    headers = {"content-type": kind}
    answer = shared_server.request(item.method, path_of(item), content=b"{}", headers=headers)
    assert "application/json" in refused(answer, 415)


@pytest.mark.parametrize("body", [None, True, 7, "text", [], [7], {"": {}}], ids=str)
@each(WITH_BODY)
def test_json_of_the_wrong_type(shared_server: Server, item: Operation, body: object) -> None:
    if body is None and item.body_is_optional:
        return
    answer = shared_server.request(
        item.method, path_of(item), content=json.dumps(body).encode(), headers=JSON
    )
    refused(answer, 400)


@each(WITH_OBJECT)
def test_unknown_field(shared_server: Server, item: Operation) -> None:
    answer = shared_server.request(item.method, path_of(item), json={"surprise": 1})
    assert "surprise" in refused(answer, 400)


@each(OPERATIONS)
def test_unknown_query_parameter(shared_server: Server, item: Operation) -> None:
    answer = shared_server.request(item.method, path_of(item) + "?surprise=1", json={})
    assert "surprise" in refused(answer, 400)


@pytest.mark.parametrize("query", ["%ff=1", "limit=%ff", "a=1&" * 1_001, "%00=1"], ids=lambda text: text[:9])
@each(OPERATIONS)
def test_malformed_query(shared_server: Server, item: Operation, query: str) -> None:
    refused(shared_server.request(item.method, path_of(item) + "?" + query, json={}), 400)


@each([item for item in OPERATIONS if item.query is not None])
def test_query_parameters_of_the_wrong_type(shared_server: Server, item: Operation) -> None:
    fields = item.query.__struct_fields__
    for name, value in (("limit", "0"), ("limit", "101"), ("limit", "ten"), ("next_page", "nonsense")):
        if name in fields:
            # A list with required filters may name another parameter that is missing first.
            refused(
                shared_server.request(item.method, path_of(item), params={name: value}, json={}), 400, 404
            )


@each(OPERATIONS)
def test_wrong_method(shared_server: Server, item: Operation) -> None:
    offered = {other.method for other in OPERATIONS if other.path == item.path}
    for method in METHODS - offered:
        path = path_of(item)
        if any(other.method == method and matches(other.path, path) for other in OPERATIONS):
            continue
        assert item.method in refused(shared_server.request(method, path), 405)


def matches(pattern: str, path: str) -> bool:
    """Whether another operation's pattern takes this path."""
    parts, segments = pattern.split("/"), path.split("/")
    return len(parts) == len(segments) and all(
        part.startswith("{") or part == segment for part, segment in zip(parts, segments, strict=True)
    )


@pytest.mark.parametrize(
    "authorization",
    [
        None,
        "",
        "Bearer",
        "Bearer unknown",
        "Basic c2FuZGJveC10b2tlbg==",
        SANDBOX_TOKEN,
        "Bearer a b",
    ],
    ids=str,
)
@each(OPERATIONS)
def test_no_token_or_a_bad_one(shared_server: Server, item: Operation, authorization: str | None) -> None:
    headers = {} if authorization is None else {"authorization": authorization}
    answer = shared_server.http.request(
        item.method, shared_server.url + path_of(item), headers=headers, json={}
    )
    assert "Authorization" in refused(answer, 401)
    assert answer.headers["www-authenticate"] == "Bearer"


@pytest.fixture(scope="module")
def read_only(shared_server: Server) -> str:
    """A token of the sandbox that may not write."""
    clock = shared_server.tallybook.environments["sandbox"].clock
    return shared_server.tallybook.tokens.create(
        name="reader", environment="sandbox", now=clock.now(), is_read_only=True
    )


@each(WRITING)
def test_a_token_that_may_only_read(shared_server: Server, item: Operation, read_only: str) -> None:
    answer = shared_server.request(item.method, path_of(item), token=read_only, json={})
    assert "Authorization" in refused(answer, 403)


@pytest.mark.parametrize("value", ["7", "not-a-uuid", "%00", "..%2fetc", "{id}", "9" * 5_000, "%F0%9F%92%B8"])
@each(WITH_PATH)
def test_path_ids_of_another_form(shared_server: Server, item: Operation, value: str) -> None:
    # An encoded slash is a slash to the server: no such address.
    statuses = (400, 404) if "%2f" in value else (400,)
    refused(shared_server.request(item.method, path_of(item, value), json={}), *statuses)


@each([item for item in WITH_PATH if item.body is None])
def test_unknown_path_ids(shared_server: Server, item: Operation) -> None:
    refused(shared_server.request(item.method, path_of(item)), 400, 404)


@each(WITH_BODY)
def test_a_body_over_the_limit(shared_server: Server, item: Operation) -> None:
    content = b" " * (BODY_LIMIT + 1)
    answer = shared_server.request(item.method, path_of(item), content=content, headers=JSON)
    assert str(BODY_LIMIT) in refused(answer, 413)


def test_a_body_over_the_limit_that_announces_no_length(shared_server: Server) -> None:
    chunks = (b" " * 65_536 for _ in range(BODY_LIMIT // 65_536 + 1))
    refused(shared_server.request("POST", "/v1/customers", content=chunks, headers=JSON), 413)


@pytest.mark.parametrize(
    "path", ["/", "/v1", "/v1/", "/v1/customers/", "//v1/customers", "/V1/customers", "/v3/x"]
)
def test_unknown_addresses(shared_server: Server, path: str) -> None:
    refused(shared_server.get(path), 404)
    refused(shared_server.post(path, {}), 404)


@pytest.mark.parametrize("key", ["", "k" * 256])
@each([item for item in WITH_BODY if item.method == "POST" and item.path != "/v1/ingest"])
def test_idempotency_keys_of_no_use(shared_server: Server, item: Operation, key: str) -> None:
    answer = shared_server.post(path_of(item), {}, headers={"idempotency-key": key})
    refused(answer, 400)


def test_nothing_was_stored(shared_server: Server) -> None:
    """After all of the above the sandbox is as empty as before."""
    assert shared_server.client.v1.customers.list().data == []
    assert shared_server.client.v1.billable_metrics.list().data == []
