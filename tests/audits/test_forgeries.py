"""What a dishonest vendor would hand over as evidence: each is refused, in a sentence.

The table is that of an audit of this project by strangers, who had 30 of 67 accepted. Every
forger here also writes a manifest that fits; those who could redo the whole run are held to the
commitment that was published before.
"""

import json
import re
import shutil

import numpy as np
import pytest

from sudare.audits.binding import agreed_on, unrecomputed
from sudare.audits.config import load_config, read_toml
from sudare.audits.evidence import commitment, read_evidence
from sudare.audits.toml import to_toml
from sudare.audits.verify import digest_of, export, verify
from sudare.core.errors import AuditError
from sudare.core.findings import Findings
from sudare.core.hashing import hash_file, hash_json
from sudare.core.progress import Silent
from sudare.data.plan import draw_plan
from tests.audits.conftest import run_smoke


class Folder:
    """An evidence folder in a forger's hands."""

    def __init__(self, path):
        self.path = path

    @property
    def names(self):
        return sorted(path.stem for path in self.path.glob("*.npz"))

    def arrays(self, name="plain"):
        with np.load(self.path / f"{name}.npz") as file:
            return {key: file[key] for key in file.files}

    def write(self, arrays, name="plain", pack=np.savez):
        pack(self.path / f"{name}.npz", **arrays)

    def change(self, name="plain", **changes):
        arrays = self.arrays(name)
        for key, change in changes.items():
            key = key.replace("__", ".")
            arrays[key] = change(arrays[key])
        self.write(arrays, name)

    def about(self, change, name="plain"):
        def changed(array):
            about = json.loads(str(array))
            change(about)
            return np.array(json.dumps(about))

        self.change(name, about=changed)

    def json(self, change, name="findings.json"):
        path = self.path / name
        values = json.loads(path.read_text())
        change(values)
        path.write_text(json.dumps(values))

    def findings(self, keep):
        self.json(lambda v: v.update(findings=[f for f in v["findings"] if keep(f)]))

    def config(self, change):
        path = self.path / "config.toml"
        values = load_config(read_toml(str(path))).model_dump(mode="json")
        change(values)
        path.write_text(to_toml(values))

    def drop_file(self, name):
        (self.path / f"{name}.npz").unlink()

    def drop(self, name):
        (self.path / f"{name}.npz").unlink()
        self.findings(lambda f: f["release"] != name)
        self.json(lambda v: v["releases"].pop(name), "manifest.json")

    def commit(self):
        """A commitment that fits what the folder now says."""
        config = load_config(read_toml(str(self.path / "config.toml")))
        found = read_evidence(self.path / f"{self.names[0]}.npz")
        plan = found.membership if found.plan is None else found.plan
        agreed = agreed_on(config, units=found.units, pool=found.pool, test=found.test)
        made = commitment(plan, found.nonce, agreed)
        self.json(lambda v: v.update(membership_commitment=made), "manifest.json")

    def manifest(self):
        """A manifest whose sums fit the folder."""

        def fitting(values):
            files = sorted(path.name for path in self.path.iterdir())
            values["files"] = {
                name: hash_file(self.path / name) for name in files if name != "manifest.json"
            }
            try:
                printed = Findings.model_validate_json((self.path / "findings.json").read_text())
                values["unrecomputed"] = unrecomputed(printed.findings)
                for name in (name for name in self.names if ".canaries-" not in name):
                    card = read_evidence(self.path / f"{name}.npz").card
                    values["releases"][name] = hash_json(card.model_dump(mode="json"))
            except (ValueError, AuditError):
                # What cannot be read is refused for that.
                pass

        self.json(fitting, "manifest.json")


def flipped(array):
    return ~array


def redrawn(folder):
    for name in folder.names:
        arrays = folder.arrays(name)
        plan = draw_plan(arrays["units"], arrays["labels"], builds=4, seed=99).membership
        arrays["membership"], arrays["plan"] = plan[: len(arrays["membership"])], plan
        folder.write(arrays, name)


def halved(folder):
    """A run of eight builds of which the first four are shown."""
    folder.config(lambda c: c["fleet"].update(builds=8))
    for name in folder.names:
        arrays = folder.arrays(name)
        plan = draw_plan(arrays["units"], arrays["labels"], builds=8, seed=0).membership
        assert np.array_equal(plan[:4], arrays["membership"])
        folder.write({**arrays, "plan": plan}, name)
    folder.commit()


def without_checks(folder):
    for name in folder.names:
        arrays = {k: v for k, v in folder.arrays(name).items() if not k.startswith("check.")}
        folder.write(arrays, name)
    kinds = ("evasion.", "fairness.", "outsider.", "copies.", "sampler.", "inversion.")
    folder.findings(lambda f: not f["id"].startswith(kinds))


