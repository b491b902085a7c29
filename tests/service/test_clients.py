"""Real clients of other rerank services, unchanged but for the address, against a real server.

Each asks for the model that it has built in or its documentation names; the one that is served here answers.
"""

from __future__ import annotations

import gc
import json
import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from ranking.data.store import Table, build_store
from tests.service.server.processes import running
from tests.service.server.program import SERVER

FEATURES = [[0.1, 0, 0], [0.7, 0, 0], [0.4, 0, 0]]
DOCUMENTS = [{"features": row} for row in FEATURES]
TEXTS = [json.dumps(document) for document in DOCUMENTS]
IDS = ["sku-0", "sku-1", "sku-2"]
ORDER = [1, 2, 0]

# Other people's warnings: their sockets, and what they think of their own dependencies.
pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture(autouse=True, scope="module")
def sockets_closed() -> Iterator[None]:
    """Sockets a client left open are closed here, and not in somebody else's test."""
    yield
    gc.collect()


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    store = str(tmp_path_factory.mktemp("features") / "store")
    build_store(store, Table(("bm25", "ctr", "price"), IDS, np.array(FEATURES, np.float32)))
    with running("-c", SERVER, RANKWRIGHT_FEATURES=store) as (_, found):
        yield found


strings = pytest.mark.parametrize("strings", [TEXTS, IDS], ids=["features", "ids"])
"""What a client of texts may send."""


def test_cohere_v2(url: str) -> None:
    """Objects pass through unchanged, and its errors are its own types."""
    cohere = pytest.importorskip("cohere")
    client = cohere.ClientV2(api_key="k", base_url=url)
    reply = client.rerank(model="rerank-v3.5", query="q", documents=DOCUMENTS, top_n=2)
    assert [result.index for result in reply.results] == ORDER[:2]
    assert 0 < reply.results[1].relevance_score < reply.results[0].relevance_score < 1
    assert reply.meta.warnings == ["model 'rerank-v3.5' is not known: default@0 answers for it"]
    with pytest.raises(cohere.errors.BadRequestError, match="ranks by features"):
        client.rerank(model="rerank-v3.5", query="q", documents=[{"text": "a text"}])
    with pytest.raises(cohere.errors.NotFoundError):
        client.rerank(model="default@9", query="q", documents=DOCUMENTS)


@strings
def test_cohere_v2_strings(url: str, strings: list[str]) -> None:
    """What its types allow."""
    cohere = pytest.importorskip("cohere")
    reply = cohere.ClientV2("k", base_url=url).rerank(model="rerank-v3.5", query="q", documents=strings)
    assert [result.index for result in reply.results] == ORDER


@strings
@pytest.mark.parametrize("model", [{}, {"model": "rerank-english-v3.0"}], ids=["none", "named"])
def test_cohere_v1(url: str, strings: list[str], model: dict[str, str]) -> None:
    """With its documents back."""
    cohere = pytest.importorskip("cohere")
    client = cohere.Client(api_key="k", base_url=url)
    reply = client.rerank(**model, query="q", documents=strings, return_documents=True)
    assert [(result.index, result.document.text) for result in reply.results] == [
        (i, strings[i]) for i in ORDER
    ]


@strings
def test_voyage(url: str, strings: list[str]) -> None:
    """Strings only."""
    voyageai = pytest.importorskip("voyageai")
    client = voyageai.Client(api_key="k", base_url=f"{url}/v1")
    reply = client.rerank("q", strings, model="rerank-2.5", top_k=2)
    assert [result.index for result in reply.results] == ORDER[:2]
    with pytest.raises(voyageai.error.InvalidRequestError, match="ranks by features"):
        client.rerank("q", ['{"text": "a text"}'], model="rerank-2.5")


@strings
@pytest.mark.parametrize(
    ("name", "provider", "path"),
    [
        ("cohere", None, "/v1/rerank"),
        ("jina", None, "/v1/rerank"),
        ("voyage", None, "/v1/rerank"),
        ("BAAI/bge-reranker-base", "text-embeddings-inference", "/rerank"),
    ],
)
def test_rerankers(url: str, strings: list[str], name: str, provider: str | None, path: str) -> None:
    """Its own objects, by the models it has built in for its providers."""
    rerankers = pytest.importorskip("rerankers")
    pytest.importorskip("requests")
    more = {} if provider is None else {"model_type": "APIRanker", "api_provider": provider}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        ranker = rerankers.Reranker(name, api_key="k", url=f"{url}{path}", verbose=0, **more)
        ranked = ranker.rank("q", strings)
    assert [result.doc_id for result in ranked.results] == ORDER


@strings
@pytest.mark.parametrize(
    ("model", "path"),
    [
        ("cohere/rerank-v3.5", "/v2/rerank"),
        ("jina_ai/jina-reranker-v2-base-multilingual", "/v1/rerank"),
        ("infinity/mixedbread-ai/mxbai-rerank-xsmall-v1", ""),
        ("huggingface/BAAI/bge-reranker-base", ""),
        ("voyage/rerank-2.5", "/v1/rerank"),
    ],
)
def test_litellm(
    url: str, monkeypatch: pytest.MonkeyPatch, strings: list[str], model: str, path: str
) -> None:
    """Five of its providers; it asks for documents everywhere."""
    monkeypatch.setenv("LITELLM_LOCAL_MODEL_COST_MAP", "True")
    litellm = pytest.importorskip("litellm")
    reply = litellm.rerank(
        model=model, query="q", documents=strings, top_n=3, api_key="k", api_base=f"{url}{path}"
    )
    assert [result["index"] for result in reply.results] == ORDER


@strings
def test_langchain(url: str, strings: list[str]) -> None:
    """By address and key; its compressor sends null for what it leaves out."""
    langchain_cohere = pytest.importorskip("langchain_cohere")
    reranker: Any = langchain_cohere.CohereRerank(model="rerank-v3.5", base_url=url, cohere_api_key="k")
    assert [item["index"] for item in reranker.rerank(strings, "q", top_n=2)] == ORDER[:2]
