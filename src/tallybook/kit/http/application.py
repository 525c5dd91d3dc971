"""The ASGI application: finds the operation, opens the transaction, turns errors into answers."""

import asyncio
import time
import uuid
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from threading import Lock
from typing import Any, cast
from urllib.parse import parse_qsl
from weakref import WeakValueDictionary

import structlog
from starlette.types import Receive, Scope, Send

from tallybook.kit.db.faults import reason_of
from tallybook.kit.db.tx import Environment
from tallybook.kit.http.auth import Token, Tokens
from tallybook.kit.http.errors import headers_of, status_of
from tallybook.kit.http.idempotency import (
    Answer,
    check_key,
    digest_request,
    is_free,
    recall,
    remember,
)
from tallybook.kit.http.limits import SLOW_AT_ONCE, Gate, RequestLimits
from tallybook.kit.http.metrics import observe
from tallybook.kit.http.operation import Operation
from tallybook.kit.http.routing import Match, Routes
from tallybook.kit.http.wire import convert, decode, encode, path_value
from tallybook.values.errors import (
    Conflict,
    Forbidden,
    Invalid,
    NotFound,
    TallybookError,
    TooLarge,
    Unavailable,
    Unsupported,
)

BODY_LIMIT = 8 * 1024 * 1024
_JSON = (b"content-type", b"application/json")

log = structlog.get_logger("tallybook.http")


class _Headers:
    """The headers of a request; only those that are asked for become text."""

    __slots__ = ("_raw",)

    def __init__(self, pairs: Iterable[tuple[bytes, bytes]]) -> None:
        self._raw = dict(pairs)

    def get(self, name: str) -> str | None:
        """The value under a lower-case name."""
        value = self._raw.get(name.encode())
        return None if value is None else value.decode("latin-1")


@dataclass(slots=True)
class Call:
    """One HTTP request on its way through."""

    scope: Scope
    headers: "_Headers"
    request_id: str
    token: Token | None = None
    environment: Environment | None = None
    body: bytes = b""
    held: int = 0
    """Bytes of the body that the gate counts."""


@dataclass(frozen=True, slots=True)
class Page:
    """An answer that is not JSON or needs no token: health, metrics, the OpenAPI document.

    One that asks a store `waits`, and so is rendered in a thread.
    """

    content_type: str
    render: Callable[[], tuple[int, bytes]]
    waits: bool = False


