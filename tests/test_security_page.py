"""The table of who can do what is carried by tests that exist, and `doctor --security` looks."""

import ast
import re
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from sudare.core.exposure import exposure

ROOT = Path(__file__).parents[1]


def rows():
    text = (ROOT / "docs" / "security.md").read_text()
    part = text.split("## What each can do")[1].split("## What is not")[0]
    lines = [line for line in part.splitlines() if line.startswith("| ")][2:]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def functions_of(path):
    tree = ast.parse((ROOT / "tests" / path).read_text())
    return {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}


def test_every_row_is_held_by_tests_that_exist():
    assert len(rows()) >= 20
    for who, tries, happens, held in rows():
        assert who
        assert tries
        assert happens
        named = re.findall(r"`([\w/]+\.py)::(\w+)`", held)
        assert named, tries
        for path, name in named:
            assert name in functions_of(path), f"{path} has no {name}"


@pytest.fixture
def looked(tmp_path):
    def look(*folders, **environment):
        found = exposure(
            folders,
            cache=tmp_path / "cache",
            state=tmp_path / "state",
            environment=environment,
        )
        return {seen.what: seen for seen in found}

    return look


def test_what_others_may_read_is_found(tmp_path, looked):
    run = tmp_path / "run"
    (run / "internal").mkdir(parents=True)
    (run / "internal" / "0.png").write_bytes(b"x")
    (run / "report-public.html").write_text("x")
    for path, mode in (
        (run, 0o755),
        (run / "internal", 0o755),
        (run / "internal" / "0.png", 0o644),
    ):
        path.chmod(mode)
    seen = looked(run)[f"files in {run}"]
    assert not seen.holds
    assert "others may read 1, such as internal/0.png" in seen.state
    assert seen.fix == f"chmod 700 {run}"
    (run / "internal").chmod(0o700)
    assert looked(run)[f"files in {run}"].holds
    (run / "internal").chmod(0o755)
    run.chmod(0o700)
    assert looked(run)[f"files in {run}"].holds


def test_keys_that_others_may_read_or_that_are_sent_away_are_found(tmp_path, looked):
    for name, mode, holds in (("a", 0o600, True), ("b", 0o644, False), ("c.crt", 0o600, False)):
        path = tmp_path / name
        path.write_text("-----BEGIN PRIVATE KEY-----")
        path.chmod(mode)
        assert looked(tmp_path)[f"private key {path}"].holds is holds


def test_caches_telemetry_and_login_are_looked_at(tmp_path, looked):
    assert looked()[f"cache of builds, {tmp_path / 'cache'}"].holds
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache").chmod(0o755)
    assert not looked()[f"cache of builds, {tmp_path / 'cache'}"].holds
    assert not looked(RAY_AUTH_MODE="disabled")["login of Ray"].holds
    assert looked()["login of Ray"].holds
    assert "telemetry of Flower" not in looked(FLWR_TELEMETRY_ENABLED="0")


def test_an_open_port_of_a_running_job_is_shown(tmp_path, looked):
    listen = (
        "import socket, sys, time\ns = socket.socket()\ns.bind(('127.0.0.1', 0))\ns.listen()\n"
        "print(s.getsockname()[1], flush=True)\ntime.sleep(60)\n"
    )
    words = [sys.executable, "-c", listen, "sudare", "federate", "server"]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as process:
        port = int(process.stdout.readline())
        try:
            with socket.create_connection(("127.0.0.1", port)):
                time.sleep(0.1)
            found = [seen for what, seen in looked().items() if f"port {port} " in what]
        finally:
            process.kill()
    assert [seen.holds for seen in found] == [True]
    assert "loopback" in found[0].what


def test_doctor_security_speaks_in_a_terminal(tmp_path):
    def said(*words):
        return subprocess.run(
            [sys.executable, "-m", "sudare", "doctor", "--security", *words],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
        )

    (tmp_path / "runs" / "mine").mkdir(parents=True)
    (tmp_path / "runs" / "mine").chmod(0o700)
    done = said()
    assert "runs/mine" in done.stdout
    assert "telemetry of Sudare" in done.stdout
    (tmp_path / "key").write_text("-----BEGIN PRIVATE KEY-----")
    (tmp_path / "key").chmod(0o644)
    done = said(".")
    assert done.returncode == 2
    assert "chmod 600" in " ".join(done.stdout.split())
    assert said("nowhere").returncode == 2
