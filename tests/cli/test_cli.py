import importlib.util
import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

SUDARE = [sys.executable, "-c", "from sudare.cli import main; main()"]
HEAVY = ["torch", "opacus", "scipy", "sklearn", "altair", "jinja2", "PIL"]


@pytest.fixture(scope="module")
def workplace(tmp_path_factory):
    return tmp_path_factory.mktemp("work")


@pytest.fixture(scope="module")
def run(workplace):
    """``sudare`` in one folder with one cache, so that builds are made once."""
    environment = {**os.environ, "SUDARE_CACHE": str(workplace / "cache"), "COLUMNS": "120"}

    def sudare(*arguments):
        return subprocess.run(
            [*SUDARE, *map(str, arguments)],
            cwd=workplace,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )

    return sudare


def python(code):
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return done.stdout.strip()


@pytest.mark.parametrize("start", ["import sudare", "import sudare.cli.app"])
def test_starting_up_loads_nothing_heavy(start):
    assert python(f"import sys; {start}; print([m for m in {HEAVY} if m in sys.modules])") == "[]"


def test_help_lists_every_command_and_loads_nothing_heavy():
    printed = python(
        "import sys\n"
        "from sudare.cli import main\n"
        "sys.argv = ['sudare', '--help']\n"
        "try:\n    main()\nexcept SystemExit:\n    pass\n"
        f"print([m for m in {HEAVY} if m in sys.modules])"
    )
    for command in ("compare", "release", "open", "audit", "report", "data", "doctor", "config"):
        assert command in printed
    assert printed.endswith("[]")


@pytest.mark.parametrize("command", ["compare", "release", "open", "audit", "report"])
def test_help_of_a_command_teaches(run, command):
    done = run(command, "--help")
    assert done.returncode == 0
    assert f"sudare {command} " in done.stdout


@pytest.fixture(scope="module")
def compared(run):
    """A finished run in ``runs/smoke``."""
    done = run("compare", "--preset", "smoke", "--routes", "plain")
    assert done.returncode == 0, done.stderr
    return done


def test_compare_writes_both_reports_and_prints_the_verdict(compared, workplace):
    done = compared
    folder = workplace / "runs" / "smoke"
    assert {"report.html", "report-public.html", "findings.json", "config.toml"} <= {
        p.name for p in folder.iterdir()
    }
    internal, public = (
        (folder / name).read_text() for name in ("report.html", "report-public.html")
    )
    assert "data:image" in internal
    assert "data:image" not in public
    command = json.loads((folder / "run.json").read_text())["command"]
    assert command in internal
    assert command not in public
    assert "Internal report: runs/smoke/report.html" in done.stdout
    assert "Plain classifier: done in" in done.stdout


@pytest.mark.parametrize(
    ("gate", "status"),
    [
        ("membership.lira.auc > 0.01", 1),
        ("membership.lira.auc > 0.5 > 1", 2),
        ("membership.lyra.auc > 0.5", 2),
    ],
)
def test_gates_set_the_exit_status(run, compared, gate, status):
    done = run("compare", "--preset", "smoke", "--routes", "plain", "--fail-on", gate)
    assert done.returncode == status, done.stdout + done.stderr


@pytest.mark.parametrize(
    ("gate", "status"),
    [
        ("membership.lira.auc > 0.99", 0),
        ("membership.lira.auc > 0.01", 1),
        ("membership.lira.tpr@0.001 > 0.1", 3),
    ],
)
def test_gates_on_a_finished_run_set_the_exit_status_without_a_build(run, compared, gate, status):
    done = run("report", "runs/smoke", "--fail-on", gate)
    assert done.returncode == status, done.stdout + done.stderr


def test_an_error_is_one_sentence_and_no_traceback(run):
    done = run("compare", "--preset", "smoke", "--data", "no-such-place")
    assert done.returncode == 2
    assert done.stderr.startswith("error:")
    assert "no-such-place" in done.stderr
    assert "Traceback" not in done.stderr + done.stdout


def test_report_rebuilds_the_pages_of_a_run(run, compared, workplace):
    page = workplace / "runs" / "smoke" / "report.html"
    page.unlink()
    done = run("report", "runs/smoke")
    assert done.returncode == 0, done.stderr
    assert page.exists()