class Application:
    """Serves operations over HTTP for several environments."""

    def __init__(
        self,
        *,
        operations: Sequence[Operation],
        pages: Mapping[str, Page],
        tokens: Tokens,
        environments: Mapping[str, Environment],
        limits: RequestLimits,
        shutdown: Callable[[], Awaitable[None]] | None = None,
    ) -> None:
        """Take everything to serve; `pages` by path; `shutdown` runs after the last answer."""
        self._routes: Routes[Operation] = Routes({(item.method, item.path): item for item in operations})
        self._pages = pages
        self._tokens = tokens
        self._environments = environments
        self._shutdown = shutdown
        self._gate = Gate(limits)
        self._threads = ThreadPoolExecutor(max_workers=16, thread_name_prefix="operation")
        self._slow_threads = ThreadPoolExecutor(max_workers=SLOW_AT_ONCE, thread_name_prefix="slow")
        self._turns: WeakValueDictionary[tuple[str, str], asyncio.Lock] = WeakValueDictionary()
        """One lock for each Idempotency-Key whose request runs on the event loop right now."""
        self._alone = Lock()
        """Held by a request with an Idempotency-Key that runs outside of one transaction."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one ASGI scope."""
        if scope["type"] == "lifespan":
            await self._lifespan(receive, send)
        elif scope["type"] == "http":
            await self._http(scope, receive, send)

    async def _lifespan(self, receive: Receive, send: Send) -> None:
        while True:
            message = await receive()
            if message["type"] == "lifespan.startup":
                await send({"type": "lifespan.startup.complete"})
            else:
                for threads in (self._threads, self._slow_threads):
                    await asyncio.get_running_loop().run_in_executor(None, threads.shutdown)
                if self._shutdown is not None:
                    await self._shutdown()
                await send({"type": "lifespan.shutdown.complete"})
                return

    async def _http(self, scope: Scope, receive: Receive, send: Send) -> None:
        started = time.perf_counter()
        call = Call(scope, _Headers(scope["headers"]), request_id=str(uuid.uuid4()))
        name = "unmatched"
        page = self._pages.get(scope["path"]) if scope["method"] in ("GET", "HEAD") else None
        if page is not None:
            name = scope["path"]
            status, body = await asyncio.to_thread(page.render) if page.waits else page.render()
            answer, extra = Answer(status, body), {"content-type": page.content_type}
        else:
            answer, extra, name = await self._answer(call, receive)
            self._gate.release(call.held)
        await _respond(
            send, answer, {"x-request-id": call.request_id, **extra}, head=scope["method"] == "HEAD"
        )
        seconds = time.perf_counter() - started
        observe(name, answer.status, seconds)
        if name != "ingest-v1" or answer.status >= 400:
            self._log(call, name, answer.status, seconds)

    async def _answer(self, call: Call, receive: Receive) -> tuple[Answer, dict[str, str], str]:
        """The answer to a call, whatever goes wrong; also extra headers and the operation's name."""
        name = "unmatched"
        try:
            call.body = await self._read_body(call, receive)
            call.token = self._tokens.authenticate(call.headers.get("authorization"))
            self._gate.admit(call.token.id)
            call.environment = self._environments[call.token.environment]
            match = self._match(call)
            name = match.target.name
            run = asyncio.get_running_loop().run_in_executor
            if match.target.is_async:
                return await self._perform_async(match.target, call, run), {}, name
            if match.target.is_slow:
                with self._gate.slow():
                    return await run(self._slow_threads, self._perform, call, match), {}, name
            return await run(self._threads, self._perform, call, match), {}, name
        except TallybookError as error:
            if isinstance(error, Unavailable):
                log.warning(
                    "unavailable", request_id=call.request_id, operation=name, reason=reason_of(error)
                )
            return _refusal(error), _headers_of(error), name
        except Exception:
            log.exception("unexpected", request_id=call.request_id, operation=name)
            body = encode(
                {"message": f"Unexpected error; please report it with request id {call.request_id}."}
            )
            return Answer(500, body), {}, name

    async def _read_body(self, call: Call, receive: Receive) -> bytes:
        """The whole body, refused at once when it is announced or found to be over the limit.

        It counts as held until the request is answered.
        """
        announced = call.headers.get("content-length") or "0"
        if announced.isascii() and announced.isdigit() and int(announced) > BODY_LIMIT:
            raise _too_large()
        chunks: list[bytes] = []
        while True:
            message = await receive()
            if message["type"] == "http.disconnect":
                raise Invalid("The connection was closed before the body was complete; send it again")
            chunk: bytes = message.get("body", b"")
            if call.held + len(chunk) > BODY_LIMIT:
                raise _too_large()
            self._gate.hold(len(chunk))
            call.held += len(chunk)
            chunks.append(chunk)
            if not message.get("more_body"):
                return b"".join(chunks)

    def _match(self, call: Call) -> Match[Operation]:
        method, path = call.scope["method"], call.scope["path"]
        match = self._routes.find("GET" if method == "HEAD" else method, path)
        if match is not None:
            return match
        allowed = self._routes.methods(path) | ({"GET"} if path in self._pages else set())
        raise _Unroutable(method, path, allowed)

    async def _perform_async(self, operation: Operation, call: Call, run: Callable[..., Any]) -> Answer:
        """Run an operation on the event loop; only an Idempotency-Key costs a transaction."""
        environment, token = _authenticated(call)
        if token.is_read_only:
            raise _read_only()
        _require_json(call)
        if call.scope["query_string"]:
            _arguments(operation, call, {})
        key = call.headers.get("idempotency-key")
        if key is None:
            return Answer(200, encode(await operation.handler(environment, content=call.body)))
        digest = _digest(operation, call)
        # A request with the key of one that still runs waits, and is given the answer of that one.
        async with self._turns.setdefault((environment.name, check_key(key)), asyncio.Lock()):
            earlier = await run(self._threads, _recalled, environment, token, key, digest)
            if earlier is not None:
                return cast("Answer", earlier)
            answer = Answer(200, encode(await operation.handler(environment, content=call.body)))
            await run(self._threads, _kept, environment, token, key, digest, answer)
            return answer

    def _perform(self, call: Call, match: Match[Operation]) -> Answer:
        """Run one operation in a worker thread, inside its transaction."""
        operation, (environment, token) = match.target, _authenticated(call)
        if operation.writes and token.is_read_only:
            raise _read_only()
        arguments = _arguments(operation, call, match.parameters)
        key = call.headers.get("idempotency-key") if operation.method == "POST" else None
        if operation.takes_environment:
            if key is not None:
                with self._alone:
                    return _perform_apart_once(operation, arguments, check_key(key), call)
            return Answer(200, encode(operation.handler(environment, **arguments)))
        if key is not None:
            return _perform_once(operation, arguments, check_key(key), call)
        opened = environment.write(token.name) if operation.writes else environment.read(token.name)
        with opened as tx:
            return Answer(200, encode(operation.handler(tx, **arguments)))

    def _log(self, call: Call, name: str, status: int, seconds: float) -> None:
        log.info(
            "request",
            request_id=call.request_id,
            method=call.scope["method"],
            path=call.scope["path"],
            operation=name,
            status=status,
            milliseconds=round(seconds * 1000, 2),
            environment=call.environment.name if call.environment else None,
            token=call.token.name if call.token else None,
        )


