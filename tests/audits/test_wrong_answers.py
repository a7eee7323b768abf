"""Answers that once misled: each was seen, and each is named, refused or undecided now."""

import numpy as np
import pytest
import torch
from PIL import Image

import sudare
from sudare.audits.checks.built_in import MembershipCheckConfig
from sudare.audits.checks.trial import null_seed
from sudare.audits.config import apply_overrides, load_config, read_toml
from sudare.audits.decisions.gates import exit_status
from sudare.audits.external import audit_scores
from sudare.audits.external_scores import GivenTable, read_scores
from sudare.audits.folder import claim
from sudare.audits.parts import split_of
from sudare.audits.verify import export
from sudare.core.errors import AuditError, ConfigError
from sudare.core.findings import Status
from sudare.core.progress import Silent
from sudare.core.runs import RunSummary, Verdict
from sudare.core.wording import say
from sudare.data.duplicates import record_clusters
from sudare.data.sources import load_source
from sudare.report import write_report
from tests.audits.conftest import run_smoke


def scores_of(shift, n=600, *, seed=0):
    rng = np.random.default_rng(seed)
    membership = np.arange(n)[None] < n // 2
    return GivenTable(
        scores=rng.normal(size=(1, n)) + shift * membership,
        membership=membership,
        units=np.arange(n),
    )


def queries(preset, *overrides):
    config = load_config(apply_overrides(read_toml(preset), overrides))
    planned = {r.name: r for route in config.routes for r in route.releases} | {"": None}
    return {name: MembershipCheckConfig.of(config, one).queries for name, one in planned.items()}


def test_mirrors_are_asked_about_only_where_training_showed_them():
    """RMIA's TPR at 1 % was 0.139 by the image alone and 0.023 with a mirror no net had seen."""
    lite = queries("lite")
    assert (lite["plain"], lite["smoothing-0.05"]) == (2, 2)
    assert (lite["dpsgd-eps8"], lite["linear-public"], lite["subset-10"], lite[""]) == (1, 1, 1, 1)
    assert set(queries("smoke").values()) == set(queries("demo").values()) == {1}
    assert queries("lite", "recipients.recipe.augmentation=['flip']")["subset-10"] == 2


def test_queries_can_be_asked_for():
    assert set(queries("smoke", "attacks.queries=mirror").values()) == {2}
    assert set(queries("lite", "attacks.queries=image").values()) == {1}


@pytest.mark.parametrize(
    "gate",
    [
        "membership.given.auc > 0.6",
        "membership.given.tpr@0.1 > 0.15",
        "membership.given.balanced_accuracy > 0.6",
    ],
)
def test_no_gate_passes_on_scores_that_are_the_wrong_way_round(gate):
    """Somebody passed a loss: AUC 0.147 passed every gate with exit status 0."""
    result = audit_scores(scores_of(-1.5), fail_on=(gate,))
    assert [g.verdict for g in result.gates] == [Verdict.UNDECIDED]
    assert result.gates[0].explanation == say("gate.wrong_way")
    assert exit_status(result.gates) == 3


def test_scores_the_wrong_way_round_are_called_that_and_no_coin_flip(tmp_path):
    audit_scores(scores_of(-1.5), folder=tmp_path / "run", title="losses.npz")
    told = " ".join(write_report(tmp_path / "run").verdict)
    assert "the scores tell the two apart the wrong way round: are higher scores members?" in told
    assert "no better than" not in told


def test_two_records_tell_nothing_and_decide_no_gate():
    table = GivenTable(
        scores=np.array([[1.0, 0.0]]), membership=np.array([[True, False]]), units=np.arange(2)
    )
    result = audit_scores(table, fail_on=("membership.given.auc > 0.6",))
    assert result.findings.get("membership.given.auc", "given").status is Status.UNRESOLVABLE
    assert exit_status(result.gates) == 3


