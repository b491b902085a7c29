"""What an image compiled is copied to where Numba writes, once."""

from __future__ import annotations

from pathlib import Path

import pytest

from ranking.compiled_code import VARIABLE, bring_compiled_code


def test_it_is_copied_once_and_never_over_what_is_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without either folder named nothing happens."""
    source, target = tmp_path / "image", tmp_path / "numba"
    (source / "kernels").mkdir(parents=True)
    (source / "kernels" / "a.nbc").write_bytes(b"code")
    monkeypatch.delenv("NUMBA_CACHE_DIR", raising=False)
    monkeypatch.setenv(VARIABLE, str(source))
    bring_compiled_code()
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(target))
    bring_compiled_code()
    assert (target / "kernels" / "a.nbc").read_bytes() == b"code"
    (target / "kernels" / "a.nbc").write_bytes(b"newer")
    bring_compiled_code()
    assert (target / "kernels" / "a.nbc").read_bytes() == b"newer"


def test_no_room_leaves_no_half_of_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is half there would be taken for whole."""
    source, target = tmp_path / "image", tmp_path / "numba"
    source.mkdir()

    def full(source: str, target: str) -> None:
        Path(target).mkdir()
        raise OSError("no space left")

    monkeypatch.setattr("ranking.compiled_code.shutil.copytree", full)
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(target))
    monkeypatch.setenv(VARIABLE, str(source))
    bring_compiled_code()
    assert not target.exists()
