"""The formats of other rerank services, as their servers speak them."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ranking.data.store import Table, build_store
from service.models.table import Model
from tests.service.conftest import Client, Linear, OpenClient

DOCUMENTS = [
    {"text": "one", "features": [0.1, 0, 0]},
    {"text": "two", "features": {"bm25": 0.7}},
    {"features": [-4, 0, 0]},
]
TEXTS = [json.dumps(document) for document in DOCUMENTS]
SCORES = [0.6, 1.2, -3.5]
ORDER = [1, 0, 2]


def sigmoid(score: float) -> float:
    return 1 / (1 + math.exp(-score))


def post(client: Client, path: str, body: Any) -> Any:
    return client.request("POST", path, json=body)


@pytest.mark.parametrize("path", ["/v2/rerank", "/v1/rerank", "/rerank"])
@pytest.mark.parametrize("documents", [DOCUMENTS, TEXTS], ids=["objects", "strings"])
def test_results_are_ordered_with_scores_in_0_1(client: Client, path: str, documents: list[Any]) -> None:
    """Cohere, Jina, infinity and vLLM read `results`; a document comes only when asked for."""
    reply = post(client, path, {"query": "q", "documents": documents, "top_n": 2, "model": "default"}).json()
    assert [result["index"] for result in reply["results"]] == ORDER[:2]
    for result in reply["results"]:
        assert result["relevance_score"] == pytest.approx(sigmoid(SCORES[result["index"]]), rel=1e-6)
        assert "document" not in result
    assert (reply["model"], reply["usage"]["total_tokens"]) == ("default@0", 0)
    assert ("object" in reply) == (path == "/rerank")


@pytest.mark.parametrize(
    ("path", "more", "document"),
    [
        ("/v2/rerank", {}, {"text": "two"}),
        ("/v1/rerank", {}, {"text": "two"}),
        ("/rerank", {}, "two"),
        ("/rerank", {"truncate_prompt_tokens": None}, {"text": "two"}),
    ],
)
def test_a_document_has_the_form_its_clients_expect(
    client: Client, path: str, more: dict[str, Any], document: Any
) -> None:
    """infinity's a text, vLLM's and Cohere's an object."""
    body = {"query": "q", "documents": DOCUMENTS, "return_documents": True, **more}
    assert post(client, path, body).json()["results"][0]["document"] == document


@pytest.mark.parametrize("more", [{"top_k": 2}, {"truncation": True, "top_k": 2}, {"truncation": True}])
def test_voyage_reads_data(client: Client, more: dict[str, Any]) -> None:
    """Known by top_k or truncation."""
    reply = post(client, "/v1/rerank", {"query": "q", "documents": TEXTS, "model": "default", **more}).json()
    assert [item["index"] for item in reply["data"]] == ORDER[: more.get("top_k", 3)]
    assert reply["usage"] == {"total_tokens": 0}


def test_tei_reads_a_bare_list_of_every_text(client: Client) -> None:
    """Its clients count the items, and send no limit where they do."""
    body = {
        "query": "q",
        "texts": TEXTS,
        "return_text": True,
        "raw_scores": True,
        "truncate": None,
    }
    assert post(client, "/rerank", body).json() == [
        {"index": index, "score": pytest.approx(SCORES[index]), "text": "{}" if index == 9 else text}
        for index, text in zip(ORDER, [TEXTS[1], TEXTS[0], TEXTS[2]], strict=True)
    ]


ANSWERS: list[tuple[str, dict[str, Any], str | None]] = [
    ("/v2/rerank", {"documents": DOCUMENTS}, "results"),
    ("/v1/rerank", {"documents": DOCUMENTS}, None),
    ("/v1/rerank", {"documents": DOCUMENTS, "truncation": True}, "data"),
    ("/rerank", {"documents": DOCUMENTS}, "results"),
    ("/rerank", {"documents": DOCUMENTS, "truncate_prompt_tokens": None}, "results"),
    ("/rerank", {"texts": TEXTS}, ""),
]


