"""`rankwright train` and `rankwright cv`."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from ranking.data.clicks import simulate_clicks
from ranking.data.dataset import RankingDataset
from ranking.data.letor import read_letor
from ranking.data.parquet import write_parquet
from ranking.metrics import Metric
from ranking.models.loading import load_ranker
from ranking.training.presets import PRESETS
from ranking.training.run import train
from ranking.trees.backends import BACKENDS
from tests.ranking.cli.conftest import Cli
from tests.ranking.training.runs import ROUNDS, contents, flags, letor, lists, quick

FEW = flags(quick(rounds=3))


@pytest.mark.parametrize("backend", BACKENDS)
def test_train_json_says_what_was_trained(cli: Cli, tmp_path: Path, judged: Path, backend: str) -> None:
    """And the folder is the one that `train` writes, file by file."""
    config, out = quick(backend, rounds=3), tmp_path / "model"
    found = cli(
        "train", letor(tmp_path / "t.txt"), "--valid", judged, "--out", out, "--json", *flags(config)
    ).json
    assert found.keys() >= {"model", "backend", "objective", "rounds", "seconds", "metrics"}
    assert (found["model"], found["backend"], found["objective"]) == (str(out), backend, "blend")
    assert (found["rounds"], found["interrupted"], found["notes"]) == (3, False, [])
    result = train(config, read_letor(tmp_path / "t.txt"), read_letor(judged), tmp_path / "same")
    assert result.evaluation is not None
    assert found["metrics"]["valid"]["ndcg@10"] == result.evaluation.means["ndcg@10"]
    assert contents(out) == contents(tmp_path / "same")


def test_queries_that_are_trained_on_and_held_out_are_said(cli: Cli, tmp_path: Path) -> None:
    """On stderr, in the JSON object and in the report; ids alone in words of their own."""
    data, other = lists(), lists(seed=1).queries(range(8))
    train_file = letor(tmp_path / "t.txt", data)
    mixed = letor(
        tmp_path / "v.txt",
        RankingDataset.concatenate([data.queries(range(30, 35)), other]),
    )
    ran = cli("train", train_file, "--valid", mixed, "--out", tmp_path / "model", "--json", *FEW)
    same, named = ran.json["warnings"]
    assert same.startswith("valid shares 5 of 13 queries with train (the same features and labels)")
    assert named.startswith(
        "valid shares the ids of 8 of 13 queries with train, with other features or labels"
    )
    assert f"warning: {same}\n" in ran.err
    assert "valid shares 5 of 13 queries" in (tmp_path / "model" / "report.html").read_text()
    clean = replace(other, query_ids=[f"new{i}" for i in range(8)])
    ran = cli(
        "train", train_file, "--valid", letor(mixed, clean), "--out", tmp_path / "model", "--json", *FEW
    )
    assert "warnings" not in ran.json
    assert "warning" not in ran.err


def test_a_list_that_is_held_out_under_another_id_is_said(cli: Cli, tmp_path: Path) -> None:
    """Every list is there twice: the held-out ones are trained on too, but for pairs drawn together."""
    data = lists()
    twice = RankingDataset.concatenate([data, replace(data, query_ids=[f"x{i}" for i in range(40)])])
    ran = cli("train", letor(tmp_path / "t.txt", twice), "--out", tmp_path / "model", *FEW)
    rest, held = twice.hold_out(0.2, 1)
    pairs = sum(
        q.strip("x").strip("q") in {r.strip("x").strip("q") for r in rest.query_ids} for q in held.query_ids
    )
    assert pairs > 0
    assert f"warning: the held-out part shares {pairs} of 16 queries with train" in ran.err


def test_train_speaks_of_progress_on_stderr_and_of_the_result_on_stdout(
    cli: Cli, tmp_path: Path, judged: Path
) -> None:
    ran = cli("train", judged, "--out", tmp_path / "model", *FEW)
    assert ran.code == 0
    assert "round 3/3  ndcg@10 0." in ran.err
    assert "note: held out 8 of 40 queries (no --valid file)" in ran.err
    assert ran.out.startswith("lightgbm blend: 3 rounds in ")
    assert f"model  {tmp_path / 'model'}" in ran.out
    quiet = cli("train", judged, "--out", tmp_path / "model", "--quiet", *FEW)
    assert "round" not in quiet.err


def test_train_reads_several_files_parquet_and_stdin(cli: Cli, tmp_path: Path) -> None:
    """All three give the same model."""
    data = lists()
    halves = [
        letor(tmp_path / "a.txt", data.queries(range(20))),
        letor(tmp_path / "b.txt", data.queries(range(20, 40))),
    ]
    write_parquet(data, tmp_path / "data.parquet")
    whole = letor(tmp_path / "whole.txt").read_bytes()
    outs = [tmp_path / name for name in ("files", "parquet", "stdin")]
    assert cli("train", *halves, "--out", outs[0], *FEW).code == 0
    assert cli("train", tmp_path / "data.parquet", "--out", outs[1], *FEW).code == 0
    assert cli("train", "-", "--out", outs[2], *FEW, stdin=whole).code == 0
    assert len({contents(out)["model.txt"] for out in outs}) == 1


def test_files_of_two_formats_are_refused(cli: Cli, tmp_path: Path, judged: Path) -> None:
    ran = cli("train", judged, tmp_path / "data.parquet", "--out", tmp_path / "model")
    assert ran.code == 2
    assert "data.parquet is Parquet and other files are not: convert them to one format first" in ran.err


def test_the_config_file_lies_under_the_flags(cli: Cli, tmp_path: Path, judged: Path) -> None:
    (tmp_path / "run.toml").write_text(
        'rounds = 9\nobjective = "ranknet"\nearly_stopping = 0\npreset = "plain"\n'
        "[booster]\nmin_data_in_leaf = 5\n"
    )
    run = ["train", judged, "--out", tmp_path / "model", "--config", tmp_path / "run.toml", "--json"]
    found = cli(*run, "--rounds", 2, "--set", "booster.num_leaves=3").json
    assert (found["rounds"], found["objective"]) == (2, "ranknet")
    config = json.loads((tmp_path / "model" / "manifest.json").read_text())["config"]
    assert config["booster"] == {"min_data_in_leaf": 5, "num_leaves": 3}


def test_the_missing_policy_is_kept_with_the_model(cli: Cli, tmp_path: Path) -> None:
    """An absent value is NaN to the one and 0 to the other."""
    data = tmp_path / "sparse.txt"
    data.write_text(
        "".join(f"{i % 3} qid:{i // 8} 1:{i % 3} {'2:-1' if i % 2 else ''}\n" for i in range(160))
    )
    for missing in ("zero", "nan"):
        out = tmp_path / missing
        assert cli("train", data, "--out", out, *flags(quick(rounds=3, missing=missing))).code == 0
        assert load_ranker(out, probe=False).missing == missing


def test_presets_are_named_on_the_command_line_and_kept_with_the_model(
    cli: Cli, tmp_path: Path, judged: Path
) -> None:
    """The model folder says what was drawn, whatever the preset is called by then."""
    run = ["train", judged, "--rounds", 2, "--early-stopping", 0, "--threads", 1]
    kept = {}
    for preset in PRESETS:
        assert cli(*run, "--out", tmp_path / preset, "--preset", preset).code == 0
        kept[preset] = json.loads((tmp_path / preset / "manifest.json").read_text())["config"]
    assert cli(*run, "--out", tmp_path / "unasked").code == 0
    assert contents(tmp_path / "unasked")["model.txt"] == contents(tmp_path / "standard")["model.txt"]
    assert kept["standard"]["query_fraction"] == PRESETS["standard"].query_fraction
    assert kept["fast"]["booster"]["max_bin"] == 63
    assert kept["plain"]["booster"] == {}


@pytest.mark.parametrize("backend", ["lightgbm", pytest.param("xgboost", marks=pytest.mark.slow)])
def test_a_file_of_ones_own_trains(cli: Cli, tmp_path: Path, judged: Path, backend: str) -> None:
    """Its formula is RankNet's, so are its trees; it is run once, and the model opens without it."""
    log = tmp_path / "log"
    (tmp_path / "mine.py").write_text(
        f"import math\n\nwith open({str(log)!r}, 'a') as log:\n    log.write('x')\n\n\n"
        "def loss(d):\n    return math.log1p(math.exp(-d))\n\n\n"
        "def gradient(d):\n    return -1.0 / (1.0 + math.exp(d))\n\n\n"
        "def hessian(d):\n    s = 1.0 / (1.0 + math.exp(-d))\n    return s * (1.0 - s)\n"
    )
    scores = []
    for objective in (str(tmp_path / "mine.py"), "ranknet"):
        out = tmp_path / "model"
        config = quick(backend, rounds=3, objective=objective)
        assert cli("train", judged, "--out", out, *flags(config)).code == 0
        (tmp_path / "mine.py").unlink(missing_ok=True)
        scores.append(load_ranker(out, probe=False).score(lists().features))
    assert scores[0] == pytest.approx(scores[1], rel=1e-4, abs=1e-6)
    assert log.read_text() == "x"


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_pair_loss_and_a_weight_train_together(
    cli: Cli, tmp_path: Path, judged: Path, backend: str
) -> None:
    """Hinge by ΔNDCG, said from either side, with the gain of the run; the manifest says what it was."""
    written = []
    for name, sets in (
        ("hinge", ["metric=ndcg"]),
        ("lambdarank", ["pair_loss=hinge", "truncation=none", "score_normalization=false"]),
    ):
        config = quick(backend, rounds=3, objective=name)
        sets = [word for text in sets for word in ("--set", f"objective.{text}")]
        sets += ["--set", "objective.lambda_normalization=false", "--gain", "linear"]
        ran = cli("train", judged, "--out", tmp_path / name, *flags(config), *sets)
        assert ran.code == 0, ran.err
        manifest = json.loads((tmp_path / name / "manifest.json").read_text())
        told = dict(manifest["objective"])
        assert told.pop("name") == name
        written.append((told, load_ranker(tmp_path / name, probe=False).score(lists().features)))
    (first, scores), (second, others) = written
    assert first == second
    assert (first["pair_loss"], first["weight"], first["gain"]) == ("hinge", "metric", "linear")
    assert (scores == others).all()


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_torch_loss_trains_trees(cli: Cli, tmp_path: Path, judged: Path, backend: str) -> None:
    """One that torch alone has, with its parameters and the run's gain."""
    run = ["train", judged, *flags(quick(backend, rounds=3, objective="torch:approx_ndcg"))]
    run += ["--gain", "linear", "--set", "objective.temperature=0.5", "--json"]
    ran = cli(*run, "--out", tmp_path / "m")
    assert ran.code == 0, ran.err
    told = json.loads((tmp_path / "m" / "manifest.json").read_text())["objective"]
    assert (told["name"], told["temperature"], told["gain"]) == ("torch:approx_ndcg", 0.5, "linear")
    assert told["hessian_scale"] == (2.0 if backend == "xgboost" else 1.0)
    assert len(np.unique(load_ranker(tmp_path / "m", probe=False).score(lists().features))) > 5


