"""Models and scores that somebody else made."""

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from sklearn.datasets import load_digits
from sklearn.ensemble import RandomForestClassifier

import sudare
from sudare.audits.external import audit_images
from sudare.audits.external_models import load_model
from sudare.audits.external_scores import GivenTable, read_scores
from sudare.core.errors import AuditError, DataError
from sudare.core.findings import Status
from sudare.core.progress import Silent
from sudare.core.runs import RunSummary


@pytest.fixture(scope="module")
def digits():
    images, labels = load_digits(return_X_y=True)
    order = np.random.default_rng(0).permutation(len(images))
    images, labels = images[order], labels[order]
    return (images[:600], labels[:600]), (images[600:1200], labels[600:1200])


@pytest.fixture(scope="module")
def forest(digits):
    (images, labels), _ = digits
    return RandomForestClassifier(n_estimators=30, random_state=0).fit(images, labels)


def measured(result, name):
    (found,) = (f for f in result.findings.findings if f.id == name and not f.group)
    return found


def test_an_estimator_that_learnt_by_heart_is_exposed_and_says_what_does_not_apply(digits, forest):
    result = sudare.audit_model(forest, *digits)
    loss = measured(result, "membership.loss.auc")
    assert loss.low > 0.6
    assert measured(result, "utility.train_accuracy").value == 1
    for name in ("membership.rmia.auc", "membership.nearest.auc", "membership.boundary.auc"):
        found = [f for f in result.findings.findings if f.id == name]
        assert all(f.status is Status.NOT_APPLICABLE and f.reason for f in found)
    assert "membership.loss.auc" in str(result)


def test_records_no_model_has_seen_are_not_told_apart(digits, forest):
    _, (images, labels) = digits
    result = sudare.audit_model(forest, (images[:300], labels[:300]), (images[300:], labels[300:]))
    loss = measured(result, "membership.loss.auc")
    assert loss.low < 0.5 < loss.high


def test_a_module_an_estimator_and_a_function_that_answer_alike_get_the_same_figures(digits):
    generator = torch.Generator().manual_seed(0)
    weights = torch.randn((10, 64), generator=generator)
    net = torch.nn.Linear(64, 10)
    net.load_state_dict({"weight": weights, "bias": torch.zeros(10)})

    class Estimator:
        def predict_proba(self, records):
            logits = np.asarray(records, dtype=np.float64) @ weights.double().numpy().T
            shares = np.exp(logits - logits.max(axis=1, keepdims=True))
            return shares / shares.sum(axis=1, keepdims=True)

    def function(records):
        return np.asarray(records, dtype=np.float64) @ weights.double().numpy().T

    found = [
        measured(sudare.audit_model(model, *digits), "membership.gap.auc").value
        for model in (net, Estimator(), function)
    ]
    assert max(found) - min(found) < 1e-6