@pytest.mark.parametrize(
    "units", [np.array([f"p{i // 2}" for i in range(400)]), np.arange(400) // 2 / 1000]
)
def test_units_of_scores_may_be_text_or_fractions(tmp_path, units):
    """Text ended in a traceback; fractions were cut to whole numbers, 2,000 units to two."""
    table = scores_of(1.0, 400)
    np.savez(tmp_path / "s.npz", scores=table.scores, membership=table.membership, units=units)
    assert len(np.unique(read_scores(tmp_path / "s.npz").units)) == 200


def linear(weights, bias=None):
    net = torch.nn.Linear(weights.shape[1], weights.shape[0])
    net.load_state_dict({"weight": weights, "bias": torch.zeros(len(weights))})
    return net


@pytest.fixture(scope="module")
def records():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(400, 5)).astype(np.float32)
    return x, (x[:, 0] > 0).astype(np.int64)


def audited(model, records, **settings):
    x, y = records
    return sudare.audit_model(model, (x[:200], y[:200]), (x[200:], y[200:]), **settings)


def good(x):
    return np.stack([-2 * x[:, 0], 2 * x[:, 0]], axis=1)


def test_a_good_model_is_not_warned_about(records):
    assert audited(good, records).summary.warnings == ()


def test_a_model_of_more_outputs_than_classes_is_named(records):
    """Five outputs for two classes: "its balanced accuracy is 0.000", exit status 0."""
    (told,) = audited(
        lambda x: np.pad(good(x), ((0, 0), (0, 3))) - [0, 0, 9, 9, 9], records
    ).summary.warnings
    assert "answers with 5 classes and the records have 2" in told


def test_a_model_that_guesses_on_its_own_members_is_named(records):
    (told,) = audited(linear(torch.zeros(2, 5)), records).summary.warnings
    assert "no more often than guessing" in told
    (told,) = audited(lambda x: good(x)[:, ::-1], records).summary.warnings
    assert "classes in another order" in told


def test_probabilities_are_taken_as_such_and_named(records):
    def softmax(x):
        shares = np.exp(good(x))
        return shares / shares.sum(axis=1, keepdims=True)

    result = audited(softmax, records)
    (told,) = result.summary.warnings
    assert "answers with probabilities" in told
    plain = audited(good, records).findings.get("membership.loss.auc", "given")
    assert result.findings.get("membership.loss.auc", "given").value == pytest.approx(plain.value)


def test_warnings_are_in_the_verdict(records, tmp_path):
    audited(linear(torch.zeros(2, 5)), records, folder=tmp_path / "run")
    told = write_report(tmp_path / "run").verdict
    assert any("no more often than guessing" in sentence for sentence in told)


def test_copies_of_a_few_records_are_few_units(records):
    """Four distinct members, 150 copies of each, gave AUC 0.875 (0.853 to 0.897)."""
    x, y = records
    rows = np.repeat(np.arange(4), 100)
    noise = 1e-7 * np.random.default_rng(1).normal(size=(400, 5)).astype(np.float32)
    copies = (x[rows] + noise, y[rows])
    result = sudare.audit_model(good, copies, (x[4:], y[4:]))
    found = result.findings.get("membership.loss.auc", "given")
    assert found.status is Status.UNRESOLVABLE
    assert any("796 records 400 are distinct" in told for told in result.summary.warnings)


def test_near_copies_across_the_sides_are_named(records):
    x, y = records
    result = sudare.audit_model(good, (x[:200], y[:200]), (x[:200] + np.float32(1e-6), y[:200]))
    assert any("200 non-members are nearly equal" in told for told in result.summary.warnings)


def test_units_that_are_given_are_used(records):
    units = (np.repeat(np.arange(10), 20), np.repeat(np.arange(10, 20), 20))
    result = audited(good, records, units=units)
    assert result.findings.get("membership.loss.auc", "given").status is Status.UNRESOLVABLE
    with pytest.raises(AuditError, match="units do not fit"):
        audited(good, records, units=(np.arange(3), np.arange(4)))


