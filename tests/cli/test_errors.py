"""What a user can get wrong ends in one sentence and exit status 2, never in a traceback."""

import json
import subprocess
import sys

import numpy as np
import pytest
import torch

from sudare import nets
from sudare.cli.app import app, main
from sudare.nets import NetConfig
from sudare.releases.card import Card
from sudare.releases.kinds import (
    ClassifierRelease,
    ClassifierSpec,
    SamplesRelease,
    SamplesSpec,
)
from sudare.releases.store import write_release

# The command line is read from sys.argv here, as it is outside of tests.
pytestmark = pytest.mark.filterwarnings("ignore:Cyclopts application invoked without tokens")
CLASSES = ("a", "b")


def card(kind, title="[/x]"):
    return Card(
        kind=kind,
        route="plain",
        title=title,
        what_leaves="[red]",
        class_names=CLASSES,
        image_shape=(1, 8, 8),
        spec=ClassifierSpec(net=NetConfig(name="linear"))
        if kind == "classifier"
        else SamplesSpec(),
    )


@pytest.fixture
def place(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SUDARE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("COLUMNS", "500")
    rng = np.random.default_rng(0)
    net = nets.build(NetConfig(name="linear"), image_shape=(1, 8, 8), n_classes=2, seed=0)
    classifier = ClassifierRelease(card=card("classifier"), state=dict(net.state_dict()))
    write_release(classifier, tmp_path / "theirs")
    samples = SamplesRelease(
        card=card("samples"),
        images=rng.integers(0, 256, size=(4, 1, 8, 8), dtype=np.uint8),
        soft_labels=np.full((4, 2), 0.5, dtype=np.float32),
    )
    write_release(samples, tmp_path / "set")
    for name in ("in", "out"):
        images = rng.integers(0, 256, size=(20, 8, 8), dtype=np.uint8)
        np.savez(f"{name}.npz", images=images, labels=np.arange(20) % 2, class_names=CLASSES)
    colour = rng.integers(0, 256, size=(20, 8, 8, 3), dtype=np.uint8)
    np.savez("colour.npz", images=colour, labels=np.arange(20) % 2, class_names=CLASSES)
    (tmp_path / "text.npz").write_text("no archive")
    (tmp_path / "empty.npz").touch()
    (tmp_path / "file").write_text("a file")
    torch.save({}, tmp_path / "pickle.npz")
    for name, about in {"list": [1], "none": {"config": {}, "pool": "x"}, "half": {}}.items():
        np.savez(f"{name}.npz", member=np.ones(3), about=np.array(json.dumps(about)))
    return tmp_path


def sudare(monkeypatch, *words):
    monkeypatch.setattr("sys.argv", ["sudare", *words])
    with pytest.raises(SystemExit) as end:
        main()
    return end.value.code


KEY = "the audit key cannot be read"
KNOWN = ("audit", "theirs", "--members")


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("audit", "theirs", "--key", "text.npz"), KEY),
        (("audit", "theirs", "--key", "empty.npz"), KEY),
        (("audit", "theirs", "--key", "pickle.npz"), KEY),
        (("audit", "theirs", "--key", "in.npz"), KEY),
        (("audit", "theirs", "--key", "list.npz"), KEY),
        (("audit", "theirs", "--key", "half.npz"), KEY),
        (("audit", "theirs", "--key", "none.npz"), "does not say how one release was made"),
        (("audit", "text.npz"), "the scores cannot be read"),
        (("audit", "file"), "a release is a folder"),
        ((*KNOWN, "in.npz", "--non-members", "in.npz"), "20 of 20 non-members are members too"),
        ((*KNOWN, "in.npz", "--non-members", "text.npz"), "the file cannot be read"),
        ((*KNOWN, "in.npz", "--non-members", "colour.npz"), "images are (3, 8, 8)"),
        (
            (*KNOWN, "in.npz", "--non-members", "out.npz", "--image-size", "16"),
            "images are (1, 16, 16), the release takes (1, 8, 8)",
        ),
        ((*KNOWN, "in.npz", "--non-members", "out.npz", "--out", "file"), "this is a file (file)"),
        (
            ("audit", "--model", "os:no", "--members", "in.npz", "--non-members", "out.npz"),
            "the model cannot be made",
        ),
        (("open", "theirs", "--images", "colour.npz"), "the release takes (1, 8, 8)"),
        (("open", "set", "--picture", "sheet.what"), "a contact sheet is a PNG file"),
        (("release", "smoothing"), "Choose one of: smoothing+0.1, smoothing-0.05"),
        (("release", "plain,subset"), "is more than one route here"),
        (("release", ""), "no route is named"),
        (("release", "plain", "--set", "routes=[]"), "a release has one route, and 0"),
        (
            ("release", "plain", "--preset", "smoke", "--set", "data.population=9999"),
            "images are set aside",
        ),
        (("release", "plain", "--preset", "smoke", "--out", "file"), "File exists"),
        (("compare", "--set", "routes=3"), "routes are not a list"),
        (("compare", "--set", "routes.0=3"), "3 is not a table (routes.0)"),
        (("compare", "--set", "defaults=3"), "3 is not a table (defaults)"),
    ],
)
def test_it_ends_in_one_sentence(place, monkeypatch, capsys, words, says):
    assert sudare(monkeypatch, *words) == 2
    said = capsys.readouterr().err
    assert "error:" in said
    assert says in said


def test_a_card_is_shown_without_its_markup_acting(place, monkeypatch, capsys):
    assert sudare(monkeypatch, "open", "theirs", "--images", "in.npz") == 0
    assert "[/x]" in capsys.readouterr().out
    assert sudare(monkeypatch, "audit", "theirs") == 3
    assert "[/x]" in capsys.readouterr().out


def test_images_are_resized_to_what_the_card_says(place, monkeypatch):
    rng = np.random.default_rng(1)
    for name in ("big-in", "big-out"):
        images = rng.integers(0, 256, size=(20, 24, 24), dtype=np.uint8)
        np.savez(f"{name}.npz", images=images, labels=np.arange(20) % 2, class_names=CLASSES)
    words = (*KNOWN, "big-in.npz", "--non-members", "big-out.npz", "--out", "run")
    assert sudare(monkeypatch, *words) == 0
    assert (place / "run" / "report.html").exists()


def test_a_reader_who_goes_is_no_failed_gate(tmp_path):
    """Status 1 says that a gate failed; `sudare ... | head` gave it."""
    command = f"{sys.executable} -m sudare config figures | head -n 1; exit ${{PIPESTATUS[0]}}"
    done = subprocess.run(
        ["bash", "-c", command], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode in (0, 141)
    assert "Traceback" not in done.stderr
    assert "error" not in done.stderr


def test_empty_lists_are_no_options_of_the_help(capsys):
    for words in ("compare", "audit", "report", "poc", "release", "federate simulate"):
        app([*words.split(), "--help"], exit_on_error=False, result_action="return_value")
        printed = capsys.readouterr().out
        assert "--empty" not in printed
        assert "()" not in printed