def test_a_torch_loss_with_a_compiled_twin_is_trained_by_it(cli: Cli, tmp_path: Path, judged: Path) -> None:
    models = []
    for name in ("torch:ranknet", "ranknet"):
        ran = cli("train", judged, "--out", tmp_path / name, *flags(quick(rounds=2, objective=name)))
        assert ran.code == 0, ran.err
        assert ("compiled too: its twin trains the trees" in ran.err) == (name == "torch:ranknet")
        models.append((tmp_path / name / "model.txt").read_bytes())
    assert models[0] == models[1]


def test_a_loss_that_torch_alone_has_is_offered(cli: Cli, tmp_path: Path, judged: Path) -> None:
    ran = cli("train", judged, "--out", tmp_path / "m", "--objective", "approx_ndcg")
    assert ran.code == 2
    assert "--objective torch:approx_ndcg trains trees on it" in ran.err
    ran = cli("train", judged, "--out", tmp_path / "m", "--objective", "torch:aprox_ndcg")
    assert ran.code == 2
    assert "did you mean 'approx_ndcg'" in ran.err


@pytest.mark.parametrize("objective", [None, "torch:kl", "neural"])
def test_a_teachers_scores_from_a_file_are_learned(
    cli: Cli, tmp_path: Path, judged: Path, objective: str | None
) -> None:
    """Another teacher makes another student; grades still stop the training, and are measured."""
    count, models = read_letor(judged).document_count, []
    few = ["--rounds", 3, "--early-stopping", 0, "--threads", 1]
    few += ["--backend", "neural"] if objective == "neural" else []
    few += ["--objective", objective] if objective == "torch:kl" else []
    for seed in (1, 2):
        file = tmp_path / f"t{seed}.txt"
        np.savetxt(file, np.random.default_rng(seed).normal(size=count))
        ran = cli("train", judged, "--targets", file, "--out", tmp_path / f"m{seed}", *few, "--json")
        assert ran.code == 0, ran.err
        assert ran.json["objective"] == ("torch:kl" if objective == "torch:kl" else "margin_mse")
        assert ran.json["metrics"]["valid"]["ndcg@10"] > 0
        models.append(load_ranker(tmp_path / f"m{seed}", probe=False).score(lists().features))
    assert (models[0] != models[1]).any()
    told = [json.loads((tmp_path / f"m{seed}" / "manifest.json").read_text()) for seed in (1, 2)]
    assert all(one["targets"].startswith("sha256:") for one in told)
    assert told[0]["targets"] != told[1]["targets"]