def test_clusters_of_records_hold_near_copies_and_nothing_else():
    x = np.random.default_rng(0).normal(size=(50, 4))
    clusters = record_clusters(np.concatenate([x, x + 1e-5, x]))
    np.testing.assert_array_equal(clusters[:50], clusters[50:100])
    assert len(np.unique(clusters)) == 50
    images = np.random.default_rng(0).integers(0, 255, size=(20, 1, 6, 6), dtype=np.uint8)
    assert len(np.unique(record_clusters(np.concatenate([images, images + 1])))) == 20


def test_figures_of_one_model_have_an_interval_or_none(records):
    """Accuracy from a handful of records was printed with an interval of no width."""
    result = audited(good, records)
    for name in ("utility.accuracy", "utility.balanced_accuracy", "utility.train_accuracy"):
        found = result.findings.get(name, "given")
        assert found.low < found.value or found.value == 1
        assert found.high - found.low > 0.005
    cost = result.findings.get("cost.audit_cpu_s", "given")
    assert (cost.low, cost.high) == (None, None)
    ids = {finding.id for finding in result.findings.findings}
    assert not ids & {"cost.storage_mb", "cost.transfer_mb"}
    assert "to 0)" not in str(result)


def test_a_folder_with_another_run_is_refused_and_force_clears_it(smoke, tmp_path):
    """Releases and private pictures of the old run stayed, and were exported as evidence."""
    folder, cache = tmp_path / "run", smoke[1]
    run_smoke(folder, cache)
    assert (folder / "releases" / "subset-4").exists()
    (folder / "mine.txt").write_text("precious")
    other = load_config(apply_overrides(read_toml("smoke"), ["seed=1"]))
    with pytest.raises(ConfigError, match="another configuration"):
        claim(folder, other)
    claim(folder, other, force=True)
    assert {path.name for path in folder.iterdir()} == {"config.toml", "mine.txt"}


def test_a_folder_that_is_no_run_is_left_alone(tmp_path):
    (tmp_path / "report.html").write_text("precious")
    with pytest.raises(ConfigError, match=r"no run, such as report\.html"):
        claim(tmp_path, load_config(read_toml("smoke")))
    assert (tmp_path / "report.html").read_text() == "precious"


def test_a_run_keeps_its_folder_when_only_gates_or_workers_change(tmp_path):
    claim(tmp_path / "run", load_config(read_toml("smoke")))
    judged = apply_overrides(
        read_toml("smoke"), ["fleet.workers=1", 'audit.fail_on=["membership.rmia.auc > 0.6"]']
    )
    claim(tmp_path / "run", load_config(judged))


def test_only_what_the_run_lists_is_exported(smoke, tmp_path):
    folder, cache = tmp_path / "run", smoke[1]
    run_smoke(folder, cache)
    stray = folder / "evidence" / "another-collection.npz"
    stray.write_bytes((folder / "evidence" / "plain.npz").read_bytes())
    names = {path.name for path in export(folder, tmp_path / "evidence").iterdir()}
    assert "plain.npz" in names
    assert stray.name not in names


def image_folder(root, header, per_class=6):
    rng = np.random.default_rng(0)
    rows = [header]
    for name in ("a", "b"):
        (root / name).mkdir(parents=True)
        for index in range(per_class):
            Image.fromarray(rng.integers(0, 255, size=(8, 8), dtype=np.uint8)).save(
                root / name / f"{index}.png"
            )
            rows.append(f"{name}/{index}.png,p{index // 2}")
    (root / "metadata.csv").write_text("\n".join(rows))
    return str(root)


def test_a_patient_column_is_not_ignored_in_silence(tmp_path):
    source = load_source(image_folder(tmp_path / "x", "file,patient_id"))
    assert any("every image is its own unit" in note for note in source.notes)
    assert any("'patient_id'" in note and "name it 'unit'" in note for note in source.notes)
    assert load_source(image_folder(tmp_path / "y", "file,unit")).notes == ()


