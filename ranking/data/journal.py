"""The service's journal as judged lists: what was shown, joined with what came of it.

A ranking is a list of the documents shown, in the order shown; a document's label is the largest that its
events have by type. Where a list shows an id more than once, an event is of the one at its `position`, or
else of all of them. The features are those that were scored, to the bit.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from ranking.data.arrays import Float32
from ranking.data.dataset import RankingDataset
from ranking.errors import DataError

ANY_EVENT = {"click": 1.0}


@dataclass
class JournalRecords:
    """The lines of a journal: schemas by (model, version), rankings by request id, events by request id.

    `damaged` counts lines that cannot be read: the last one of a process that was killed.
    """

    schemas: dict[tuple[str, str], tuple[str, ...]] = field(default_factory=dict)
    rankings: dict[str, dict[str, Any]] = field(default_factory=dict)
    events: dict[str, list[dict[str, Any]]] = field(default_factory=lambda: defaultdict(list))
    damaged: int = 0


def read_journal(folder: Path | str) -> JournalRecords:
    """Every line of every file, oldest file first. Raises DataError where there is none."""
    files = sorted(Path(folder).glob("journal-*.jsonl"))
    if not files:
        raise DataError(f"{folder} holds no journal: the service writes one with --journal")
    journal = JournalRecords()
    for line in _lines(files):
        try:
            content = json.loads(line)
            kind = content["kind"]
            if kind == "schema":
                journal.schemas[content["model"], content["version"]] = tuple(content["feature_names"])
            elif kind == "ranking":
                # The same request asked twice was shown twice: what came of it came of the last.
                journal.rankings[content["request_id"]] = content
            elif kind == "event":
                journal.events[content["request_id"]] += content["events"]
        except (ValueError, KeyError, TypeError):
            journal.damaged += 1
    return journal


def _lines(files: Sequence[Path]) -> Iterator[bytes]:
    for file in files:
        with file.open("rb") as content:
            yield from content


def labelled_lists(
    journal: JournalRecords,
    labels: Mapping[str, float] = ANY_EVENT,
    *,
    model: str | None = None,
    only_with_events: bool = True,
) -> RankingDataset:
    """The rankings of one model as lists: `labels` by event type, `positions` as shown (from 1).

    Rankings of versions with other features than the latest are left out; with `only_with_events` also those
    that none of the labelled events came of.

    Raises DataError where nothing is left.
    """
    chosen = [ranking for ranking in journal.rankings.values() if model is None or ranking["model"] == model]
    names = {ranking["model"] for ranking in chosen}
    if len(names) > 1:
        raise DataError(f"the journal holds rankings of {', '.join(sorted(names))}: name one with --model")
    features = _latest_schema(journal, chosen)
    rows: list[Float32] = []
    parts: list[tuple[str, list[str], list[float]]] = []
    for ranking in chosen:
        if journal.schemas.get((ranking["model"], ranking["version"])) != features:
            continue
        ids = [result["id"] for result in ranking["results"]]
        best = _labels_of(ids, journal.events.get(ranking["request_id"], []), labels)
        if not ids or (only_with_events and not best):
            continue
        rows.append(_rows(ranking, len(features)))
        parts.append((ranking["request_id"], ids, [best.get(place, 0.0) for place in range(len(ids))]))
    if not parts:
        raise DataError("no ranking of the journal has an event of these types: nothing to learn from")
    sizes = np.array([len(ids) for _, ids, _ in parts], np.int64)
    return RankingDataset(
        features=np.concatenate(rows),
        labels=np.array([label for _, _, found in parts for label in found], np.float32),
        offsets=np.concatenate([[0], np.cumsum(sizes)]),
        query_ids=[name for name, _, _ in parts],
        document_ids=[name for _, ids, _ in parts for name in ids],
        feature_names=features,
        positions=np.concatenate([np.arange(1, size + 1) for size in sizes]),
    )


def _latest_schema(journal: JournalRecords, rankings: Sequence[Mapping[str, Any]]) -> tuple[str, ...]:
    for ranking in sorted(rankings, key=lambda ranking: -float(ranking["time"])):
        found = journal.schemas.get((ranking["model"], ranking["version"]))
        if found is not None:
            return found
    raise DataError("the journal holds no ranking with its feature names")


def _labels_of(
    ids: Sequence[str], events: Sequence[Mapping[str, Any]], labels: Mapping[str, float]
) -> dict[int, float]:
    """The largest label of each place (from 0) that an event of these types came of."""
    best: dict[int, float] = {}
    for event, places in _happened(ids, events):
        for place in places if event["type"] in labels else ():
            best[place] = max(best.get(place, 0.0), labels[event["type"]])
    return best


def _happened(
    ids: Sequence[str], events: Sequence[Mapping[str, Any]]
) -> Iterator[tuple[Mapping[str, Any], list[int]]]:
    """(event, the places from 0 that it is of): none, one, or several of an id shown several times."""
    shown: dict[str, list[int]] = defaultdict(list)
    for place, name in enumerate(ids):
        shown[name].append(place)
    for event in events:
        places = shown.get(event["id"], [])
        named = (event.get("position") or 0) - 1
        yield event, [named] if named in places else places


def _rows(ranking: Mapping[str, Any], width: int) -> Float32:
    try:
        content = base64.b64decode(ranking["features"], validate=True)
        rows: Float32 = np.frombuffer(content, "<f4").reshape(len(ranking["results"]), width)
    except (binascii.Error, ValueError) as error:
        raise DataError(f"the ranking {ranking['request_id']!r} holds no usable features: {error}") from error
    return rows


def team_credits(journal: JournalRecords, types: Sequence[str]) -> dict[str, int]:
    """Interleaved rankings won by each version: more events of these types on what it drafted.

    Ties count for none.

    Source: Radlinski, Kurup, Joachims 2008.
    """
    won: dict[str, int] = defaultdict(int)
    for name, ranking in journal.rankings.items():
        teams = [result["team"] for result in ranking["results"] if "team" in result]
        if not teams:
            continue
        credit = dict.fromkeys(teams, 0)
        ids = [result["id"] for result in ranking["results"] if "team" in result]
        for event, places in _happened(ids, journal.events.get(name, [])):
            for team in {teams[place] for place in places} if event["type"] in types else ():
                credit[team] += 1
        most = max(credit.values())
        winners = [team for team, count in credit.items() if count == most]
        for team in credit:
            won[team] += int(len(winners) == 1 and team == winners[0])
    return dict(won)