def test_targets_that_a_table_has_and_nobody_learns_are_said(cli: Cli, tmp_path: Path) -> None:
    data = lists()
    write_parquet(replace(data, targets=-data.labels), tmp_path / "t.parquet")
    for objective, said in (("lambdarank", True), ("margin_mse", False)):
        config = quick(rounds=2, objective=objective)
        ran = cli("train", tmp_path / "t.parquet", "--out", tmp_path / objective, *flags(config))
        assert ran.code == 0, ran.err
        assert ("--objective margin_mse learns the targets" in ran.err) == said


@pytest.mark.parametrize(
    ("more", "message", "code"),
    [
        (["--objective", "lambdarank"], "objective lambdarank learns from grades", 2),
        (["--objective", "builtin"], "objective builtin learns from grades", 2),
        (["--teacher", "m"], "give one of them", 2),
        (["--regroup"], "sort the files instead", 2),
        ([], "t.txt:2: expected", 4),
    ],
)
def test_targets_that_would_not_be_learned_are_refused(
    cli: Cli, tmp_path: Path, judged: Path, more: list[str], message: str, code: int
) -> None:
    (tmp_path / "t.txt").write_text("0.5\n")
    ran = cli("train", judged, "--targets", tmp_path / "t.txt", "--out", tmp_path / "m", *more)
    assert (ran.code, message in ran.err) == (code, True), ran.err