def test_assumed_units_are_said_in_the_report(tmp_path, smoke):
    folder = tmp_path / "run"
    run_smoke(folder, smoke[1])
    summary = RunSummary.model_validate_json((folder / "run.json").read_text())
    noted = summary.model_copy(
        update={
            "data": summary.data.model_copy(update={"notes": ("no unit column",)}),
            "warnings": ("column 'patient_id' is not used",),
        }
    )
    (folder / "run.json").write_text(noted.model_dump_json(by_alias=True))
    told = write_report(folder)
    assert "column 'patient_id' is not used." in " ".join(told.verdict)
    for page in (told.internal, told.public):
        assert "no unit column" in page.read_text()


def test_units_are_said_by_every_command_that_reads_a_collection(tmp_path):
    told = []

    class Told(Silent):
        def say(self, text):
            told.append(text)

    sizes = ["data.pool=16", "data.population=0", "data.public=0", "data.test=6"]
    source = image_folder(tmp_path / "x", "file,patient_id", per_class=12)
    values = apply_overrides(read_toml("smoke"), [*sizes, f"data.source={source}"])
    split_of(load_config(values), progress=Told())
    assert any("every image is its own unit" in line for line in told)


def test_few_builds_are_said_to_be_few(smoke):
    assert any("fewer than 8 builds" in limit for limit in smoke[2].summary.limits)


def test_runs_of_neighbouring_seeds_share_no_null_draw():
    """Seeds 0 and 1 shared four of five."""
    seeds = [
        {null_seed(load_config({**read_toml("smoke"), "seed": seed}).seed, d) for d in range(20)}
        for seed in (0, 1)
    ]
    assert len(seeds[0]) == len(seeds[1]) == 20
    assert not seeds[0] & seeds[1]


def test_a_person_on_both_sides_is_said(records):
    units = (np.arange(200) // 2, np.arange(150, 350) // 2)
    result = audited(good, records, units=units)
    assert any("25 units (patients, persons, sites)" in told for told in result.summary.warnings)
    clean = audited(good, records, units=(np.arange(200), np.arange(200, 400)))
    assert not any("units (patients" in told for told in clean.summary.warnings)


def test_units_of_two_folders_are_one_where_they_have_one_name(tmp_path):
    from sudare.audits.external import _given_units
    from sudare.data.sources import load_source

    rng = np.random.default_rng(0)
    for side, patients in (("m", ["b", "a"]), ("n", ["c", "b"])):
        rows = ["file,unit"]
        for name in "xy":
            (tmp_path / side / name).mkdir(parents=True)
            for index in range(4):
                pixels = rng.integers(0, 256, size=(8, 8), dtype=np.uint8)
                Image.fromarray(pixels).save(tmp_path / side / name / f"{index}.png")
                rows.append(f"{name}/{index}.png,{patients[index % 2]}")
        (tmp_path / side / "metadata.csv").write_text("\n".join(rows))
    inside, outside = _given_units(*(load_source(str(tmp_path / side)) for side in "mn"))
    # a is 0 and b is 1 among members; among the others b is the same and c is new.
    assert inside.tolist() == [1, 0] * 4
    assert outside.tolist() == [2, 1] * 4


@pytest.fixture(scope="module")
def pictures():
    rng = np.random.default_rng(3)
    x = rng.integers(0, 256, size=(240, 1, 8, 8)).astype(np.uint8)
    return x, (x[:, 0, 0, 0] > 127).astype(np.int64)


def _sides(x, y):
    return (x[:120], y[:120]), (x[120:], y[120:])


def _net():
    net = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(64, 2))
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.zero_()
        net[1].weight[1, 0] = 8.0
        net[1].bias[1] = -4.0
    return net


def _auc(result, name="membership.loss.auc"):
    return result.findings.get(name, "given").value


@pytest.mark.parametrize("kind", [torch.float64, torch.bfloat16, torch.float16])
def test_a_net_is_asked_in_the_numbers_it_is_made_of(pictures, kind):
    one = sudare.audit_model(_net(), *_sides(*pictures))
    other = sudare.audit_model(_net().to(kind), *_sides(*pictures))
    assert _auc(other) == pytest.approx(_auc(one), abs=0.03)


