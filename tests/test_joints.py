"""The joints are open: another package adds one of each, and nothing of ours changes for it.

A kind of release, a route with two releases, a check with a budget, `prepare` and a picture, a
figure, a section, a signal, a membership test, an evasion attack, a prior and a data source come
through entry points; `compare` shows all of them in both editions, and a third party recomputes
their figures.
"""

import json
import os
import subprocess
import sys

import numpy as np
import pytest

TOY = '''
from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
import torch
from pydantic import Field

from sudare.attacks.evasion import EvasionAttack
from sudare.attacks.inversion.priors import FittedPrior
from sudare.attacks.membership.base import MembershipTest
from sudare.attacks.signals import Signal
from sudare.audits.checks.base import Check, Judgement, Measurement, Picture
from sudare.audits.checks.config import CheckConfig
from sudare.core.errors import ReleaseError
from sudare.core.figures import Figure
from sudare.core.scores import Scale
from sudare.core.threats import Threat, ThreatModel
from sudare.metrics import mean_over_builds
from sudare.releases.card import Card, Spec
from sudare.releases.kinds import LogitsView, Release, SamplesRelease, SamplesSpec
from sudare.data.images import ImageDataset
from sudare.data.sources.source import Source
from sudare.report.blocks import Paragraph
from sudare.report.sections import Section
from sudare.routes.base import Build, BuildRecord, Role, Route
from sudare.routes.config import PlannedRelease, RouteConfig


class MeansSpec(Spec):
    temperature: float = Field(gt=0)


class Nearest(torch.nn.Module):
    def __init__(self, means, temperature):
        super().__init__()
        self.means, self.temperature = torch.nn.Parameter(means), temperature

    def forward(self, images):
        return -torch.cdist(images.flatten(1), self.means) / self.temperature


@dataclass(frozen=True, kw_only=True, eq=False)
class MeansRelease(Release):
    """The mean image of each class."""

    kind: ClassVar[str] = "means"
    spec_class: ClassVar[type[Spec]] = MeansSpec
    views: ClassVar = {"means/scores": "_scores"}
    scores_as: ClassVar[ThreatModel] = ThreatModel("means/scores")
    threats: ClassVar = (
        Threat(id="means/scores", sees="Distances to mean images.", phrase="distances to means"),
    )

    means: torch.Tensor

    @classmethod
    def from_tensors(cls, card, tensors):
        if set(tensors) != {"means"}:
            raise ReleaseError("a means release holds means")
        return cls(card=card, means=tensors["means"])

    def tensors(self):
        return {"means": self.means}

    def net(self, *, device="cpu"):
        return Nearest(self.means, self.card.spec.temperature).to(device).eval()

    def _scores(self, device):
        return LogitsView((self.net(device=device),), device)


class ToyConfig(RouteConfig):
    """Mean images, as numbers and as pictures."""

    route: ClassVar[str] = "toy_package:ToyRoute"
    kind: Literal["toy"] = "toy"
    temperature: float = 1.0

    @property
    def releases(self):
        told = "The mean image of each class"
        return (
            PlannedRelease(
                name="toy-means", label="Toy means", kind="means", what_leaves=f"{told}."
            ),
            PlannedRelease(
                name="toy-set", label="Toy set", kind="samples", what_leaves=f"{told}, in pixels."
            ),
        )


class ToyRoute(Route[ToyConfig]):
    def _build(self, private, context):
        def make(folder):
            means = [private.images[private.classes == c].mean(axis=0) for c in range(10)]
            np.save(folder / "means.npy", np.stack(means))

        means = np.load(context.stages.get("means", {}, make) / "means.npy")
        common = {
            "route": "toy",
            "class_names": private.class_names,
            "image_shape": private.image_shape,
        }
        cards = {
            r.name: Card(
                kind=r.kind,
                title=r.label,
                what_leaves=r.what_leaves,
                spec=MeansSpec(temperature=self.config.temperature)
                if r.kind == "means"
                else SamplesSpec(),
                **common,
            )
            for r in self.config.releases
        }
        flat = torch.from_numpy((means.reshape(10, -1) - 127.5) / 63.75).float()
        return Build(
            releases={
                "toy-means": MeansRelease(card=cards["toy-means"], means=flat),
                "toy-set": SamplesRelease(
                    card=cards["toy-set"],
                    images=means.round().astype(np.uint8),
                    soft_labels=np.eye(10, dtype=np.float32),
                ),
            },
            record=BuildRecord(roles=np.full(len(private), Role.TRAIN, dtype=np.int8)),
        )


class ShiftConfig(CheckConfig):
    check: ClassVar[str] = "toy_package:ShiftCheck"
    label: ClassVar[str] = "toy shift"
    kind: Literal["shift"] = "shift"
    images: int = Field(default=50, ge=1, description="Budget.")


class ShiftCheck(Check[ShiftConfig]):
    """How much accuracy a brighter picture costs; the shift is drawn from the population."""

    figures = (
        Figure(
            id="shift.drop",
            name="Accuracy lost to a brighter picture",
            short="Shift",
            meaning="Accuracy on test images less that on brighter ones.",
            chance=0.0,
            worse="higher",
            edition="public",
        ),
        Figure(id="shift.secret", name="A figure for the house", worse="higher"),
    )
    prepares = True

    def not_for(self, kind):
        return "it is about means and sets" if kind.kind == "classifier" else ""

    def prepare(self, given, folder):
        np.save(folder / "shift.npy", given.population.images.std())

    def measure(self, tested):
        shift = np.load(tested.prepared / "shift.npy")
        test = tested.test[: self.config.images]
        brighter = np.clip(test.images + shift, 0, 255).astype(np.uint8)
        view = LogitsView(tested.nets, tested.device)
        right = [
            (view.logits(images).argmax(axis=2) == test.classes).mean()
            for images in (test.images, brighter)
        ]
        picture = Picture(image=brighter[0], caption="A brighter test image")
        return Measurement(arrays={"right": np.array(right)}, pictures={"brighter": picture})

    def judge(self, stack, maker):
        right = stack.arrays["right"]
        drop = mean_over_builds(right[:, 0] - right[:, 1])
        found = [maker.finding("shift.drop", drop), maker.finding("shift.secret", drop)]
        return Judgement(findings=found)


class Spread(Signal[LogitsView]):
    """How far apart the logits of an image are."""

    name: ClassVar[str] = "spread"
    scale: ClassVar[Scale] = Scale.DISTANCE

    def _measure(self, view, images, labels, seed):
        return view.logits(images).std(axis=2).mean(axis=0)[:, None]


class SpreadTest(MembershipTest):
    """The farther apart, the more likely a member."""

    id: ClassVar[str] = "membership.spread"
    accepts: ClassVar = frozenset({Scale.DISTANCE})
    needs_shadows: ClassVar[bool] = False
    signal: str = "spread"

    def _scores(self, table):
        return table.pool(self.signal)[:, :, 0]


@dataclass(frozen=True, kw_only=True)
class Brighter(EvasionAttack):
    name: ClassVar[str] = "brighter"
    label: ClassVar[str] = "A brighter image"
    follows_gradients: ClassVar[bool] = False

    def _run(self, net, images, labels, targets, rng):
        return images + self.epsilon


class MeanPrior(FittedPrior):
    """The mean image and a little noise."""

    def __init__(self, image_shape, latent):
        super().__init__()
        self.latent = latent
        self.register_buffer("mean", torch.zeros(image_shape))

    def fit(self, images, *, steps, seed, progress):
        self.mean.copy_(images.mean(dim=0))

    def sample(self, count, generator):
        return torch.randn(count, self.latent, generator=generator, device=generator.device)

    def decode(self, latents):
        return self.mean + 0.1 * latents.mean(dim=1)[:, None, None, None]


def stripes(request):
    """Stripes up or down; drawn, nobody's."""
    rng = np.random.default_rng(0)
    labels = np.arange(900) % 2
    images = rng.integers(0, 90, size=(900, 1, 8, 8)).astype(np.uint8)
    images[labels == 0, :, ::2] += 120
    images[labels == 1, :, :, ::2] += 120
    data = ImageDataset(
        images=images,
        labels=labels,
        class_names=("across", "up"),
        unit=np.arange(900),
        name="stripes",
    )
    return Source(train=data, test=None, name="stripes", licence="none needed", source="drawn")


def toy_section(run):
    found = [item for item in run.findings if item.id == "shift.drop"]
    if not found:
        return []
    told = Paragraph(f"{len(found)} toy findings.")
    return [Section(name="toy", title="A toy section", blocks=[told])]
'''
ENTRY_POINTS = """
[sudare.kinds]
means = toy_package:MeansRelease
[sudare.routes]
toy = toy_package:ToyConfig
[sudare.checks]
shift = toy_package:ShiftConfig
[sudare.sections]
toy = toy_package:toy_section
[sudare.signals]
spread = toy_package:Spread
[sudare.membership]
spread = toy_package:SpreadTest
[sudare.evasion]
brighter = toy_package:Brighter
[sudare.priors]
mean = toy_package:MeanPrior
[sudare.sources]
stripes = toy_package:stripes
"""
CONFIG = """
title = "Toy"
[data]
source = "digits"
pool = 400
population = 200
public = 100
test = 200
[fleet]
builds = 4
[[routes]]
kind = "toy"
temperature = 2.0
[[routes]]
kind = "plain"
net = { name = "mlp", width = 8 }
recipe = { epochs = 4 }
[[checks]]
kind = "shift"
images = 80
[[checks]]
kind = "evasion"
attacks = ["brighter", "pgd", "deepfool"]
images = 20
steps = 3
corruptions = false
builds = 2
[recipients]
net = { name = "mlp", width = 8 }
recipe = { steps = 20 }
[attacks]
membership = ["rmia", "spread"]
[audit]
draws = 100
exposed = 2
"""
STRIPES = """
title = "Stripes"
[data]
source = "stripes"
pool = 300
population = 200
public = 100
test = 150
[fleet]
builds = 4
[[routes]]
kind = "plain"
net = { name = "convnet", width = 4, depth = 1 }
recipe = { epochs = 2 }
[[checks]]
kind = "inversion"
prior = "mean"
classes = 2
candidates = 4
pool = 8
keep = 2
steps = 2
builds = 2
evaluator = { name = "convnet", width = 4, depth = 1 }
evaluator_recipe = { epochs = 2 }
[attacks]
membership = ["rmia"]
[audit]
draws = 100
exposed = 0
"""


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder with the package installed beside Sudare, and a run of `compare` with it."""
    root = tmp_path_factory.mktemp("joints")
    site = root / "site"
    (site / "toy_package-0.1.dist-info").mkdir(parents=True)
    (site / "toy_package.py").write_text(TOY)
    info = site / "toy_package-0.1.dist-info"
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: toy-package\nVersion: 0.1\n")
    (info / "entry_points.txt").write_text(ENTRY_POINTS)
    (root / "toy.toml").write_text(CONFIG)
    done = sudare(root, "compare", "--config", "toy.toml", "--out", "run")
    assert done.returncode == 0, done.stdout + done.stderr
    return root


def sudare(root, *words):
    environment = {
        **os.environ,
        "PYTHONPATH": str(root / "site"),
        "SUDARE_CACHE": str(root / "cache"),
        "COLUMNS": "200",
    }
    code = "from sudare.cli.app import main; main()"
    return subprocess.run(
        [sys.executable, "-c", code, *words],
        cwd=root,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )


def findings(place):
    found = json.loads((place / "run" / "findings.json").read_text())["findings"]
    return {(f["id"], f["release"]): f for f in found if not f["group"]}


def test_two_releases_of_one_route_are_attacked_under_their_own_threat_models(place):
    found = findings(place)
    assert found["membership.rmia.auc", "toy-means"]["threat_model"] == "means/scores"
    assert found["membership.rmia.auc", "toy-set"]["threat_model"] == "samples/recipient"
    for release in ("toy-means", "toy-set", "plain"):
        assert found["utility.accuracy", release]["value"] > 0.2
    assert {path.name for path in (place / "run" / "releases").iterdir()} == {
        "toy-means",
        "toy-set",
        "plain",
    }


def test_the_check_ran_where_it_applies_with_what_it_prepared(place):
    found = findings(place)
    assert found["shift.drop", "toy-means"]["value"] is not None
    assert found["shift.drop", "toy-set"]["value"] is not None
    assert ("shift.drop", "plain") not in found


def test_a_signal_and_the_test_that_reads_it_run_with_their_control(place):
    found = findings(place)
    for release in ("toy-means", "toy-set", "plain"):
        assert found["membership.spread.auc", release]["low"] is not None
        assert found["membership.spread.null_auc", release]["value"] is not None
    with np.load(place / "run" / "evidence" / "plain.npz") as evidence:
        signal, ours = evidence["check.membership.spread"], evidence["check.membership.phi"]
        assert signal.shape == ours.shape


def test_an_evasion_attack_runs_beside_ours_and_has_a_name_on_the_page(place):
    found = findings(place)
    assert found["evasion.brighter.accuracy@8", "plain"]["value"] is not None
    assert found["evasion.deepfool.accuracy@8", "plain"]["value"] is not None
    assert "A brighter image" in (place / "run" / "report.html").read_text()


def test_a_source_and_a_prior_of_another_package(place):
    (place / "stripes.toml").write_text(STRIPES)
    done = sudare(place, "compare", "--config", "stripes.toml", "--out", "stripes")
    assert done.returncode == 0, done.stdout + done.stderr
    found = json.loads((place / "stripes" / "findings.json").read_text())["findings"]
    top = next(f for f in found if f["id"] == "inversion.top1")
    assert "mean prior" in top["method"]["text"]
    listed = sudare(place, "data", "list")
    assert "Stripes up or down; drawn, nobody's." in listed.stdout


@pytest.mark.parametrize("page", ["report.html", "report-public.html"])
def test_both_editions_show_the_section_the_figure_and_the_releases(place, page):
    text = (place / "run" / page).read_text()
    for words in (
        "A toy section",
        "2 toy findings",
        "Accuracy lost to a brighter picture",
        "Toy means",
        "Toy set",
        "Distances to mean images.",
        "membership inference, copies, toy shift",
    ):
        assert words in text, words


def test_pictures_and_undeclared_figures_stay_in_the_house(place):
    inside, outside = (
        (place / "run" / page).read_text() for page in ("report.html", "report-public.html")
    )
    assert "A brighter test image" in inside
    assert "data:image/png" in inside
    assert "A figure for the house" in inside
    assert "A brighter test image" not in outside
    assert "data:image/png" not in outside
    assert "A figure for the house" not in outside


def test_gates_and_the_glossary_know_the_figure(place):
    done = sudare(
        place,
        *("compare", "--config", "toy.toml", "--out", "run"),
        *("--fail-on", "toy-means: shift.drop > 0.99"),
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "PASS: toy-means: shift.drop is not above 0.99" in done.stdout + done.stderr
    assert (
        "Accuracy on test images less that on brighter ones."
        in (place / "run" / "report.html").read_text()
    )


def test_a_third_party_recomputes_the_figures_of_the_check(place):
    assert sudare(place, "audit", "export", "run", "--out", "evidence").returncode == 0
    done = sudare(place, "audit", "verify", "evidence")
    assert done.returncode == 0, done.stdout + done.stderr
    path = place / "evidence" / "findings.json"
    values = json.loads(path.read_text())
    next(f for f in values["findings"] if f["id"] == "shift.drop")["value"] = -0.5
    path.write_text(json.dumps(values))
    forged = sudare(place, "audit", "verify", "evidence")
    assert forged.returncode == 2


def test_a_release_of_the_new_kind_can_be_opened(place):
    done = sudare(place, "open", "run/releases/toy-means", "--images", "digits")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Toy means" in done.stdout


def test_without_the_package_its_names_are_unknown(place, tmp_path):
    (tmp_path / "toy.toml").write_text(CONFIG)
    done = sudare(tmp_path, "compare", "--config", "toy.toml", "--out", "other")
    assert done.returncode == 2
    assert "'toy'" in done.stderr