@pytest.mark.parametrize("backend", BACKENDS)
def test_clicks_with_positions_train_from_parquet(cli: Cli, tmp_path: Path, backend: str) -> None:
    """Other positions give another ranker. LETOR text, which has none, says what to do."""
    judged = lists()
    clicks = simulate_clicks(judged, judged.features[:, 0], sessions=3, shown=6)
    assert clicks.positions is not None
    models = []
    for name, positions in (("shown", clicks.positions), ("turned", 7 - clicks.positions)):
        write_parquet(replace(clicks, positions=positions), tmp_path / f"{name}.parquet")
        config = quick(backend, rounds=3, objective="unbiased_lambdarank")
        sets = ["--set", "objective.propensities=1,0.5,0.3,0.2,0.15,0.1"]
        ran = cli("train", tmp_path / f"{name}.parquet", "--out", tmp_path / name, *flags(config), *sets)
        assert ran.code == 0, ran.err
        models.append(load_ranker(tmp_path / name, probe=False).score(judged.features))
    assert (models[0] != models[1]).any()
    text = letor(tmp_path / "clicks.txt", clicks)
    refused = cli("train", text, "--out", tmp_path / "refused", "--objective", "unbiased_lambdarank")
    assert refused.code == 4
    assert "objective.positions=rows" in refused.err


@pytest.mark.parametrize(
    ("sets", "message"),
    [
        ("booster.leaves=3", "unknown LightGBM parameter 'leaves'"),
        ("booster.metric=ndcg", "booster.metric is set by --metric"),
        ("round=3", "unknown config key 'round'; did you mean 'rounds'?"),
        ("metric=ndgc@10", "unknown metric 'ndgc@10'; did you mean 'ndcg'?"),
    ],
)
def test_a_setting_that_cannot_be_ends_with_2(
    cli: Cli, tmp_path: Path, judged: Path, sets: str, message: str
) -> None:
    ran = cli("train", judged, "--out", tmp_path / "model", "--json", "--set", sets)
    assert (ran.code, ran.out) == (2, "")
    assert message in ran.err
    assert not (tmp_path / "model").exists()