def without(array):
    def forge(folder):
        for name in folder.names:
            folder.write({k: v for k, v in folder.arrays(name).items() if k != array}, name)

    return forge


def one_build_checked(folder):
    for name in folder.names:
        arrays = folder.arrays(name)
        cut = {k: v[:1] if k.startswith("check.") else v for k, v in arrays.items()}
        folder.write(cut, name)


def swapped(folder):
    one, two, *_ = (folder.path / f"{name}.npz" for name in folder.names)
    content = one.read_bytes()
    one.write_bytes(two.read_bytes())
    two.write_bytes(content)


def said_twice(folder):
    path = folder.path / "findings.json"
    text = path.read_text()
    at = text.index('"value"')
    path.write_text(text[:at] + '"value": 0.5, ' + text[at:])


def about_twice(folder):
    arrays = folder.arrays()
    text = str(arrays["about"]).replace('"nonce"', '"nonce": "x", "nonce"', 1)
    folder.write({**arrays, "about": np.array(text)})


def invented(folder):
    def add(values):
        one = next(f for f in values["findings"] if f["id"].startswith("cost."))
        values["findings"].append({**one, "release": "perfectly-safe", "value": 0.0})

    folder.json(add)


def copying_for_a_classifier(folder):
    def add(values):
        one = next(f for f in values["findings"] if f["id"].startswith("copying."))
        values["findings"].append({**one, "release": "plain", "route": "plain"})

    folder.json(add)


def of_card(folder, change, name="dpsgd-eps8"):
    folder.about(lambda about: change(about["card"]), name)


def entry(**changes):
    return lambda folder: of_card(folder, lambda card: card["ledger"][0].update(changes))


def every(change):
    def forge(folder):
        for name in folder.names:
            change(folder, name)

    return forge


def cost_halved(folder):
    def change(values):
        for f in values["findings"]:
            if f["id"] == "cost.build_cpu_s":
                f["value"] /= 2

    folder.json(change)
    # Its forger forgets that the manifest binds it.
    folder.manifest()
    folder.json(lambda v: v.update(unrecomputed="0" * 64), "manifest.json")


