"""Following a registry: promote and it is served, break it and the old one stays."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import pytest

from ranking.errors import ArtifactError, UsageError
from service.app import create_app
from service.models import watching
from service.models.table import Model
from service.models.watching import Watcher
from service.settings import Settings
from service.telemetry.metrics import Telemetry
from tests.service.conftest import Linear

A = {"id": "a", "features": [1, 0, 0]}


@dataclass(frozen=True)
class Ref:
    name: str
    version: int
    folder: Path = Path()

    def __str__(self) -> str:
        return f"{self.name}@{self.version}"


class Shelf:
    """A registry in memory: version v of any name scores v for candidate A; `broken` ones do not load."""

    def __init__(self, **names: int) -> None:
        self.latest = dict(names)
        self.alias: dict[str, dict[str, int]] = {name: {} for name in names}
        self.broken: set[int] = set()
        self.loads: list[str] = []

    def names(self) -> list[str]:
        return sorted(self.latest)

    def versions(self, name: str) -> list[int]:
        return list(range(1, self.latest[name] + 1))

    def aliases(self, name: str) -> dict[str, int]:
        return self.alias[name]

    def resolve(self, reference: str) -> Ref:
        name, at, version = reference.partition("@")
        name, _, alias = name.partition(":")
        if name not in self.latest:
            raise UsageError(f"unknown model {name}")
        wanted = version if at else self.alias[name].get(alias or "production") or self.latest[name]
        if not str(wanted).isdecimal() or int(wanted) not in self.versions(name):
            raise UsageError(f"unknown version {wanted}")
        return Ref(name, int(wanted))

    def load(self, ref: Ref) -> Linear:
        self.loads.append(str(ref))
        if ref.version in self.broken:
            raise ArtifactError("damaged")
        return Linear((float(ref.version), 0.0, 0.0), bias=0.0)


@pytest.fixture(autouse=True)
def without_folders(monkeypatch: pytest.MonkeyPatch) -> None:
    """The shelf has no manifests to read."""

    def open_version(registry: Any, ref: Any) -> Model:
        return Model(ref.name, str(ref.version), registry.load(ref), file_bytes=1000)

    monkeypatch.setattr(watching, "open_version", open_version)


def follow(shelf: Any, default: str | None = None, **options: Any) -> Watcher:
    watcher = Watcher(shelf, Telemetry(), default, **options)
    watcher.load()
    return watcher


def test_names_aliases_and_numbers_answer() -> None:
    """movies, movies:production, movies@2."""
    shelf = Shelf(movies=3)
    shelf.alias["movies"] = {"production": 2}
    models = follow(shelf).models
    found = {ref: models.find(ref).version for ref in (None, "movies", "movies:production", "movies@2")}
    assert set(found.values()) == {"2"}
    assert shelf.loads == ["movies@2"]


def test_a_number_that_is_not_current_is_loaded_when_asked_for_and_kept() -> None:
    """Once, not at every request; an unknown one is a 404."""
    shelf = Shelf(movies=3)
    models = follow(shelf).models
    assert [models.find("movies@1").version for _ in range(3)] == ["1", "1", "1"]
    assert shelf.loads == ["movies@3", "movies@1"]
    for unknown in ("movies@9", "movies@x", "movies@", "other@1", "movies:x"):
        with pytest.raises(Exception, match="there is no model"):
            models.find(unknown)


def test_only_a_few_old_numbers_stay_loaded() -> None:
    """A client that walks through the history does not fill the memory."""
    shelf = Shelf(movies=20)
    watcher = follow(shelf, memory_bytes=5 * 3000)
    for version in range(1, 20):
        watcher.models.find(f"movies@{version}")
    assert list(watcher._kept) == [f"movies@{version}" for version in (15, 16, 17, 18, 19)]


def test_a_publication_is_served_after_the_next_look() -> None:
    """And the version that left is no longer held by the table."""
    shelf = Shelf(movies=1)
    watcher = follow(shelf)
    shelf.latest["movies"] = 2
    assert watcher.models.find("movies").version == "1"
    watcher.load()
    assert watcher.models.find("movies").version == "2"
    assert set(watcher.models.table) == {"movies", "movies@2"}
    text = watcher.telemetry.exposition().decode()
    assert 'rankwright_model_info{kind="linear",model="movies",version="2"} 1.0' in text
    assert 'rankwright_model_info{kind="linear",model="movies",version="1"} 0.0' in text
    assert 'rankwright_model_swaps_total{model="movies"} 1.0' in text


def test_a_version_that_does_not_load_leaves_the_old_one_serving(caplog: pytest.LogCaptureFixture) -> None:
    """Logged and counted once, not at every look."""
    shelf = Shelf(movies=1)
    watcher = follow(shelf)
    shelf.latest["movies"], shelf.broken = 2, {2}
    for _ in range(3):
        watcher.load()
    assert watcher.models.find("movies").version == "1"
    assert shelf.loads == ["movies@1", "movies@2"]
    assert caplog.text.count("movies@2 could not be loaded: damaged") == 1
    assert (
        'rankwright_model_load_failures_total{model="movies"} 1.0' in watcher.telemetry.exposition().decode()
    )


def test_a_failed_version_is_tried_again_later(monkeypatch: pytest.MonkeyPatch) -> None:
    """A full disk may have been the reason."""
    shelf = Shelf(movies=1)
    shelf.broken = {1}
    watcher = follow(shelf)
    assert not watcher.models.ready
    shelf.broken = set()
    later = time.monotonic() + watching.RETRY_SECONDS + 1
    monkeypatch.setattr(watching, "time", SimpleNamespace(monotonic=lambda: later))
    watcher.load()
    assert watcher.models.ready


def test_an_unreadable_name_does_not_take_the_others_down(caplog: pytest.LogCaptureFixture) -> None:
    """Its old version stays, the others follow their own."""
    shelf = Shelf(books=1, movies=1)
    watcher = follow(shelf)
    aliases = shelf.aliases

    def damaged(name: str) -> dict[str, int]:
        if name == "books":
            raise ArtifactError("aliases.json: damaged")
        return aliases(name)

    shelf.aliases = damaged  # type: ignore[method-assign]  # the disk went bad
    shelf.latest = {"books": 2, "movies": 2}
    watcher.load()
    watcher.load()
    assert (watcher.models.find("books").version, watcher.models.find("movies").version) == ("1", "2")
    assert caplog.text.count("books could not be read") == 1


def test_several_names_without_a_default_must_be_named() -> None:
    """422 that lists them; with a default it answers."""
    shelf = Shelf(books=1, movies=1)
    with pytest.raises(Exception, match="name a `model`, one of: books"):
        follow(shelf).models.find(None)
    assert follow(shelf, "movies:production").models.ready is False
    assert follow(shelf, "movies").models.find(None).name == "movies"


def test_a_swap_under_load_fails_no_request_and_mixes_no_versions(monkeypatch: pytest.MonkeyPatch) -> None:
    """The score of every answer is that of the version it names, and each client sees versions only rise."""
    shelf = Shelf(movies=1)
    monkeypatch.setattr("ranking.models.registry.Registry", lambda root: shelf)

    async def ask(client: httpx.AsyncClient) -> list[tuple[int, float]]:
        answers = []
        while shelf.latest["movies"] < 40:
            reply = await client.post("/v1/rank", json={"candidates": [A]})
            assert reply.status_code == 200, reply.text
            body = reply.json()
            answers.append((int(body["version"]), body["results"][0]["score"]))
        return answers

    async def publish() -> None:
        while shelf.latest["movies"] < 40:
            await asyncio.sleep(0.01)
            shelf.latest["movies"] += 1

    async def run() -> list[Any]:
        # Four clients on three threads: on a busy machine the fourth may wait longer than a service lets it.
        waiting = {"scoring_threads": 3, "queue_seconds": 30}
        app = create_app(Settings(registry="anywhere", reload_seconds=0.005, **waiting))
        transport = httpx.ASGITransport(app)
        async with (
            app.router.lifespan_context(app),
            httpx.AsyncClient(transport=transport, base_url="http://x") as client,
        ):
            return await asyncio.gather(*(ask(client) for _ in range(4)), publish())

    *clients, _ = asyncio.run(run())
    assert len({version for answers in clients for version, _ in answers}) > 5
    for answers in clients:
        assert all(score == version for version, score in answers)
        versions = [version for version, _ in answers]
        assert versions == sorted(versions)


def test_an_emptied_registry_leaves_what_is_loaded_serving(caplog: pytest.LogCaptureFixture) -> None:
    """A folder that was unmounted looks like a registry without models."""
    shelf = Shelf(movies=1)
    watcher = follow(shelf)
    before = dict(watcher.models.table)
    shelf.latest = {}
    watcher.load()
    assert watcher.models.table == before
    assert "it holds no models any more" in caplog.text


def test_an_unreadable_history_lists_what_is_loaded(monkeypatch: pytest.MonkeyPatch) -> None:
    """The list of models must not fail where serving does not."""
    shelf = Shelf(movies=1)
    watcher = follow(shelf)

    def damaged(name: str) -> dict[str, int]:
        raise ArtifactError("aliases.json is damaged")

    monkeypatch.setattr(shelf, "aliases", damaged)
    assert watcher.history("movies") == (["1"], {})