def test_a_folder_that_is_no_model_is_refused_before_the_data_is_read(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("keep me")
    ran = cli("train", tmp_path / "none.txt", "--out", tmp_path)
    assert ran.code == 2
    assert "exists and is no model folder: choose another place, or remove it first" in ran.err
    assert [entry.name for entry in tmp_path.iterdir()] == ["notes.txt"]


def test_resume_without_a_checkpoint_says_so(cli: Cli, tmp_path: Path, judged: Path) -> None:
    ran = cli("train", judged, "--out", tmp_path / "model", "--resume", *FEW)
    assert ran.code == 0
    assert "note: no checkpoint to resume from: started at round 0" in ran.err


def test_another_model_is_shown_in_the_report(cli: Cli, tmp_path: Path, judged: Path, model: Path) -> None:
    assert cli("train", judged, "--out", tmp_path / "model", "--against", model, *FEW).code == 0
    assert "compared model" in (tmp_path / "model" / "report.html").read_text()


def test_a_copy_of_what_was_read_is_kept_where_asked(cli: Cli, tmp_path: Path, judged: Path) -> None:
    for name in ("first", "second"):
        assert cli("train", judged, "--cache", tmp_path / "cache", "--out", tmp_path / name, *FEW).code == 0
    assert any((tmp_path / "cache").iterdir())
    assert contents(tmp_path / "first") == contents(tmp_path / "second")


# --- cv ---------------------------------------------------------------------------------------------


def test_cv_json_gives_each_fold_and_their_mean(cli: Cli, judged: Path) -> None:
    found = cli("cv", judged, "--folds", 3, "--json", *FEW).json
    assert [(fold["fold"], fold["rounds"]) for fold in found["folds"]] == [(1, 3), (2, 3), (3, 3)]
    folds = [fold["metrics"]["ndcg@10"] for fold in found["folds"]]
    assert found["metrics"]["ndcg@10"] == pytest.approx(np.mean(folds))
    assert found["conventions"]["ties"] == "average"


def test_cv_prints_a_line_a_fold_and_the_mean(cli: Cli, tmp_path: Path) -> None:
    data = lists()
    files = [
        letor(tmp_path / f"S{i}.txt", data.queries(np.arange(start, start + 10)))
        for i, start in enumerate((0, 10, 20), 1)
    ]
    ran = cli("cv", *files, "--folds", "files", *FEW)
    assert ran.code == 0
    assert [line.split()[0] for line in ran.out.splitlines()] == ["ndcg@10", "fold", "fold", "fold", "mean"]
    assert "fold 3/3: 3 rounds, ndcg@10 0." in ran.err


def test_cv_refuses_two_folds(cli: Cli, judged: Path) -> None:
    ran = cli("cv", judged, "--folds", 2, "--json")
    assert (ran.code, ran.out) == (2, "")
    assert "cross-validation needs at least 3 folds" in ran.err


assert ROUNDS > 3, "FEW is fewer than usual"


# --- Labels to 100 ----------------------------------------------------------------------------------


@pytest.fixture
def wide(tmp_path: Path) -> tuple[Path, Path]:
    """Lists to train and to hold out, labelled 0, 33, 66, 100."""
    found = []
    for seed in (0, 1):
        data = lists(seed=seed)
        labels = np.floor(data.labels / data.labels.max() * 100).astype(np.float32)
        found.append(letor(tmp_path / f"wide{seed}.txt", replace(data, labels=labels)))
    return found[0], found[1]


@pytest.mark.parametrize(
    ("backend", "objective"),
    [(b, o) for b in BACKENDS for o in ("lambdarank", "builtin")] + [("lightgbm", "ranknet")],
)
def test_labels_to_100_train_and_are_measured_with_the_linear_gain(
    cli: Cli, tmp_path: Path, wide: tuple[Path, Path], backend: str, objective: str
) -> None:
    """From training over report and manifest to `evaluate`, which takes the model's own gain."""
    out, (file, held) = tmp_path / "model", wide
    run = ["--valid", held, "--gain", "linear", *flags(quick(backend, rounds=3, objective=objective))]
    found = cli("train", file, "--out", out, "--json", *run).json
    assert found["notes"] == ["err@10 is left out: it takes labels up to 31"]
    data = read_letor(held)
    scores = load_ranker(out, probe=False).score(data.features)
    linear = Metric.parse("ndcg@10", gain="linear").mean(scores, data)
    assert found["metrics"]["valid"]["ndcg@10"] == linear
    manifest = json.loads((out / "manifest.json").read_text())
    assert manifest["conventions"]["gain"] == manifest["config"]["gain"] == "linear"
    if objective == "lambdarank":
        assert manifest["objective"]["gain"] == "linear"
    assert "gain = linear" in (out / "report.html").read_text()
    measured = cli("evaluate", out, held, "--json")
    assert measured.json["metrics"] == found["metrics"]["valid"]
    assert f"note: gain=linear, as {out} was trained and measured; flags choose others" in measured.err
    assert cli("evaluate", out, held, "--gain", "linear").code == 0
    exponential = cli("evaluate", out, held, "--gain", "exponential")
    assert (exponential.code, "choose the linear gain (--gain linear)" in exponential.err) == (4, True)


def test_the_linear_gain_trains_other_trees(cli: Cli, tmp_path: Path) -> None:
    """On labels that both gains take; for the boosters' own objectives too."""
    file = letor(tmp_path / "t.txt")
    for backend in BACKENDS:
        for objective in ("lambdarank", "builtin"):
            run = ["train", file, *flags(quick(backend, rounds=3, objective=objective)), "--out"]
            models = []
            for gain in ("exponential", "linear"):
                out = tmp_path / f"{backend}-{objective}-{gain}"
                assert cli(*run, out, "--gain", gain).code == 0
                models.append(load_ranker(out, probe=False).score(lists().features))
            assert (models[0] != models[1]).any(), (backend, objective)


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        ([], 4, "choose the linear gain (--gain linear)"),
        (["--set", "objective.gain=linear"], 4, "choose the linear gain (--gain linear)"),
        (["--objective", "ranknet"], 4, "choose the linear gain (--gain linear)"),
        (["--gain", "linear", "--metric", "err@10"], 4, "choose another metric"),
        (["--gain", "linear", "--objective", "lambdarank_err"], 4, "choose another metric"),
        (["--gain", "linear", "--set", "objective.gain=exponential"], 2, "contradicts gain=linear"),
        (["--discount", "reciprocal", "--gain", "linear", "--objective", "builtin"], 2, "discounts by log2"),
        (["--gain", "0,1,5"], 4, "the gain is a table for the labels 0..2"),
    ],
)
def test_a_gain_that_cannot_work_is_said_before_training(
    cli: Cli,
    tmp_path: Path,
    wide: tuple[Path, Path],
    monkeypatch: pytest.MonkeyPatch,
    words: list[str],
    code: int,
    message: str,
) -> None:
    monkeypatch.setattr("ranking.training.watch.RunWatch.__call__", lambda *_: pytest.fail("trained"))
    ran = cli("train", wide[0], "--out", tmp_path / "model", "--set", "booster.min_data_in_leaf=5", *words)
    assert (ran.code, ran.out) == (code, "")
    assert message in ran.err
    assert not (tmp_path / "model").exists()