def test_the_command_line_takes_a_factory_weights_and_folders(tmp_path, monkeypatch):
    from PIL import Image

    rng = np.random.default_rng(0)
    for side in ("m", "n"):
        for name in ("a", "b"):
            (tmp_path / side / name).mkdir(parents=True)
            for index in range(20):
                pixels = rng.integers(0, 256, size=(8, 8), dtype=np.uint8)
                Image.fromarray(pixels).save(tmp_path / side / name / f"{index}.png")
    (tmp_path / "theirs.py").write_text(
        "import torch\n"
        "def build():\n"
        "    return torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(64, 2))\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    state = load_model("theirs:build", None).state_dict()
    save_file(state, tmp_path / "w.safetensors")
    result = audit_images(
        "theirs:build",
        tmp_path / "w.safetensors",
        str(tmp_path / "m"),
        str(tmp_path / "n"),
        image_size=None,
        folder=tmp_path / "run",
        fail_on=("membership.loss.auc > 0.99",),
        command="x",
        progress=Silent(),
    )
    assert [gate.verdict for gate in result.gates] == ["pass"]
    RunSummary.model_validate_json((tmp_path / "run" / "run.json").read_text())
    torch.save(state, tmp_path / "w.pt")
    with pytest.raises(AuditError, match="pickled weights are refused"):
        load_model("theirs:build", tmp_path / "w.pt")
    for wrong in ("theirs", "theirs:nothing", "no.such:thing", "", ":", "theirs:torch"):
        with pytest.raises(AuditError, match=r"model cannot be made|names no factory"):
            load_model(wrong, None)
    with pytest.raises(DataError, match="40 of 40 non-members are members too"):
        audit_images(
            "theirs:build",
            None,
            str(tmp_path / "m"),
            str(tmp_path / "m"),
            image_size=None,
            folder=tmp_path / "again",
            fail_on=(),
            command="x",
            progress=Silent(),
        )


@pytest.mark.parametrize(
    ("labels", "says"),
    [
        (np.zeros(3), "do not fit answers"),
        (np.full(600, 10), "do not fit answers"),
        (np.full(600, -1), "do not fit answers"),
        (np.full(600, 0.5), "do not fit answers"),
        (np.full(600, np.nan), "do not fit answers"),
        (np.full(600, "a"), "do not fit answers"),
        (np.zeros((600, 1)), "do not fit answers"),
    ],
)
def test_labels_that_do_not_fit_are_refused(digits, forest, labels, says):
    (images, _), outside = digits
    with pytest.raises(AuditError, match=says):
        sudare.audit_model(forest, (images, labels), outside)


def test_answers_that_are_not_finite_and_things_that_are_no_model_are_refused(digits):
    with pytest.raises(AuditError, match="not finite"):
        sudare.audit_model(lambda records: np.full((len(records), 10), np.nan), *digits)
    with pytest.raises(AuditError, match="is no model"):
        sudare.audit_model("a string", *digits)


def test_records_the_model_cannot_take_and_none_at_all_are_refused(digits, forest):
    (images, labels), outside = digits
    with pytest.raises(AuditError, match=r"fails on records of shape \(600, 63\)"):
        sudare.audit_model(forest, (images[:, :-1], labels), outside)
    with pytest.raises(AuditError, match=r"fails on records of shape \(600, 64\)"):
        sudare.audit_model(torch.nn.Linear(5, 10), (images, labels), outside)
    with pytest.raises(AuditError, match="there are no records"):
        sudare.audit_model(forest, (images[:0], labels[:0]), outside)


def write(path, **arrays):
    np.savez(path, **arrays)
    return path


def test_scores_alone_give_figures_with_intervals(tmp_path):
    rng = np.random.default_rng(0)
    members = np.arange(2000) < 1000
    path = write(tmp_path / "s.npz", scores=rng.normal(size=2000) + members, membership=members)
    result = sudare.audit_scores(read_scores(path), folder=tmp_path / "run")
    found = measured(result, "membership.given.auc")
    # Two normals one apart: AUC = Phi(1 / sqrt 2) = 0.760.
    assert found.low < 0.760 < found.high
    assert found.high - found.low < 0.06


def test_units_make_intervals_wider():
    rng = np.random.default_rng(0)
    members = np.repeat(np.arange(100) < 50, 10)
    scores = np.repeat(rng.normal(size=100), 10) + 0.5 * members
    widths = []
    for units in (np.arange(1000), np.repeat(np.arange(100), 10)):
        table = GivenTable(scores=scores[None], membership=members[None], units=units)
        found = measured(sudare.audit_scores(table), "membership.given.auc")
        widths.append(found.high - found.low)
    assert widths[1] > 2 * widths[0]


@pytest.mark.parametrize(
    ("arrays", "says"),
    [
        ({"scores": np.zeros(4)}, "the file holds scores"),
        ({"scores": np.zeros(4), "membership": np.zeros(3)}, "do not fit"),
        ({"scores": np.array([1.0, np.nan]), "membership": np.array([0, 1])}, "finite"),
        ({"scores": np.zeros(2), "membership": np.array([0, 2])}, "record 1 is neither 0 nor 1"),
        ({"scores": np.zeros(4), "membership": np.zeros(4)}, "members and non-members"),
        ({"scores": np.zeros(4), "membership": np.ones(4)}, "members and non-members"),
        (
            {"scores": np.zeros(2), "membership": np.array([0, 1]), "units": np.zeros(3)},
            "do not fit",
        ),
        ({"scores": np.array(["a", "b"]), "membership": np.array([0, 1])}, "cannot be read"),
        ({"scores": np.zeros((2, 2, 2)), "membership": np.zeros((2, 2, 2))}, "do not fit"),
    ],
)
def test_scores_that_cannot_be_judged_are_refused(tmp_path, arrays, says):
    with pytest.raises(AuditError, match=says):
        read_scores(write(tmp_path / "s.npz", **arrays))


def test_files_that_hold_no_scores_are_refused_and_nothing_in_them_runs(tmp_path):
    marker = tmp_path / "ran"

    class Bomb:
        def __reduce__(self):
            return marker.touch, ()

    bomb = np.empty(1, dtype=object)
    bomb[0] = Bomb()
    np.savez(tmp_path / "bomb.npz", scores=bomb, membership=np.ones(1))
    (tmp_path / "text.npz").write_text("no archive")
    (tmp_path / "empty.npz").touch()
    for name in ("bomb.npz", "text.npz", "empty.npz", "missing.npz"):
        with pytest.raises(AuditError, match="cannot be read"):
            read_scores(tmp_path / name)
    assert not marker.exists()


def test_an_estimator_takes_images_as_rows_of_pixels():
    """From the command line images come as [n, c, h, w]; a forest takes [n, c h w]."""
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (80, 1, 8, 8), dtype=np.uint8)
    labels = np.arange(80) % 2
    forest = RandomForestClassifier(n_estimators=10, random_state=0)
    forest.fit(images[:40].reshape(40, -1), labels[:40])
    given = sudare.audit_model(forest, (images[:40], labels[:40]), (images[40:], labels[40:]))
    rows = images.reshape(80, -1)
    flat = sudare.audit_model(forest, (rows[:40], labels[:40]), (rows[40:], labels[40:]))
    assert [f.value for f in given.findings.findings if f.id.startswith("membership")] == [
        f.value for f in flat.findings.findings if f.id.startswith("membership")
    ]