@pytest.mark.parametrize(("path", "body", "key"), ANSWERS)
@pytest.mark.parametrize(
    ("limits", "count"),
    [
        ({"top_n": 2}, 2),
        ({"top_k": 2}, 2),
        ({"top_n": 2, "top_k": 2}, 2),
        ({"top_n": None, "top_k": 2}, 2),
        ({"top_n": 2, "top_k": None}, 2),
        ({"top_n": 9}, 3),
        ({"top_k": None}, 3),
    ],
)
def test_a_limit_is_a_limit_by_either_name(
    client: Client, path: str, body: dict[str, Any], key: str | None, limits: dict[str, Any], count: int
) -> None:
    """In every dialect; Voyage is known by its name on /v1/rerank."""
    reply = post(client, path, {"query": "q", **body, **limits})
    assert reply.status_code == 200, reply.text
    if key is None:
        key = "data" if "top_k" in limits else "results"
    items = reply.json()[key] if key else reply.json()
    assert [item["index"] for item in items] == ORDER[:count]


@pytest.mark.parametrize(("path", "body", "key"), ANSWERS)
def test_two_limits_that_differ_are_refused(
    client: Client, path: str, body: dict[str, Any], key: str | None
) -> None:
    """Both are named; neither is guessed."""
    reply = post(client, path, {"query": "q", **body, "top_n": 1, "top_k": 2})
    assert (reply.status_code, reply.json()["error"]) == (400, "invalid_top")
    assert reply.json()["message"] == "top_n 1 and top_k 2 mean the same, and differ: send one"


def test_no_limit_is_below_one_but_vllms(client: Client) -> None:
    """Whose 0 is all; the name that came is the one that is named."""
    reply = post(client, "/v2/rerank", {"documents": DOCUMENTS, "top_k": 0})
    assert (reply.status_code, reply.json()["path"]) == (400, "top_k")
    body = {"documents": DOCUMENTS, "truncate_prompt_tokens": None, "top_n": 0}
    assert len(post(client, "/rerank", body).json()["results"]) == 3


def test_extreme_scores_stay_in_0_1(client: Client) -> None:
    """Without overflow on either side."""
    documents = [{"features": [0, 0, 1e30]}, {"features": [0, 0, -1e30]}]
    results = post(client, "/v2/rerank", {"query": "q", "documents": documents}).json()["results"]
    assert [result["relevance_score"] for result in results] == [1, 0]


def test_null_is_as_unset_and_unknown_keys_are_named(client: Client) -> None:
    """Real clients send null for what they leave out."""
    nothing = dict.fromkeys(
        ["top_n", "model", "max_tokens_per_doc", "return_documents", "priority", "explain"]
    )
    reply = post(client, "/v2/rerank", {"query": None, "documents": DOCUMENTS, **nothing, "colour": 3}).json()
    assert len(reply["results"]) == 3
    assert reply["meta"]["warnings"] == ["unknown field 'colour' is ignored"]


def test_our_own_keys_work_through_foreign_clients(client: Client) -> None:
    """Which let additional body parameters pass."""
    body = {
        "query": "q",
        "documents": DOCUMENTS,
        "explain": {"top_features": 1},
        "context": {"ctr": 1},
        "request_id": "r",
    }
    reply = post(client, "/v2/rerank", body).json()
    assert (reply["id"], set(reply["results"][0]["contributions"])) == ("r", {"bias", "values", "other"})


def test_a_foreign_name_is_an_alias(open_client: OpenClient) -> None:
    """Clients with a built-in model name need no change."""
    client = open_client(Linear(), default_model="movies", aliases={"rerank-v3.5": "movies"})
    for name in ("rerank-v3.5", "movies", "movies@0", "default/not-specified", None):
        reply = post(client, "/v2/rerank", {"model": name, "query": "q", "documents": DOCUMENTS})
        assert (reply.status_code, reply.json()["meta"].get("warnings")) == (200, None)


def several(open_client: OpenClient, folder: Path, **settings: Any) -> Client:
    """Two names, one of them with another version."""
    client = open_client(registry=folder, **settings)
    table = {
        "movies": Model("movies", "2", Linear()),
        "movies@1": Model("movies", "1", Linear()),
        "books": Model("books", "7", Linear()),
    }
    client.app.state.models.replace(table)
    return client


def ask(client: Client, path: str, name: str | None, documents: str = "documents") -> Any:
    return post(client, path, {"model": name, "query": "q", documents: DOCUMENTS})


