"""`rankwright features`, `log` and `keys`, and the settings of `serve`, as a person types them."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pandas as pd
import pytest

from tests.ranking.cli.conftest import Cli

SCHEMA = {"kind": "schema", "model": "m", "version": "1", "feature_names": ["a"]}
RANKING = {
    "kind": "ranking", "request_id": "r1", "time": 1.0, "model": "m", "version": "1", "candidates": 2,
    "results": [{"id": "x", "score": 2.0, "team": "m@1"}, {"id": "y", "score": 1.0, "team": "m@2"}],
    "features": "AACAPwAAAEA=",
}  # fmt: skip
EVENT = {"kind": "event", "request_id": "r1", "time": 2.0, "events": [{"id": "y", "type": "click"}]}


@pytest.fixture
def journal(tmp_path: Path) -> Path:
    folder = tmp_path / "journal"
    folder.mkdir()
    lines = "".join(json.dumps(line) + "\n" for line in (SCHEMA, RANKING, EVENT))
    (folder / "journal-1.jsonl").write_text(lines)
    return folder


def test_a_store_is_built_and_shown(cli: Cli, tmp_path: Path) -> None:
    """Columns without ids, values with them; an unknown id is an error."""
    file = tmp_path / "rows.csv"
    file.write_text("sku,price,sales\na,1.5,3\nb,,4\n")
    store = tmp_path / "store"
    built = cli("features", "build", file, "--id", "sku", "--out", store, "--json").json
    assert (built["documents"], built["features"]) == (2, 2)
    assert cli("features", "show", store).out.split() == ["price", "sales"]
    shown = cli("features", "show", store, "a", "b", "--json").json["documents"]
    assert shown == {"a": {"price": 1.5, "sales": 3.0}, "b": {"price": None, "sales": 4.0}}
    assert cli("features", "show", store, "c").code == 4


def test_a_journal_becomes_letor_and_parquet(cli: Cli, journal: Path, tmp_path: Path) -> None:
    """In the order shown, the clicked one labelled."""
    facts = cli("log", "export", journal, "--out", tmp_path / "clicks.txt", "--json").json
    assert (facts["exported"], facts["labelled"], facts["damaged_lines"]) == (1, 1, 0)
    assert (tmp_path / "clicks.txt").read_text().splitlines() == [
        "0 qid:r1 1:1 #docid = x",
        "1 qid:r1 1:2 #docid = y",
    ]
    pytest.importorskip("pyarrow")
    cli("log", "export", journal, "--out", tmp_path / "clicks.parquet", "--label", "click=2")
    frame = pd.read_parquet(tmp_path / "clicks.parquet")
    assert (frame["label"].tolist(), frame["position"].tolist()) == ([0, 2], [1, 2])
    assert cli("log", "export", journal, "--out", tmp_path / "x.txt", "--label", "click").code == 2


def test_an_experiment_is_compared(cli: Cli, journal: Path) -> None:
    """Rankings won, and whether that could be chance."""
    assert cli("log", "compare", journal, "--json").json == {"won": {"m@1": 0, "m@2": 1}, "p_value": 1.0}


def test_a_key_is_made_with_the_line_that_knows_it(cli: Cli) -> None:
    """The line holds its hash, not the key."""
    made = cli("keys", "new", "shop", "--json").json
    name, scope, digest = made["line"].split()
    assert (name, scope) == ("shop", "read")
    assert digest == hashlib.sha256(made["key"].encode()).hexdigest()
    assert cli("keys", "new", "two words").code == 2


def test_settings_come_from_flags_then_variables_then_the_file(
    cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And are shown without secrets."""
    file = tmp_path / "service.toml"
    file.write_text(
        'port = 1\nqueue_size = 2\nrate = 3\nsplit = {"m@1" = 90, "m@2" = 10}\nkeys = "x read 00"\n'
    )
    monkeypatch.setenv("RANKWRIGHT_QUEUE_SIZE", "20")
    monkeypatch.setenv("RANKWRIGHT_RATE", "30")
    shown = cli(
        "serve", "--config", file, "--set", "rate=300", "--set", 'aliases={"a": "m"}', "--show-config"
    ).json
    assert (shown["port"], shown["queue_size"], shown["rate"]) == (1, 20, 300)
    assert (shown["split"], shown["aliases"]) == ({"m@1": 90, "m@2": 10}, {"a": "m"})
    assert "keys" not in shown
    file.write_text("prot = 1\n")
    assert cli("serve", "--config", file, "--show-config").code == 2
    assert "unknown setting `prot`" in cli("serve", "--config", file, "--show-config").err
    file.write_text("port = \n")
    assert str(file) in cli("serve", "--config", file, "--show-config").err
