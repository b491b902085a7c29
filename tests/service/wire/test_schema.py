"""The published schema lists every route and status, and all its references lead somewhere."""

from __future__ import annotations

from typing import Any

import pytest

from service.routes.rank import EXAMPLES
from tests.service.conftest import Client, Linear, OpenClient

RANK = {200, 400, 401, 403, 404, 408, 413, 415, 422, 429, 500, 503}
STORED = {200, 401, 403, 404, 422, 429, 500, 503}
ROUTES = {
    ("/v1/rank", "post"): RANK,
    ("/v1/rank:batch", "post"): RANK,
    ("/v2/rerank", "post"): RANK,
    ("/v1/rerank", "post"): RANK,
    ("/rerank", "post"): RANK,
    ("/v1/feedback", "post"): RANK - {503},
    ("/v1/features/{document}", "get"): STORED,
    ("/v1/features/{document}", "put"): RANK,
    ("/v1/features/{document}", "delete"): STORED,
    ("/v1/features:bulk", "post"): RANK,
    ("/v1/models", "get"): {200, 401, 429, 500},
    ("/v1/models/{reference}", "get"): {200, 401, 404, 422, 429, 500, 503},
    ("/healthz", "get"): {200},
    ("/readyz", "get"): {200, 503},
    ("/metrics", "get"): {200, 401, 429},
}


@pytest.fixture
def schema(client: Client) -> dict[str, Any]:
    published: dict[str, Any] = client.get("/openapi.json").json()
    return published


def references(node: Any) -> set[str]:
    """Every `$ref` in a document."""
    if isinstance(node, dict):
        own = {node["$ref"]} if isinstance(node.get("$ref"), str) else set()
        return own.union(*(references(value) for value in node.values()))
    if isinstance(node, list):
        return set().union(*(references(value) for value in node))
    return set()


def test_every_route_and_status_is_listed(schema: dict[str, Any]) -> None:
    """What can come back is declared."""
    listed = {
        (path, method): {int(status) for status in operation["responses"]}
        for path, operations in schema["paths"].items()
        for method, operation in operations.items()
    }
    assert listed == ROUTES


def test_every_reference_leads_to_a_component_and_every_component_is_used(schema: dict[str, Any]) -> None:
    """Nothing dangles."""
    known = {f"#/components/schemas/{name}" for name in schema["components"]["schemas"]}
    assert references(schema) == known


def test_the_request_schema_names_the_fields_of_the_contract(schema: dict[str, Any]) -> None:
    """The structs that decode are the ones that are published."""
    body = schema["paths"]["/v1/rank"]["post"]["requestBody"]["content"]["application/json"]["schema"]
    assert body == {"$ref": "#/components/schemas/RankRequest"}
    fields = schema["components"]["schemas"]["RankRequest"]
    assert set(fields["properties"]) == {
        "model", "request_id", "query", "context", "candidates", "ids", "columns", "matrix", "top_k",
        "explain",
    }  # fmt: skip
    assert fields["additionalProperties"] is False


@pytest.mark.parametrize("name", EXAMPLES)
def test_the_examples_are_answered(open_client: OpenClient, name: str) -> None:
    """What the docs page offers to send works."""
    assert open_client(Linear()).rank(EXAMPLES[name]).status_code == 200


def test_the_docs_page_is_there(client: Client) -> None:
    """A page that reads /openapi.json."""
    reply = client.get("/docs")
    assert reply.status_code == 200
    assert "/openapi.json" in reply.text