@pytest.mark.parametrize("path", ["/v2/rerank", "/v1/rerank", "/rerank"])
def test_a_single_model_answers_to_every_name(client: Client, path: str) -> None:
    """And says so; a version it does not have is not another's name."""
    reply = ask(client, path, "rerank-v3.5").json()
    assert [result["index"] for result in reply["results"]] == ORDER
    assert reply["model"] == "default@0"
    assert reply["meta"]["warnings"] == ["model 'rerank-v3.5' is not known: default@0 answers for it"]
    for known in ("default@9", "default:production"):
        assert (ask(client, path, known).status_code) == 404


def test_voyage_and_tei_are_told_where_their_clients_bear_it(client: Client) -> None:
    """Beside `data`, and in a header where the answer is a list."""
    told = ["model 'rerank-2.5' is not known: default@0 answers for it", "unknown field 'colour' is ignored"]
    more = {"model": "rerank-2.5", "query": "q", "colour": 1}
    voyage = post(client, "/v1/rerank", {"documents": TEXTS, "truncation": True, **more})
    assert voyage.json()["meta"] == {"warnings": told}
    tei = post(client, "/rerank", {"texts": TEXTS, **more})
    assert json.loads(tei.headers["x-warnings"]) == told
    assert [item["index"] for item in tei.json()] == ORDER
    for reply in (voyage, ask(client, "/v2/rerank", "default")):
        assert "x-warnings" not in reply.headers


@pytest.mark.parametrize("path", ["/v2/rerank", "/v1/rerank", "/rerank"])
@pytest.mark.parametrize("default", [None, "books"])
def test_of_several_models_the_setting_names_who_answers(
    open_client: OpenClient, tmp_path: Path, path: str, default: str | None
) -> None:
    """A name that is known still means itself, and an alias what it says."""
    client = several(
        open_client, tmp_path, default_model=default, foreign_model="movies@1", aliases={"rerank-2": "books"}
    )
    for name, used in (
        ("rerank-v3.5", "movies@1"),
        ("movies", "movies@2"),
        ("rerank-2", "books@7"),
        ("books", "books@7"),
        (None, "books@7" if default else "movies@1"),
    ):
        reply = ask(client, path, name).json()
        assert reply["model"] == used
        warnings = [f"model {name!r} is not known: {used} answers for it"] if name == "rerank-v3.5" else None
        assert reply["meta"].get("warnings") == warnings
    assert ask(client, path, "movies@3").json()["error"] == "unknown_model"


@pytest.mark.parametrize("default", [None, "books"])
def test_of_several_models_none_is_guessed(
    open_client: OpenClient, tmp_path: Path, default: str | None
) -> None:
    """The error names the setting. TEI's format has no model: there the default answers, if there is one."""
    client = several(open_client, tmp_path, default_model=default)
    for path in ("/v2/rerank", "/v1/rerank", "/rerank"):
        reply = ask(client, path, "rerank-v3.5")
        assert (reply.status_code, reply.json()["error"]) == (404, "unknown_model")
        assert (
            "there is no model 'rerank-v3.5' (known: books, movies, movies@1); setting `foreign_model`"
            in reply.json()["message"]
        )
    tei = ask(client, "/rerank", "BAAI/bge-reranker-base", "texts")
    assert tei.status_code == (404 if default is None else 200)
    if default is not None:
        assert "books@7" in tei.headers["x-warnings"]


def test_before_a_model_is_loaded_every_name_is_told_to_come_again(
    open_client: OpenClient, tmp_path: Path
) -> None:
    """An empty registry knows no name yet."""
    client = open_client(registry=tmp_path)
    for name in ("rerank-v3.5", None):
        assert ask(client, "/v2/rerank", name).status_code == 503


def test_ids_alone_are_looked_up(open_client: OpenClient, tmp_path: Path) -> None:
    """As objects or as bare strings, where there is a store."""
    rows = np.array([[1, 0, 0], [3, 0, 0]], np.float32)
    build_store(str(tmp_path / "s"), Table(("bm25", "ctr", "price"), ["sku-1", "sku-2"], rows))
    client = open_client(Linear(), features=str(tmp_path / "s"))
    for documents in (
        ["sku-1", "sku-2"],
        [{"id": "sku-1"}, {"id": "sku-2"}],
        [{"id": "sku-1"}, {"features": [3, 0, 0]}],
    ):
        reply = post(client, "/v2/rerank", {"query": "q", "documents": documents})
        assert [result["index"] for result in reply.json()["results"]] == [1, 0], reply.text
    assert post(client, "/v2/rerank", {"query": "q", "documents": ["sku-9"]}).json()["error"] == "unknown_id"