class _Unroutable(TallybookError):
    """No operation at this address: 404, or 405 when another method would do."""

    def __init__(self, method: str, path: str, allowed: set[str]) -> None:
        self.allowed = sorted(allowed)
        if allowed:
            super().__init__(f"{method} is not offered on {path}; use {' or '.join(self.allowed)}")
        else:
            super().__init__(f"No operation at {path}; see /openapi.json for the addresses")


def _refusal(error: TallybookError) -> Answer:
    if isinstance(error, _Unroutable):
        return Answer(405 if error.allowed else 404, encode({"message": error.message}))
    return Answer(status_of(error), encode({"message": error.message}))


def _headers_of(error: TallybookError) -> dict[str, str]:
    if isinstance(error, _Unroutable):
        return {"allow": ", ".join(error.allowed)} if error.allowed else {}
    return headers_of(error)


def _authenticated(call: Call) -> tuple[Environment, Token]:
    if call.environment is None or call.token is None:
        raise AssertionError("a call is authenticated before it is performed")
    return call.environment, call.token


def _read_only() -> Forbidden:
    return Forbidden("Authorization: this token may only read; use a token that may write")


def _perform_once(operation: Operation, arguments: dict[str, Any], key: str, call: Call) -> Answer:
    """Perform under an Idempotency-Key: the answer is stored with the work, or found and repeated."""
    environment, token = _authenticated(call)
    digest = _digest(operation, call)
    try:
        with environment.write(token.name) as tx:
            answer = recall(tx, key, digest)
            if answer is None:
                answer = Answer(200, encode(operation.handler(tx, **arguments)))
                remember(tx, key, digest, answer)
            return answer
    except (Conflict, NotFound) as error:
        with environment.write(token.name) as tx:
            if is_free(tx, key):
                remember(tx, key, digest, _refusal(error))
        raise


