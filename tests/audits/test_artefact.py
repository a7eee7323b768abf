"""One artefact: checks measure it as it is, and a third party recomputes what they found."""

import json
import stat

import numpy as np
import pytest
import torch

import sudare.routes.synthesis.build as synthesis
from sudare.audits.artefact import AuditRequest, audit_artefact
from sudare.audits.config import apply_overrides, load_config, read_toml
from sudare.audits.ship import make_artefact
from sudare.audits.verify import export, verify
from sudare.core.errors import ReleaseError, SudareError
from sudare.core.progress import Silent
from sudare.core.threats import ThreatModel
from sudare.fleets.cache import Cache
from sudare.releases.store import write_release

SMALL = (
    "data.pool=64",
    "data.population=60",
    "data.test=40",
    "audit.draws=100",
    'attacks.membership=["rmia"]',
    'checks=[{kind="fairness"}, {kind="evasion", images=20, attacks=["fgsm"], epsilons=[8]},'
    ' {kind="sampler"}]',
    "fleet.workers=1",
)


@pytest.fixture(scope="module")
def audited(tmp_path_factory):
    base = tmp_path_factory.mktemp("artefact")
    values = apply_overrides(read_toml("smoke"), SMALL)
    values["routes"] = values["routes"][:1]
    rng = np.random.default_rng(1)
    with pytest.MonkeyPatch.context() as patched:
        # From the operating system, one null audit in fifteen would find something.
        patched.setattr(
            "sudare.audits.ship.secrets.randbits", lambda bits: int(rng.integers(2**bits))
        )
        made = make_artefact(load_config(values), base / "mine", progress=Silent())
    request = AuditRequest(release=made.release, key=made.key, builds=4, command="test")
    result = audit_artefact(request, base / "run", cache=Cache(base / "cache"), progress=Silent())
    return base, result


def test_checks_measure_the_artefact_itself_and_not_its_shadows(audited):
    base, result = audited
    found = {f.id: f for f in result.findings.findings if not f.group}
    fooled = found["evasion.fgsm.accuracy@8"]
    assert fooled.n_builds == 1
    assert (fooled.low, fooled.high) == (None, None)
    assert fooled.threat_model == ThreatModel.CLASSIFIER_WEIGHTS
    assert "fairness.worst_class" in found
    # A check for other kinds of release measures nothing.
    assert not [name for name in found if name.startswith("sampler.")]
    assert [picture.kind for picture in result.summary.pictures] in ([], ["evasion"])
    said = " ".join(result.summary.limits)
    assert "membership inference, copies, fairness between classes and groups, evasion" in said
    assert (base / "run" / "findings.json").exists()


def test_a_null_audit_of_an_artefact_finds_nothing(audited, tmp_path):
    base, _ = audited
    request = AuditRequest(
        release=base / "mine" / "release",
        key=base / "mine-private" / "audit-key.npz",
        builds=4,
        null=True,
        command="test",
    )
    result = audit_artefact(
        request, tmp_path / "run", cache=Cache(base / "cache"), progress=Silent()
    )
    assert result.summary.null_control
    found = {f.id: f for f in result.findings.findings if not f.group}
    assert found["membership.rmia.auc"].null_control
    assert found["membership.rmia.auc"].low <= 0.5 <= found["membership.rmia.auc"].high


def test_a_third_party_recomputes_what_checks_found_of_an_artefact(audited, tmp_path):
    base, _ = audited
    found = verify(export(base / "run", tmp_path / "evidence"), progress=Silent())
    assert found.holds, found
    printed = json.loads((base / "run" / "findings.json").read_text())["findings"]
    recomputed = {f["id"] for f in printed} - set(found.not_recomputed)
    assert "evasion.fgsm.accuracy@8" in recomputed


def small_synthesis(**changes):
    values = apply_overrides(read_toml("smoke"), SMALL)
    net = {"name": "mlp", "width": 8}
    gan = {"steps": 2, "width": 4, "latent": 4, "snapshots": 2, "batch_size": 8}
    values["routes"] = [
        {
            "kind": "synthesis",
            "net": net,
            "recipe": {"epochs": 1, "augmentation": []},
            "gan": {**gan, **changes},
            "selection": {"steps": 1, "seeds": 1, "sigmas": [1.0], "thresholds": [-1.0]},
        }
    ]
    return load_config(values)


class Spoken(Silent):
    def __init__(self):
        self.lines = []

    def say(self, text):
        self.lines.append(text)


@pytest.fixture
def stopped(tmp_path, monkeypatch):
    """A release whose build was stopped after teacher and generator."""

    def killed(*given, **named):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr("sudare.routes.synthesis.build._Work.chosen", killed)
        with pytest.raises(KeyboardInterrupt):
            make_artefact(small_synthesis(), tmp_path / "mine", progress=Silent())
    return tmp_path


def test_a_stopped_release_goes_on_with_its_stages_and_keeps_no_seed(stopped, monkeypatch):
    private = stopped / "mine-private"
    assert stat.S_IMODE((private / "unfinished").stat().st_mode) == 0o700
    seeds = json.loads((private / "unfinished" / "seeds.json").read_text())["seeds"]
    with monkeypatch.context() as patched:
        # Teacher and generator are there: who trained either again would fail here.
        patched.setattr("sudare.routes.synthesis.build.train", None)
        patched.setattr("sudare.routes.synthesis.gan._Trainer.run", None)
        spoken = Spoken()
        made = make_artefact(small_synthesis(), stopped / "mine", progress=spoken)
    assert "goes on at its last stage" in " ".join(spoken.lines)
    assert [path.name for path in private.iterdir()] == ["audit-key.npz"]
    with np.load(made.key) as key:
        told = str(key["about"])
    assert json.loads(told)["config"]["seed"] == seeds["split"]
    left = [p.read_bytes() for p in stopped.rglob("*") if p.is_file()]
    assert not any(str(seeds["build"]).encode() in content for content in left)


