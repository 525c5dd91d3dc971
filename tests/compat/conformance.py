"""Sends generated requests to every operation of an OpenAPI document and checks what comes back.

Half of the requests fit the document and half do not. Ids that the document cannot know are filled in
from a small catalogue, so that requests that fit often succeed. Every run makes the same requests.
"""

from typing import Any

import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis import Case, GenerationMode
from schemathesis.checks import CHECKS
from schemathesis.schemas import APIOperation

from tests.support import SANDBOX_TOKEN, Server

# A request that fits a document may still collide with what is stored, so what must be accepted and what
# refused is for the tests of each domain; here every answer must be one that the document describes.
CHECKED = ("status_code_conformance", "content_type_conformance", "response_schema_conformance")


def operations_in(document: dict[str, Any]) -> dict[str, APIOperation]:
    """The operations of a document by their operationId."""
    schema = schemathesis.openapi.from_dict(document)
    found = (result.ok() for result in schema.get_all_operations())
    return {operation.definition.raw["operationId"]: operation for operation in found}


def exercise(
    operation: APIOperation,
    server: Server,
    known: dict[str, str],
    examples: int,
    checks: tuple[str, ...] = CHECKED,
) -> dict[int, int]:
    """Send generated requests to one operation; how often it answered with each status.

    Raises on an answer that the document does not describe, on 422 and on 5xx other than 501, and on a
    refusal that is anything but `{"message": text}`.
    """
    statuses: dict[int, int] = {}
    chosen = [check for check in CHECKS.get_all() if check.__name__ in checks]
    headers = {"authorization": f"Bearer {SANDBOX_TOKEN}"}
    for mode in (GenerationMode.POSITIVE, GenerationMode.NEGATIVE):

        @settings(
            max_examples=examples,
            derandomize=True,
            database=None,
            deadline=None,
            phases=(Phase.generate, Phase.shrink),
            suppress_health_check=list(HealthCheck),
        )
        @given(case=operation.as_strategy(generation_mode=mode))
        def send(case: Case) -> None:
            fill_in(case, known)
            response = case.call(base_url=server.url, headers=headers, timeout=60)
            status = response.status_code
            statuses[status] = statuses.get(status, 0) + 1
            assert status < 500 or status == 501, response.text
            assert status != 422
            if status >= 400:
                assert list(response.json()) == ["message"]
            if status < 400 or "status_code_conformance" in checks:
                case.validate_response(response, checks=chosen)

        send()
    return statuses


def fill_in(case: Case, known: dict[str, str]) -> None:
    """Put known ids where the request names an object; `operation.id` is the id to read with it."""
    name = case.operation.definition.raw["operationId"]
    known = {"id": known[f"{name}.id"], **known} if f"{name}.id" in known else known
    if isinstance(case.path_parameters, dict):
        case.path_parameters.update({k: v for k, v in known.items() if k in case.path_parameters})
    if isinstance(case.query, dict):
        case.query.update({k: v for k, v in known.items() if k in case.query})
    if isinstance(case.body, dict):
        case.body.update({k: v for k, v in known.items() if k in case.body and isinstance(case.body[k], str)})