def test_labels_to_100_are_cross_validated_with_the_linear_gain(
    cli: Cli, tmp_path: Path, wide: tuple[Path, Path]
) -> None:
    run = ["cv", wide[0], "--folds", "3", *FEW, "--json"]
    found = cli(*run, "--gain", "linear").json
    assert found["conventions"]["gain"] == "linear"
    assert "err@10" not in found["metrics"]
    refused = cli(*run)
    assert (refused.code, "--gain linear" in refused.err) == (4, True)


def test_a_gain_of_own_code_is_not_run_because_a_manifest_names_it(
    cli: Cli, tmp_path: Path, judged: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "gains.py").write_text("def mine(labels):\n    return labels * 2\n")
    assert cli("train", judged, "--out", "model", "--gain", "gains.py:mine", *FEW).code == 0
    ran = cli("evaluate", "model", judged)
    assert ran.code == 2
    assert "give --gain gains.py:mine to run that file here" in ran.err
    found = cli("evaluate", "model", judged, "--gain", "gains.py:mine", "--metric", "ndcg@10", "--json").json
    linear = cli("evaluate", "model", judged, "--gain", "linear", "--metric", "ndcg@10", "--json").json
    assert found["metrics"]["ndcg@10"] == pytest.approx(linear["metrics"]["ndcg@10"], abs=1e-12)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--set", "booster.learning_rate=-1"], "booster.learning_rate=-1: learning_rate must be > 0.0"),
        (["--set", "booster.sigmoid=2"], "use objective.sigma"),
        (["--objective", "builtin:rank:map"], "LightGBM has no objective 'rank:map'"),
        (["--backend", "xgboost", "--set", "booster.monotone_constraints=1,0"], "has 2 entries"),
        (["--backend", "xgboost", "--set", "booster.max_bin=none"], "booster.max_bin=None"),
        (["--backend", "xgboost", "--objective", "builtin:nosuch"], "XGBoost has no objective 'nosuch'"),
    ],
)
def test_wrong_booster_parameters_are_usage_errors(
    cli: Cli, tmp_path: Path, judged: Path, words: list[str], message: str
) -> None:
    ran = cli("train", judged, "--out", tmp_path / "model", "--rounds", "3", *words)
    assert (ran.code, ran.out) == (2, "")
    assert message in ran.err


