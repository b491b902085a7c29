"""What the Dockerfile promises, read from its text; and hadolint's opinion."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

from typer.testing import CliRunner

from ranking.cli import app
from service.settings import Settings

ROOT = Path(__file__).parents[1]
TEXT = (ROOT / "Dockerfile").read_text()
LAST_STAGE = TEXT[TEXT.rindex("\nFROM ") :]


def instruction(name: str) -> str:
    """The one instruction of this name in the last stage."""
    (found,) = re.findall(rf"^{name} (.*)$", LAST_STAGE, flags=re.MULTILINE)
    return str(found)


def test_the_last_stage_runs_as_a_numeric_user_that_is_not_root() -> None:
    user, group = instruction("USER").split(":")
    assert int(user) > 0
    assert int(group) > 0


def test_the_last_stage_installs_no_compiler_and_runs_no_pip() -> None:
    packages = re.findall(r"apt-get install[^\n]*recommends (.*?) \\", LAST_STAGE)
    assert packages == ["libgomp1"]
    assert "pip" not in LAST_STAGE


def test_the_process_gets_its_signals() -> None:
    """Exec form: no shell stands between the container's SIGTERM and the service."""
    assert json.loads(instruction("ENTRYPOINT")) == ["rankwright"]
    assert instruction("STOPSIGNAL") == "SIGTERM"


def test_the_default_command_is_one_the_command_line_takes() -> None:
    command, *arguments = json.loads(instruction("CMD"))
    options = CliRunner().invoke(app, [command, "--help"]).output
    assert all(argument in options for argument in arguments if argument.startswith("--"))


def test_the_health_check_is_python_and_asks_the_served_port() -> None:
    check = json.loads(LAST_STAGE.partition("    CMD ")[2].splitlines()[0])
    assert check[0] == "python3"
    port = json.loads(instruction("CMD"))[-1]
    assert f"HTTPConnection('127.0.0.1', {port}, " in check[2]
    assert "'/healthz'" in check[2]
    assert "urllib" not in check[2], "it would ask a proxy"
    assert instruction("EXPOSE") == port
    compile(check[2], "health check", "exec")


def test_only_what_the_build_copies_is_sent_to_it() -> None:
    kept = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    copied = {
        word for line in re.findall(r"^COPY (?!--)(.*)$", TEXT, re.MULTILINE) for word in line.split()[:-1]
    }
    assert copied == kept
    assert all((ROOT / name).exists() for name in kept)


def test_compose_confines_the_service() -> None:
    lines = {line.strip() for line in (ROOT / "compose.yaml").read_text().splitlines()}
    assert lines >= {
        "read_only: true",
        'tmpfs: ["/tmp"]',
        "cap_drop: [ALL]",
        'security_opt: ["no-new-privileges:true"]',
        "pids_limit: 256",
        "mem_limit: 2g",
        "cpus: 2",
    }
    assert any(line.startswith('volumes: ["') and line.endswith(':/models:ro"]') for line in lines)


def test_compose_waits_longer_than_the_service_drains() -> None:
    grace = re.search(r"stop_grace_period: (\d+)s", (ROOT / "compose.yaml").read_text())
    assert grace is not None
    assert int(grace[1]) > Settings().grace_seconds


def test_the_image_check_is_sound_shell_and_names_the_dockerfiles_base() -> None:
    script = ROOT / "scripts" / "check_image.sh"
    assert script.stat().st_mode & 0o111
    assert subprocess.run(["bash", "-n", str(script)], check=False).returncode == 0
    (base,) = set(re.findall(r"^FROM (\S+)", TEXT, flags=re.MULTILINE))
    assert f"stand_in=docker.io/library/{base}\n" in script.read_text()


def test_hadolint_finds_nothing() -> None:
    hadolint = shutil.which("hadolint", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    assert hadolint is not None, "hadolint comes with the extra `dev`"
    run = subprocess.run([hadolint, str(ROOT / "Dockerfile")], capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stdout