def test_a_release_is_built_opened_and_audited(run, workplace):
    options = ("--preset", "smoke", "--set", "data.population=100")
    made = run("release", "plain", *options, "--out", "out/plain")
    assert made.returncode == 0, made.stderr
    folder, key = workplace / "out/plain/release", workplace / "out/plain-private/audit-key.npz"
    assert [p.name for p in folder.parent.iterdir()] == ["release"]
    assert key.parent.stat().st_mode & 0o777 == 0o700
    assert key.stat().st_mode & 0o077 == 0
    with np.load(key) as arrays:
        assert arrays["member"].mean() == pytest.approx(0.8, abs=0.01)
    card = json.loads((folder / "release.json").read_text())
    assert card["purpose"] == "release"
    again = run("release", "plain", *options, "--out", "out/plain")
    assert again.returncode == 2
    assert "there is a release already" in again.stderr

    opened = run("open", folder, "--images", "digits")
    assert opened.returncode == 0, opened.stderr
    assert "agreement with the given labels" in opened.stdout

    audited = run("audit", folder, "--key", key, "--builds", 4, "--out", "runs/audited")
    assert audited.returncode == 0, audited.stderr
    findings = json.loads((workplace / "runs/audited/findings.json").read_text())["findings"]
    lira = next(f for f in findings if f["id"] == "membership.lira.auc" and not f["group"])
    assert lira["status"] == "measured"
    assert lira["n_builds"] == 1


def test_two_releases_of_the_same_data_differ_since_no_seed_is_kept(run, workplace):
    options = ("--preset", "smoke", "--set", "data.population=100")
    for name in ("one", "two"):
        assert run("release", "plain", *options, "--out", f"out/{name}").returncode == 0
    one, two = (
        (workplace / f"out/{name}/release/tensors.safetensors").read_bytes()
        for name in ("one", "two")
    )
    assert one != two


def test_an_audit_without_evidence_is_not_evaluable(run, workplace):
    run("compare", "--preset", "smoke", "--routes", "plain")
    done = run("audit", workplace / "runs/smoke/releases/plain")
    assert done.returncode == 3
    assert "not evaluable" in done.stderr
    assert "size of the private set" in done.stdout


def test_an_audit_with_known_members_runs_the_attacks_that_need_no_shadows(run, workplace):
    from sklearn.datasets import load_digits

    run("compare", "--preset", "smoke", "--routes", "plain")
    bunch = load_digits()
    images = np.round(bunch.images * (255 / 16)).astype(np.uint8)
    for name, rows in (("in", slice(0, 200)), ("out", slice(200, 400))):
        np.savez(workplace / f"{name}.npz", images=images[rows], labels=bunch.target[rows])
    release = workplace / "runs/smoke/releases/plain"
    done = run(
        "audit", release, "--members", "in.npz", "--non-members", "out.npz", "--out", "runs/known"
    )
    assert done.returncode == 0, done.stderr
    findings = json.loads((workplace / "runs/known/findings.json").read_text())["findings"]
    status = {f["id"]: f["status"] for f in findings if not f["group"]}
    assert status["membership.loss.auc"] == "measured"
    assert status["membership.lira.auc"] == "not_applicable"
    assert "with records said to have gone into it" in done.stdout + done.stderr


def test_config_schema_and_show_can_be_used_as_they_are(run, workplace):
    schema = json.loads(run("config", "schema").stdout)
    assert "routes" in schema["properties"]
    (workplace / "my.toml").write_text(run("config", "show", "smoke").stdout)
    done = run("compare", "--config", "my.toml", "--routes", "plain", "--out", "runs/my")
    assert done.returncode == 0, done.stderr


def test_doctor_says_what_is_missing_and_how_to_get_it(run):
    done = run("doctor")
    assert done.returncode == 0
    for extra, module in (
        ("ray", "ray"),
        ("federation", "grpc"),
        ("flower", "flwr"),
        ("foundation", "transformers"),
    ):
        missing = importlib.util.find_spec(module) is None
        assert (f"pip install 'sudare[{extra}]'" in done.stdout) == missing


def test_an_interrupted_run_says_how_to_go_on(workplace):
    environment = {**os.environ, "SUDARE_CACHE": str(workplace / "other")}
    command = ["compare", "--preset", "smoke", "--set", "fleet.builds=40", "--out", "runs/stop"]
    with subprocess.Popen(
        [*SUDARE, *command],
        cwd=workplace,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        # Once a build is done the parent waits for the next; before, it may be importing, and
        # some libraries swallow an interrupt while they are imported.
        while not list((workplace / "other").rglob("record.npz")):
            time.sleep(0.1)
        process.send_signal(signal.SIGINT)
        _, error = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "The same command goes on where it was." in error
