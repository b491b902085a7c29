"""Real clients of other rerank services, unchanged but for the address, against a real server."""

from __future__ import annotations

import gc
import json
import warnings
from collections.abc import Iterator
from typing import Any

import pytest

from tests.service.test_server import running

SERVER = """
from unittest import mock
from service import server
from service.app import create_app
from service.settings import Settings
from tests.service.conftest import Linear

with mock.patch.object(server, "create_app", lambda settings: create_app(settings, Linear())):
    server.serve(Settings(port=0))
"""
FEATURES = [[0.1, 0, 0], [0.7, 0, 0], [0.4, 0, 0]]
DOCUMENTS = [{"features": row} for row in FEATURES]
TEXTS = [json.dumps(document) for document in DOCUMENTS]
ORDER = [1, 2, 0]

pytestmark = [
    # Other people's warnings: their sockets, and what they think of their own dependencies.
    pytest.mark.filterwarnings("ignore"),
    pytest.mark.xdist_group("clients"),
]


@pytest.fixture(autouse=True)
def sockets_closed() -> Iterator[None]:
    """Sockets a client left open are closed here, and not in somebody else's test."""
    yield
    gc.collect()


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with running("-c", SERVER) as (_, found):
        yield found


def test_cohere_v2(url: str) -> None:
    """Objects pass through unchanged, and its errors are its own types."""
    cohere = pytest.importorskip("cohere")
    client = cohere.ClientV2(api_key="k", base_url=url)
    reply = client.rerank(model="default", query="q", documents=DOCUMENTS, top_n=2)
    assert [result.index for result in reply.results] == ORDER[:2]
    assert 0 < reply.results[1].relevance_score < reply.results[0].relevance_score < 1
    with pytest.raises(cohere.errors.BadRequestError, match="ranks by features"):
        client.rerank(model="default", query="q", documents=["a text"])
    with pytest.raises(cohere.errors.NotFoundError):
        client.rerank(model="nope", query="q", documents=DOCUMENTS)


def test_cohere_v1(url: str) -> None:
    """With its documents back."""
    cohere = pytest.importorskip("cohere")
    client = cohere.Client(api_key="k", base_url=url)
    reply = client.rerank(model="default", query="q", documents=TEXTS, return_documents=True)
    assert [(result.index, result.document.text) for result in reply.results] == [
        (i, TEXTS[i]) for i in ORDER
    ]


def test_voyage(url: str) -> None:
    """Strings only: the features are JSON inside."""
    voyageai = pytest.importorskip("voyageai")
    client = voyageai.Client(api_key="k", base_url=f"{url}/v1")
    reply = client.rerank("q", TEXTS, model="default", top_k=2)
    assert [result.index for result in reply.results] == ORDER[:2]
    with pytest.raises(voyageai.error.InvalidRequestError, match="ranks by features"):
        client.rerank("q", ["a text"], model="default")


@pytest.mark.parametrize(
    ("provider", "path"), [("cohere", "/v1/rerank"), ("text-embeddings-inference", "/rerank")]
)
def test_rerankers(url: str, provider: str, path: str) -> None:
    """Its own objects, by two of its dialects."""
    rerankers = pytest.importorskip("rerankers")
    pytest.importorskip("requests")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        ranker = rerankers.Reranker(
            "default",
            model_type="APIRanker",
            api_provider=provider,
            api_key="k",
            url=f"{url}{path}",
            verbose=0,
        )
        ranked = ranker.rank("q", TEXTS)
    assert [result.doc_id for result in ranked.results] == ORDER


@pytest.mark.parametrize(
    ("model", "path"),
    [
        ("cohere/default", "/v2/rerank"),
        ("jina_ai/default", "/v1/rerank"),
        ("infinity/default", ""),
        ("huggingface/default", ""),
        ("voyage/default", "/v1/rerank"),
    ],
)
def test_litellm(url: str, monkeypatch: pytest.MonkeyPatch, model: str, path: str) -> None:
    """Five of its providers; it asks for documents everywhere."""
    monkeypatch.setenv("LITELLM_LOCAL_MODEL_COST_MAP", "True")
    litellm = pytest.importorskip("litellm")
    reply = litellm.rerank(
        model=model, query="q", documents=TEXTS, top_n=3, api_key="k", api_base=f"{url}{path}"
    )
    assert [result["index"] for result in reply.results] == ORDER


def test_langchain(url: str) -> None:
    """Its compressor sends null for what it leaves out."""
    langchain_cohere = pytest.importorskip("langchain_cohere")
    cohere = pytest.importorskip("cohere")
    reranker: Any = langchain_cohere.CohereRerank(
        client=cohere.ClientV2(api_key="k", base_url=url), model="default"
    )
    assert [item["index"] for item in reranker.rerank(TEXTS, "q", top_n=2)] == ORDER[:2]