def test_monotone_constraints_are_taken_from_set_and_from_toml(
    cli: Cli, tmp_path: Path, judged: Path
) -> None:
    run = ["train", judged, *flags(quick("xgboost", rounds=3)), "--out"]
    constraint = "booster.monotone_constraints=1,0,0,-1"
    assert cli(*run, tmp_path / "set", "--set", constraint).code == 0
    (tmp_path / "run.toml").write_text("[booster]\nmonotone_constraints = [1, 0, 0, -1]\n")
    assert cli(*run, tmp_path / "toml", "--config", tmp_path / "run.toml").code == 0
    models = [(tmp_path / name / "model.ubj").read_bytes() for name in ("set", "toml")]
    assert models[0] == models[1]


def test_preset_best_says_that_its_numbers_are_out_of_fold(cli: Cli, tmp_path: Path, judged: Path) -> None:
    data, out = letor(tmp_path / "t.txt"), tmp_path / "model"
    few = ("--preset", "best", "--rounds", 3, "--set", "booster.min_data_in_leaf=5", "--threads", 2)
    ran = cli("train", data, "--valid", judged, "--out", out, *few)
    assert ran.code == 0
    assert ran.out.startswith("lightgbm lambdarank,xendcg,squared_hinge,hinge: ")
    assert "  out of fold: each query by the members that have not seen it\n" in ran.out
    assert "4 of 4 members done" in ran.err
    assert "note: trained on all 80 queries, those of --valid too\n" in ran.err
    assert "out of fold: by the members that have not seen the query" in cli("inspect", out).out
    found = cli("train", data, "--out", out, "--json", *few, "--objective", "ranknet", "--against", out).json
    assert found["metrics"]["out_of_fold"] is True
    assert found["objective"] == "ranknet"


def test_preset_best_warns_of_a_model_that_has_seen_what_it_is_measured_on(cli: Cli, tmp_path: Path) -> None:
    data, out = letor(tmp_path / "t.txt"), tmp_path / "model"
    cli("train", data, "--out", out, *FEW, "--set", "valid_fraction=0")
    ran = cli(
        "train", data, "--out", tmp_path / "best", "--preset", "best", "--rounds", 3, "--against", out,
        "--set", "booster.min_data_in_leaf=5",
    )  # fmt: skip
    told = f"--against {out}: the model was trained on 40 of these 40 queries"
    assert f"warning: {told}" in ran.err
    assert told in (tmp_path / "best" / "report.html").read_text()


def test_settings_of_preset_best_alone_are_said(cli: Cli, tmp_path: Path, judged: Path) -> None:
    for sets, message in (
        ("best.members=8", "best.members is for --preset best, got --preset standard"),
        ("preset=best", "--preset best needs 8"),
    ):
        few = letor(tmp_path / "few.txt", lists(queries=5))
        ran = cli("train", few, "--out", tmp_path / "model", "--set", sets)
        assert ran.code in (2, 4)
        assert message in ran.err