@pytest.mark.parametrize("path", ["/v2/rerank", "/v1/rerank", "/rerank"])
@pytest.mark.parametrize(
    ("documents", "values", "order"),
    [
        (["sku-1", "sku-2", "sku-1", "sku-2"], [1, 3, 1, 3], [1, 3, 0, 2]),
        ([{"id": "1"}, {"features": [6, 0, 0]}], [5, 6], [1, 0]),
        ([{"id": "a", "features": [2, 0, 0]}, {"id": "a", "features": {"bm25": 4}}], [2, 4], [1, 0]),
        ([{"id": "a", "features": [2, 0, 0]}, "sku-1", {"features": {"bm25": 4}}], [2, 1, 4], [2, 0, 1]),
        ([{"features": [0, 0, 0]}, {"id": "0"}, {"id": "#0"}], [0, 7, 8], [2, 1, 0]),
    ],
)
def test_a_document_is_its_place_and_ids_may_repeat(
    open_client: OpenClient,
    tmp_path: Path,
    path: str,
    documents: list[Any],
    values: list[float],
    order: list[int],
) -> None:
    """A stored row is everybody's who has its id; a place is nobody's id."""
    held = {"sku-1": 1, "sku-2": 3, "1": 5, "0": 7, "#0": 8}
    rows = np.array([[value] for value in held.values()], np.float32)
    build_store(str(tmp_path / "s"), Table(("bm25",), list(held), rows))
    ranker = Linear()
    reply = post(open_client(ranker, features=str(tmp_path / "s")), path, {"documents": documents})
    assert reply.status_code == 200, reply.text
    assert [result["index"] for result in reply.json()["results"]] == order
    assert ranker.seen is not None
    assert ranker.seen[:, 0].tolist() == values


def test_an_id_that_comes_twice_is_asked_for_once(open_client: OpenClient, tmp_path: Path) -> None:
    """And is one unknown id, not two."""
    build_store(str(tmp_path / "s"), Table(("bm25",), ["a"], np.ones((1, 1), np.float32)))
    client = open_client(Linear(), features=str(tmp_path / "s"))
    reply = post(client, "/v2/rerank", {"documents": ["b", "a", "b"]}).json()
    assert (reply["ids"], reply["message"][:6]) == (["b"], "1 ids ")


BAD: list[tuple[dict[str, Any], int, str]] = [
    ({}, 400, "no_documents"),
    ({"documents": []}, 400, "no_documents"),
    ({"documents": ["a text"]}, 400, "text_not_supported"),
    ({"documents": [{"text": "a text"}]}, 400, "text_not_supported"),
    ({"documents": ['{"features": [1,']}, 422, "invalid_document"),
    ({"documents": [3]}, 422, "invalid_document"),
    ({"documents": DOCUMENTS, "top_n": 0}, 400, "invalid_top"),
    ({"documents": DOCUMENTS, "top_n": "all"}, 422, "invalid_request"),
    ({"documents": [{"features": [1]}]}, 422, "wrong_width"),
    ({"documents": [{"features": {"bm52": 1}}]}, 422, "unknown_feature"),
]


@pytest.mark.parametrize(("body", "status", "code"), BAD)
@pytest.mark.parametrize("path", ["/v2/rerank", "/rerank"])
def test_errors_are_permanent_and_every_client_can_read_them(
    client: Client, path: str, body: dict[str, Any], status: int, code: str
) -> None:
    """A message, a detail, an error and TEI's error_type; infinity's details are a list."""
    reply = post(client, path, {"query": "q", **body})
    content = reply.json()
    assert (reply.status_code, content["error"]) == (status, code)
    assert "candidate" not in content["message"]
    assert content["error_type"] in ("Validation", "Empty")
    if path == "/rerank" and status == 422:
        assert [set(item) for item in content["detail"]] == [{"loc", "msg", "type"}]
    else:
        assert content["detail"] == content["message"]


def test_a_body_that_is_no_object_is_a_400(client: Client) -> None:
    """With JSON to say so."""
    for content in (b"", b"[]", b"{", b"\xff"):
        reply = client.request(
            "POST", "/rerank", content=content, headers={"content-type": "application/json"}
        )
        assert (reply.status_code, reply.json()["error"]) == (400, "malformed_json")