FORGERIES = {
    # Nothing outside the folder anchors it, but the configuration's seed does.
    "membership redrawn": (redrawn, "seed draws"),
    "membership turned round": (every(lambda f, n: f.change(n, membership=flipped)), "committed"),
    "a release dropped": (lambda f: f.drop("dpsgd-eps8"), "dpsgd-eps8 was planned"),
    "a release dropped, its figures kept": (
        lambda f: (f.path / "plain.npz").unlink(),
        "plain is in the manifest or in the evidence",
    ),
    "half of the builds": (halved, "4 builds, and 8 were planned"),
    "exact copies dropped": (without("check.copies.exact"), "lacks what a check.*'exact'"),
    "answers dropped": (without("check.utility.test"), "check utility was configured"),
    "the search's control dropped": (without("check.copies.source"), "lacks.*'source'"),
    "costs dropped": (
        lambda f: f.findings(lambda x: not x["id"].startswith("cost.")),
        r"cost\.\* are missing",
    ),
    "costs changed": (cost_halved, "nobody recomputes are not those"),
    "checks dropped": (without_checks, "was configured, and there is no evidence"),
    "checks of one build": (one_build_checked, "and the evidence has others"),
    "fewer attacks configured": (
        lambda f: f.config(lambda c: c["attacks"].update(membership=["loss"])),
        "committed",
    ),
    "no checks configured": (
        lambda f: (without_checks(f), f.config(lambda c: c.update(checks=[]))),
        "copies was configured, and there is no evidence",
    ),
    "marked as a null control": (
        lambda f: f.config(lambda c: c["audit"].update(null=True)),
        "committed",
    ),
    "another seed": (lambda f: f.config(lambda c: c.update(seed=8)), "seed draws"),
    "fewer draws": (lambda f: f.config(lambda c: c["audit"].update(draws=100)), "committed"),
    "more builds configured": (
        lambda f: f.config(lambda c: c["fleet"].update(builds=32)),
        "and 32 were configured",
    ),
    "a route more": (
        lambda f: f.config(lambda c: c["routes"].append({"kind": "smoothing"})),
        "was planned, and there is no evidence",
    ),
    "units of others": (
        every(lambda f, n: f.change(n, units=lambda u: np.roll(u, 1))),
        "seed draws",
    ),
    "units merged": (every(lambda f, n: f.change(n, units=lambda u: u // 2)), "seed draws"),
    "units of one release merged": (
        lambda f: f.change("plain", units=lambda u: u // 2),
        "units of another run",
    ),
    "units shifted": (every(lambda f, n: f.change(n, units=lambda u: u + 7)), "units are not"),
    "said to be an artefact": (
        lambda f: (
            [f.about(lambda a: a.update(target=0), n) for n in f.names],
            f.json(lambda v: v.update(membership_commitment=""), "manifest.json"),
        ),
        "only one artefact has none",
    ),
    "no commitment": (
        lambda f: f.json(lambda v: v.update(membership_commitment=""), "manifest.json"),
        "only one artefact has none",
    ),
    "another commitment": (
        lambda f: f.json(lambda v: v.update(membership_commitment="0" * 64), "manifest.json"),
        "committed",
    ),
    "another nonce": (every(lambda f, n: f.about(lambda a: a.update(nonce="x"), n)), "committed"),
    "another nonce for one": (
        lambda f: f.about(lambda a: a.update(nonce="x")),
        "the nonce of another run",
    ),
    "labels of one release": (
        lambda f: f.change(labels=lambda v: np.roll(v, 1)),
        "labels of another run|seed draws",
    ),
    "test labels of one release": (
        lambda f: f.change(test_labels=lambda v: np.roll(v, 1)),
        "test labels of another run",
    ),
    "an invented release": (invented, "perfectly-safe has figures and is not planned"),
    "another schema of findings": (
        lambda f: f.json(lambda v: v.update(schema="cheap/0")),
        "schema 'cheap/0'",
    ),
    "another schema of evidence": (
        lambda f: f.json(lambda v: v.update(schema="sudare.evidence/9"), "manifest.json"),
        "this is 'sudare.evidence/9'",
    ),
    "an older form of evidence": (
        lambda f: f.json(lambda v: v.update(schema="sudare.evidence/1"), "manifest.json"),
        "an older form",
    ),
    "a value said twice": (said_twice, "'value' stands twice"),
    "about said twice": (about_twice, "'nonce' stands twice"),
    "files of two releases exchanged": (swapped, "the file is of"),
    "a card's route": (
        lambda f: f.about(lambda a: a["card"].update(route="dpsgd")),
        "another route or kind",
    ),
    "a release's label": (
        lambda f: f.about(lambda a: a.update(subject=["plain", "plain", "Safe"])),
        "it is called",
    ),
    "a ledger's noise": (entry(noise_multiplier=0.5), "claims epsilon"),
    "a ledger's steps": (entry(steps=10**6), "claims epsilon"),
    "a ledger's rate": (entry(sample_rate=1.0), "claims epsilon"),
    "a ledger's epsilon": (entry(epsilon=0.01), r"claims epsilon 0\.01"),
    "a ledger emptied": (
        lambda f: of_card(f, lambda card: card.update(ledger=[])),
        "no ledger entry pays for",
    ),
    "a smaller promise": (
        lambda f: of_card(
            f, lambda card: card.update(guarantee="(0.01, 1e-9)-differential privacy")
        ),
        r"promises epsilon 0\.01",
    ),
    "a promise of a plain net": (
        lambda f: of_card(f, lambda card: card.update(guarantee="private"), "plain"),
        "no ledger entry pays for",
    ),
    "planted images unplanned": (
        lambda f: (shutil.copy(f.path / "plain.npz", f.path / "plain.canaries-atypical.npz"),),
        "no such images were planted",
    ),
    "planted images of no kind": (
        lambda f: (shutil.copy(f.path / "plain.npz", f.path / "plain.canaries-foo.npz"),),
        "no such images were planted|no kind",
    ),
    "a label below 0": (lambda f: f.change(labels=lambda v: v - 1), "labels are not between"),
    "a label of 1e6": (
        lambda f: f.change(labels=lambda v: np.where(v == 0, 10**6, v)),
        "labels are not between",
    ),
    "a test label of 1e9": (
        lambda f: f.change(test_labels=lambda v: np.where(v == 0, 10**9, v)),
        "test labels are not between",
    ),
    "NaN among scores": (
        lambda f: f.change(check__membership__phi=lambda v: np.where(v == v.max(), np.nan, v)),
        "NaN or infinity",
    ),
    "infinity among scores": (
        lambda f: f.change(check__membership__phi=lambda v: np.where(v == v.max(), np.inf, v)),
        "NaN or infinity",
    ),
    "scores of fewer images": (
        lambda f: f.change(check__membership__phi=lambda v: v[:, :-5]),
        "has shape",
    ),
    "predictions of fewer images": (
        lambda f: f.change(check__utility__test=lambda v: v[..., :-1, :]),
        "test predictions of",
    ),
    "builds in another order": (
        lambda f: f.change(membership=lambda v: v[[0, 2, 1, 3]]),
        "complements do not pair the builds",
    ),
    "a build more": (
        lambda f: f.change(membership=lambda v: np.concatenate([v, v[:1]])),
        "complements do not pair the builds",
    ),
    "packed arrays": (
        lambda f: f.write(f.arrays(), pack=np.savez_compressed),
        "its arrays are packed",
    ),
    "a configuration that is none": (
        lambda f: (f.path / "config.toml").write_text("routes = 3"),
        "configuration cannot be read",
    ),
    "a name that acts on a terminal": (
        lambda f: (f.path / "\x1b]0;PWNED.txt").write_text(""),
        "no file that an export writes",
    ),
}


@pytest.fixture(scope="module")
def exported(tmp_path_factory, smoke):
    return export(smoke[0], tmp_path_factory.mktemp("forged") / "evidence")


@pytest.fixture
def folder(exported, tmp_path):
    return Folder(shutil.copytree(exported, tmp_path / "evidence"))


def refusal(path, **options):
    """Every sentence that a folder is refused with."""
    try:
        found = verify(path, progress=Silent(), **options)
    except AuditError as error:
        return str(error)
    assert not found.holds
    assert found.agree == 0
    committed = [] if found.committed else ["not what was committed to"]
    return "\n".join([*found.differ, *committed])


@pytest.mark.parametrize("name", FORGERIES)
def test_a_forgery_is_refused_in_a_sentence(folder, name):
    forge, said = FORGERIES[name]
    forge(folder)
    if name != "costs changed":
        folder.manifest()
    told = refusal(folder.path)
    assert told.isprintable() or "\n" in told
    assert "\x1b" not in told
    assert re.search(said, told), told


@pytest.mark.parametrize(
    ("forge", "said"),
    [
        (
            lambda f: f.findings(lambda x: not x["id"].startswith("copying.")),
            r"copying.*: in the evidence, and not printed",
        ),
        (copying_for_a_classifier, r"plain: copying.*not to be found in the evidence"),
    ],
)
def test_figures_of_copying_are_recomputed_like_any_other(folder, forge, said):
    forge(folder)
    folder.manifest()
    found = verify(folder.path, progress=Silent())
    assert not found.holds
    assert any(re.search(said, text) for text in found.differ)


WHOLE = (
    "membership redrawn",
    "fewer attacks configured",
    "fewer draws",
    "another seed",
    "marked as a null control",
)


@pytest.mark.parametrize("name", WHOLE)
def test_who_commits_anew_is_held_to_what_was_published_before(folder, exported, name):
    published = json.loads((exported / "manifest.json").read_text())["membership_commitment"]
    FORGERIES[name][0](folder)
    if name == "membership redrawn":
        folder.config(lambda c: c.update(seed=99))
    folder.commit()
    folder.manifest()
    assert "which was published" in refusal(folder.path, published=published)


def test_what_was_published_opens_and_the_manifest_s_digest_too(exported):
    published = json.loads((exported / "manifest.json").read_text())["membership_commitment"]
    for known in (published, digest_of(exported)):
        assert verify(exported, progress=Silent(), published=known).holds
    assert "which was published" in refusal(exported, published="f" * 64)


@pytest.fixture(scope="module")
def planted(tmp_path_factory):
    base = tmp_path_factory.mktemp("planted")
    small = ("data.pool=400", "data.population=32", "data.test=40", "audit.draws=100")
    one = 'routes=[{kind="plain", net={name="mlp", width=8}, recipe={epochs=2}}]'
    kinds = 'audit.canaries=["mislabelled:80"]'
    run_smoke(base / "run", base / "cache", *small, one, kinds, 'attacks.membership=["rmia"]')
    return export(base / "run", base / "evidence")


def test_evidence_of_planted_images_holds(planted):
    found = verify(planted, progress=Silent())
    assert found.holds, found.differ


@pytest.mark.parametrize(
    ("forge", "said"),
    [
        (
            lambda f: (
                f.drop_file("plain.canaries-mislabelled"),
                f.findings(lambda x: not x["id"].startswith("canaries.")),
            ),
            "images were planted, and there is no evidence",
        ),
        (
            lambda f: f.change("plain.canaries-mislabelled", membership=flipped),
            "not those that the configuration's seed draws",
        ),
        (
            lambda f: f.about(lambda a: a["card"].update(title="x"), "plain.canaries-mislabelled"),
            "of another release",
        ),
    ],
)
def test_forged_evidence_of_planted_images_is_refused(planted, tmp_path, forge, said):
    folder = Folder(shutil.copytree(planted, tmp_path / "evidence"))
    forge(folder)
    folder.manifest()
    assert said in refusal(folder.path)


def test_a_manifest_that_says_a_name_twice_is_refused(folder):
    path = folder.path / "manifest.json"
    path.write_text('{"command": "", ' + path.read_text()[1:])
    assert "'command' stands twice" in refusal(folder.path)


def test_evidence_is_for_its_auditor_alone(exported):
    assert exported.stat().st_mode & 0o077 == 0
    assert all(path.stat().st_mode & 0o077 == 0 for path in exported.iterdir())