def test_a_stopped_release_of_other_settings_is_begun_anew(stopped):
    before = (stopped / "mine-private" / "unfinished" / "seeds.json").read_text()
    spoken = Spoken()
    made = make_artefact(small_synthesis(latent=5), stopped / "mine", progress=spoken)
    assert "it is gone" in " ".join(spoken.lines)
    with np.load(made.key) as key:
        told = json.loads(str(key["about"]))
    assert told["config"]["seed"] != json.loads(before)["seeds"]["split"]


@pytest.mark.parametrize("content", ["", "{}", '{"key": 1}', '{"seeds": {"split": "x"}}', "[]"])
def test_seeds_that_cannot_be_read_are_drawn_anew(stopped, content):
    (stopped / "mine-private" / "unfinished" / "seeds.json").write_text(content)
    assert make_artefact(small_synthesis(), stopped / "mine", progress=Silent()).key.is_file()


def test_what_is_for_comparison_only_is_not_built_to_ship(tmp_path, monkeypatch):
    trained = []
    real = synthesis.train_student

    def train_student(*given, label, **named):
        trained.append(label)
        real(*given, label=label, **named)

    monkeypatch.setattr(synthesis, "train_student", train_student)
    config = small_synthesis()
    (route,) = config.routes
    beside = ("teacher", "hard-student", "last", "generator")
    config = config.model_copy(update={"routes": (route.model_copy(update={"beside": beside}),)})
    made = make_artefact(config, tmp_path / "mine", progress=Silent())
    assert {label for label in trained if label != "trial"} == {"student"}
    assert set(made.further) == {"synthesis-student", "synthesis-generator"}


def test_two_processes_do_not_build_one_release(tmp_path, monkeypatch):
    """A lock is the open file's, so that a second opening in one process is refused alike."""
    with monkeypatch.context() as patched:

        def meanwhile(*given):
            with pytest.raises(ReleaseError, match="another process is building this release"):
                make_artefact(small_synthesis(), tmp_path / "mine", progress=Silent())
            raise ReleaseError("enough")

        patched.setattr("sudare.routes.synthesis.build._Work.chosen", meanwhile)
        with pytest.raises(ReleaseError, match="enough"):
            make_artefact(small_synthesis(), tmp_path / "mine", progress=Silent())
    assert not (tmp_path / "mine-private").exists()
    assert make_artefact(small_synthesis(), tmp_path / "mine", progress=Silent()).key.is_file()


def test_a_release_is_built_with_the_threads_of_a_worker(tmp_path, monkeypatch):
    seen, before = [], torch.get_num_threads()

    def chosen(*given):
        seen.append(torch.get_num_threads())
        raise ReleaseError("enough")

    monkeypatch.setattr("sudare.routes.synthesis.build._Work.chosen", chosen)
    config = small_synthesis()
    config = config.model_copy(update={"fleet": config.fleet.model_copy(update={"threads": 3})})
    with pytest.raises(ReleaseError, match="enough"):
        make_artefact(config, tmp_path / "mine", progress=Silent())
    assert seen == [3]
    assert torch.get_num_threads() == before


def test_what_a_stopped_build_had_written_is_written_again(tmp_path, monkeypatch):
    written = []

    def killed(release, folder):
        written.append(folder.name)
        if len(written) == 2:
            raise KeyboardInterrupt
        return write_release(release, folder)

    with monkeypatch.context() as patched:
        patched.setattr("sudare.audits.ship.write_release", killed)
        with pytest.raises(KeyboardInterrupt):
            make_artefact(small_synthesis(), tmp_path / "mine", progress=Silent())
    assert written == ["release-student", "release"]
    before = (tmp_path / "mine-private" / "audit-key.npz").read_bytes()
    made = make_artefact(small_synthesis(), tmp_path / "mine", progress=Silent())
    assert made.key.read_bytes() == before
    assert made.release.is_dir()
    assert {path.name for path in made.further.values()} == {"release-student"}
    with pytest.raises(ReleaseError, match="there is a release already"):
        make_artefact(small_synthesis(), tmp_path / "mine", progress=Silent())


def test_seeds_that_outlived_a_finished_release_are_removed(tmp_path, monkeypatch):
    with monkeypatch.context() as patched:
        patched.setattr("sudare.audits.ship._Unfinished.forget", lambda _: None)
        made = make_artefact(small_synthesis(), tmp_path / "mine", progress=Silent())
    assert (made.key.parent / "unfinished").is_dir()
    with pytest.raises(ReleaseError, match="there is a release already"):
        make_artefact(small_synthesis(), tmp_path / "mine", progress=Silent())
    assert [path.name for path in made.key.parent.iterdir()] == ["audit-key.npz"]


def test_a_release_that_cannot_be_leaves_nothing(tmp_path):
    with pytest.raises(SudareError):
        make_artefact(small_synthesis(lr=1e30), tmp_path / "mine", progress=Silent())
    assert list(tmp_path.iterdir()) == []