def _perform_apart_once(operation: Operation, arguments: dict[str, Any], key: str, call: Call) -> Answer:
    """As `_perform_once`, for an operation that opens its own transactions."""
    environment, token = _authenticated(call)
    digest = _digest(operation, call)
    earlier = _recalled(environment, token, key, digest)
    if earlier is not None:
        return earlier
    try:
        answer = Answer(200, encode(operation.handler(environment, **arguments)))
    except (Conflict, NotFound) as error:
        _kept(environment, token, key, digest, _refusal(error))
        raise
    _kept(environment, token, key, digest, answer)
    return answer


def _digest(operation: Operation, call: Call) -> str:
    target = call.scope["path"] + "?" + call.scope["query_string"].decode("latin-1")
    return digest_request(operation.method, target, call.body)


def _recalled(environment: Environment, token: Token, key: str, digest: str) -> Answer | None:
    with environment.read(token.name) as tx:
        return recall(tx, key, digest)


def _kept(environment: Environment, token: Token, key: str, digest: str, answer: Answer) -> None:
    with environment.write(token.name) as tx:
        remember(tx, key, digest, answer)


def _arguments(operation: Operation, call: Call, parameters: Mapping[str, str]) -> dict[str, Any]:
    kinds = operation.path_parameters
    arguments: dict[str, Any] = {
        name: path_value(text, name, kinds[name]) for name, text in parameters.items()
    }
    texts = _query_texts(call.scope["query_string"])
    if operation.query is not None:
        arguments["query"] = convert(_shaped(texts, operation.query), operation.query)
    elif texts:
        raise Invalid(f"{next(iter(texts))}: unknown query parameter; remove it")
    if operation.body is not None and (call.body or not operation.body_is_optional):
        _require_json(call)
        arguments["body"] = decode(call.body, operation.body)
    return arguments


def _query_texts(raw: bytes) -> dict[str, list[str]]:
    try:
        pairs = parse_qsl(raw.decode("ascii"), keep_blank_values=True, max_num_fields=1_000, errors="strict")
    except ValueError:
        raise Invalid("query: not a valid query string; percent-encode it as UTF-8") from None
    texts: dict[str, list[str]] = {}
    for name, text in pairs:
        texts.setdefault(name.removesuffix("[]"), []).append(text)
    return texts


def _shaped(texts: Mapping[str, list[str]], shape: Any) -> dict[str, Any]:
    """Lists split at commas, single values bare, so that they fit the query's struct."""
    kinds = {name: str(shape.__annotations__.get(name, "")) for name in shape.__struct_fields__}
    lists = {name for name, kind in kinds.items() if "list[" in kind}
    shaped: dict[str, Any] = {}
    for name, given in texts.items():
        if name in lists:
            shaped[name] = [part for text in given for part in text.split(",") if part]
        elif len(given) > 1:
            raise Invalid(f"{name}: given {len(given)} times; send it once")
        elif "datetime" in kinds.get(name, "") and given[0][4:5] != "-":
            # Else a bare number would pass for seconds since 1970.
            raise Invalid(
                f"{name}: {given[0][:60]!r} is no RFC 3339 date-time; send e.g. 2026-01-31T00:00:00Z"
            )
        else:
            shaped[name] = given[0]
    return shaped


def _require_json(call: Call) -> None:
    kind = call.headers.get("content-type")
    if kind is None:
        return
    media = kind.partition(";")[0].strip().lower()
    if media != "application/json" and not media.endswith("+json"):
        raise Unsupported(f"Content-Type: {media[:60]!r} is not read here; send application/json")


def _too_large() -> TooLarge:
    return TooLarge(f"The body is larger than {BODY_LIMIT} bytes; split it into smaller requests")


async def _respond(send: Send, answer: Answer, extra: Mapping[str, str], *, head: bool) -> None:
    headers = [] if "content-type" in extra else [_JSON]
    headers.append((b"content-length", b"%d" % len(answer.body)))
    headers += [(name.encode(), value.encode("latin-1", "replace")) for name, value in extra.items()]
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    await send({"type": "http.response.body", "body": b"" if head else answer.body})