def test_pixels_are_pixels_whatever_whole_numbers_hold_them(pictures):
    x, y = pictures
    bytes_, whole = (sudare.audit_model(_net(), *_sides(x.astype(k), y)) for k in ("u1", "i8"))
    assert _auc(whole) == _auc(bytes_)


def test_torch_data_sets_and_loaders_are_pairs_of_records_and_labels(pictures):
    x, y = pictures
    arrays = sudare.audit_model(_net(), *_sides(x, y))
    sets = [
        torch.utils.data.TensorDataset(torch.from_numpy(a), torch.from_numpy(b))
        for a, b in _sides(x, y)
    ]
    assert _auc(sudare.audit_model(_net(), *sets)) == _auc(arrays)
    loaders = [torch.utils.data.DataLoader(one, batch_size=7, shuffle=True) for one in sets]
    assert _auc(sudare.audit_model(_net(), *loaders)) == _auc(arrays)
    with pytest.raises(AuditError, match="int holds no records and labels"):
        sudare.audit_model(_net(), 3, sets[0])


class _Predicts:
    def predict(self, x):
        return np.zeros((len(x), 2))


class _Decides(_Predicts):
    decision_function = _Predicts.predict


@pytest.mark.parametrize(
    ("model", "told"),
    [
        (_Predicts(), "give the method itself: model.predict"),
        (_Decides(), "Give its scores: _Decides.decision_function"),
        (lambda x: np.full((len(x), 2), -np.inf), "to 120 of 120 records are not finite"),
        (lambda x: np.zeros((3, 2)), r"shape \(3, 2\) for 120 records"),
    ],
)
def test_what_is_no_model_says_what_to_give(pictures, model, told):
    with pytest.raises(AuditError, match=told):
        sudare.audit_model(model, *_sides(*pictures))


def test_python_takes_one_gate_as_text_a_folder_as_text_and_scores_as_arrays(tmp_path, pictures):
    result = sudare.audit_model(
        _net(), *_sides(*pictures), fail_on="auc > 0.99", folder=str(tmp_path / "run")
    )
    assert [gate.verdict for gate in result.gates] == ["pass"]
    assert (tmp_path / "run" / "run.json").exists()
    with pytest.raises(ConfigError, match="there will be no finding 'x'"):
        sudare.audit_model(_net(), *_sides(*pictures), fail_on="x > 1")
    member = np.arange(400) % 2 == 0
    scores = member + np.random.default_rng(0).normal(size=400)
    told = sudare.audit_scores(scores, member).findings.get("membership.given.auc", "given")
    assert 0.7 < told.value < 0.82
    with pytest.raises(AuditError, match="do not fit"):
        sudare.audit_scores(scores, member[:-1])
    with pytest.raises(AuditError, match="scores without membership"):
        sudare.audit_scores(scores)


def test_a_column_of_scores_is_one_model(tmp_path):
    member = np.arange(200) % 2 == 0
    scores = member + np.random.default_rng(1).normal(size=200)
    np.savez(tmp_path / "s.npz", scores=scores[:, None], membership=member[:, None])
    assert read_scores(tmp_path / "s.npz").scores.shape == (1, 200)
    np.savez(tmp_path / "t.npz", scores=scores[:, None], membership=member)
    assert read_scores(tmp_path / "t.npz").membership.shape == (1, 200)


def test_scores_are_refused_by_their_headers_before_they_are_read(tmp_path):
    """A megabyte that unpacked to 250 million scores took 11 GB and minutes."""
    np.savez_compressed(
        tmp_path / "s.npz",
        scores=np.zeros(20_000_001, dtype=np.uint8),
        membership=np.zeros(3, dtype=bool),
    )
    with pytest.raises(AuditError, match="scores holds 20,000,001 numbers"):
        read_scores(tmp_path / "s.npz")
    np.savez(tmp_path / "t.npz", scores=np.zeros(4), membership=np.zeros(3, dtype=bool))
    with pytest.raises(AuditError, match="4 scores and 3 memberships do not fit"):
        read_scores(tmp_path / "t.npz")
