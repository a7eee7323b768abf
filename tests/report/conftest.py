"""A believable run folder, written through the same models as a real audit writes it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Browser, sync_playwright
from scipy.stats import norm
from sklearn.datasets import load_digits

from sudare.audits.decisions.case import Subject
from sudare.audits.decisions.decision import decide
from sudare.audits.decisions.questions import QUESTIONS
from sudare.core import Finding, Findings, Status, ThreatModel
from sudare.core.runs import (
    DataSummary,
    ExposedImage,
    GateResult,
    ReleaseSummary,
    RocCurve,
    RunSummary,
    Stage,
    Verdict,
)
from sudare.report import ReportPaths, write_report
from sudare.report.load import Run, load_run

CHROMIUM = Path("/usr/bin/chromium")
SEED, POOL, UNITS = 918273, 1437, 1391
CLASSES = tuple(str(digit) for digit in range(10))
ATTACKS = {"membership.lira": 1.0, "membership.rmia": 0.97, "membership.loss": 0.55}
CANARIES = 80


def decided(run: Run) -> Run:
    """The run with what an audit would have decided on copies, the average and the worst case.

    Only of what it has findings on: these runs hold a part of what an audit measures.
    """
    decisions = []
    for release_name, release in run.releases.items():
        mine = [item for item in run.findings if item.release == release_name and not item.group]
        if not mine:
            continue
        names = {item.id for item in mine}
        labels = run.summary.deployment.sees == ("classifier/labels",)
        primary = "membership.gap" if labels else "membership.lira"
        asked = {"average"} | ({"worst"} if f"{primary}.worst_case" in names else set())
        asked |= {"copies"} if "membership.copies.tpr" in names else set()
        attacks = [
            name.removesuffix(".auc")
            for name in names
            if re.fullmatch(r"membership\..*\.auc", name)
        ]
        subject = Subject(
            release=release_name,
            kind=release.kind,
            mode=run.summary.mode,
            attacks=(primary,) if labels else tuple(attacks),
            primary=primary,
            holds_items=True,
        )
        questions = [question for question in QUESTIONS if question.id in asked]
        decisions.append(
            decide(
                run.findings,
                run.summary.thresholds,
                run.summary.deployment,
                subject,
                questions=questions,
            )
        )
    update = {"decisions": tuple(decisions)}
    return replace(run, summary=run.summary.model_copy(update=update))


@dataclass(frozen=True)
class Plan:
    """One release of the believable run: what its numbers are drawn around."""

    name: str
    label: str
    route: str
    auc: float
    utility: float
    leaves: str
    guarantee: str = ""
    epsilon: float | None = None
    threat: ThreatModel = ThreatModel.CLASSIFIER_LOGITS


def scales_of(plan: Plan) -> dict[str, float]:
    """As the routes' configurations declare it."""
    if plan.route == "smoothing":
        return {"smoothing": -0.05 if "-" in plan.label else 0.1}
    return {"smoothing": 0.0} if plan.route == "plain" else {}


PLANS = (
    Plan("plain", "Plain classifier", "plain", 0.607, 0.951, "A classifier, ConvNet-3."),
    Plan(
        "smoothing-pos", "Label smoothing +0.1", "smoothing", 0.662, 0.957,
        "A classifier trained with smoothed labels.",
    ),
    Plan(
        "smoothing-neg", "Label smoothing -0.05", "smoothing", 0.561, 0.944,
        "A classifier trained with negatively smoothed labels.",
    ),
    Plan(
        "dpsgd-eps8", "DP-SGD, epsilon 8", "dpsgd", 0.527, 0.883, "A classifier.",
        "(8, 1e-4)-differentially private per image", 8.0,
    ),
    Plan(
        "dpsgd-eps1", "DP-SGD, epsilon 1", "dpsgd", 0.504, 0.741, "A classifier.",
        "(1, 1e-4)-differentially private per image", 1.0,
    ),
    Plan(
        "subset", "Random subset, 10 images per class", "subset", 0.546, 0.812,
        "A hundred real images.", threat=ThreatModel.SAMPLES_RECIPIENT,
    ),
)  # fmt: skip


def finding(name: str, plan: Plan, value: float | None, half: float = 0.0, **extra: object):
    """A finding about a release; ``half`` is half the width of its interval."""
    attack = name.startswith("membership.")
    fields: dict[str, object] = {
        "id": name,
        "release": plan.name,
        "route": plan.route,
        "threat_model": plan.threat if attack else ThreatModel.NONE,
        "value": value,
        "low": None if value is None or not half else value - half,
        "high": None if value is None or not half else value + half,
        "n_units": UNITS if attack else 0,
        "n_builds": 16,
        "method": f"percentile bootstrap over {UNITS:,} units" if attack else "t over builds",
        "unit": "a share",
    }
    return Finding.model_validate(fields | extra)


def findings_of(plan: Plan, rng: np.random.Generator) -> list[Finding]:
    """All findings about one release."""
    needs = f"needs 10,000 distinct non-member units, has {UNITS:,}"
    cost = {"n_builds": 16, "method": "mean over builds"}
    found = [
        finding("utility.accuracy", plan, plan.utility + 0.004, 0.006),
        finding("utility.balanced_accuracy", plan, plan.utility, 0.006),
        finding("utility.ece", plan, 0.031, 0.004),
        finding("utility.heldout_accuracy", plan, plan.utility - 0.003, 0.005),
        finding("cost.build_cpu_s", plan, 56.2, unit="s", **cost),
        finding("cost.storage_mb", plan, 0.213, unit="MB", **cost),
        finding("membership.lira.worst_case", plan, min(plan.auc * 1.2, 0.93), 0.06, part_units=14),
        finding("membership.lira.precision@0.01", plan, 0.031, 0.011),
        finding("membership.lira.exposed_10x", plan, 0.012, 0.004),
        finding("membership.lira.exposure_stability", plan, 0.41, 0.06),
        finding("membership.lira.trace_precision", plan, 0.18, 0.05, n_units=0),
        finding("membership.lira.null_auc", plan, 0.501, 0.012),
    ]
    found += canary_findings_of(plan)
    if plan.epsilon:
        found.append(finding("privacy.epsilon", plan, plan.epsilon, method="PRV accountant"))
    for attack, strength in ATTACKS.items():
        auc = 0.5 + (plan.auc - 0.5) * strength
        shift = np.sqrt(2) * norm.ppf(auc)
        found.append(finding(f"{attack}.auc", plan, auc, 0.011))
        for alpha in (0.1, 0.01):
            tpr = float(norm.sf(norm.isf(alpha) - shift))
            found.append(finding(f"{attack}.tpr@{alpha}", plan, tpr, 0.25 * tpr))
        missing = {"status": Status.UNRESOLVABLE, "reason": needs}
        found.append(finding(f"{attack}.tpr@0.001", plan, None, **missing))
    if plan.name == "subset":
        reason = "needs the weights, the recipient keeps them"
        missing = {"status": Status.NOT_APPLICABLE, "reason": reason}
        found.append(finding("membership.shokri.auc", plan, None, **missing))
        found = [item for item in found if item.id != "cost.build_cpu_s"]
        reason = "needs a trained release"
        missing = {"status": Status.NOT_APPLICABLE, "reason": reason}
        found.append(finding("cost.build_cpu_s", plan, None, **missing))
    for name in CLASSES:
        wobble = float(rng.normal(0, 0.02))
        rare = {"group": name, "n_units": 139}
        auc = min(max(plan.auc + wobble, 0.49), 0.8)
        found.append(finding("membership.lira.auc", plan, auc, 0.03, **rare))
        recall = min(plan.utility - wobble, 0.97)
        found.append(finding("utility.recall", plan, recall, 0.02, group=name))
    return found


def canary_findings_of(plan: Plan) -> list[Finding]:
    """What two attacks find of planted images, which is much more than the average."""
    found = []
    about = {"n_units": CANARIES, "threat_model": plan.threat}
    for attack, strength in (("lira", 2.4), ("loss", 1.6)):
        stem = f"canaries.mislabelled.{attack}"
        auc = min(0.5 + (plan.auc - 0.5) * strength, 0.97)
        found.append(finding(f"{stem}.auc", plan, auc, 0.04, **about))
        found.append(finding(f"{stem}.tpr@0.1", plan, 2 * auc - 0.9, 0.08, **about))
        missing = {"status": Status.UNRESOLVABLE, "reason": "needs 100 distinct non-member units"}
        found.append(finding(f"{stem}.tpr@0.01", plan, None, **about, **missing))
    return found


def roc_of(plan: Plan, attack: str, rng: np.random.Generator) -> RocCurve:
    """The exact ROC of simulated scores, thinned as an audit thins it."""
    auc = 0.5 + (plan.auc - 0.5) * ATTACKS[attack]
    members = rng.normal(np.sqrt(2) * norm.ppf(auc), 1, size=4000)
    others = np.sort(rng.normal(0, 1, size=4000))[::-1]
    tpr = (members[:, None] > others[None, ::8]).mean(axis=0)
    fpr = np.arange(0, 4000, 8) / 4000
    return RocCurve(
        release=plan.name,
        attack=attack,
        threat_model=plan.threat,
        fpr=(*fpr, 1.0),
        tpr=(*tpr, 1.0),
    )


def exposed_of(folder: Path, plan: Plan, rows: Sequence[int]) -> list[ExposedImage]:
    """Digits as the private images, written as an audit writes them."""
    digits = load_digits()
    found = []
    for rank, row in enumerate(rows):
        name = f"internal/{plan.name}-{rank}.png"
        path = folder / name
        path.parent.mkdir(exist_ok=True)
        Image.fromarray((digits.images[row] * 15).astype(np.uint8)).save(path)
        found.append(
            ExposedImage(
                release=plan.name,
                picture=name,
                class_name=str(digits.target[row]),
                score=0.99 - 0.01 * rank,
            )
        )
    return found


def write_run(folder: Path, *, plans: Sequence[Plan] = PLANS, finished: int | None = None, **extra):
    """Write a run folder; the first ``finished`` releases have findings."""
    folder.mkdir(parents=True, exist_ok=True)
    done = len(plans) if finished is None else finished
    rng = np.random.default_rng(7)
    found = [item for plan in plans[:done] for item in findings_of(plan, rng)]
    exposed = [
        image
        for number, plan in enumerate(plans[:done])
        if plan.name in {"plain", "smoothing-pos"}
        for image in exposed_of(folder, plan, range(40 * number, 40 * number + 8))
    ]
    fields: dict[str, object] = {
        "title": "Handwritten digits: which release?",
        "command": f"sudare compare digits --preset demo --seed {SEED} --pool {POOL}",
        "started": "2026-01-05T09:00:00Z",
        "updated": "2026-01-05T09:24:10Z",
        "complete": done == len(plans),
        "wall_s": 1450.0,
        "seed": SEED,
        "builds": 16,
        "machine": {"cpu": "2 cores", "system": "Linux"},
        "versions": {"sudare": "0.1.0", "torch": "2.13.0"},
        "data": DataSummary(
            name="Handwritten digits",
            licence="CC BY 4.0",
            source="E. Alpaydin, C. Kaynak, UCI Machine Learning Repository, 1998",
            class_names=CLASSES,
            image_shape=(1, 8, 8),
            pool=POOL,
            pool_units=UNITS,
            public=211,
            population=463,
            test=359,
            removed={"public": 17, "population": 23},
            merged=46,
        ),
        "releases": tuple(
            ReleaseSummary(
                name=plan.name,
                label=plan.label,
                route=plan.route,
                baseline=plan.route in ("plain", "dpsgd", "subset"),
                scales=scales_of(plan),
                unprotected={"dpsgd": "plain", "linear-public": "linear-public"}.get(
                    plan.route, ""
                ),
                kind="classifier",
                what_leaves=plan.leaves,
                guarantee=plan.guarantee,
                builds_done=16 if index < done else 0,
                builds_planned=16,
            )
            for index, plan in enumerate(plans)
        ),
        "primary": {
            "classifier/logits": "membership.lira",
            "samples/recipient": "membership.lira",
        },
        "roc": tuple(roc_of(plan, attack, rng) for plan in plans[:done] for attack in ATTACKS),
        "exposed": tuple(exposed),
        "gates": (
            GateResult(
                expression="membership.lira.tpr@0.01 > 0.05",
                release="dpsgd-eps8",
                verdict=Verdict.PASS,
                explanation="The interval ends at 0.018.",
            ),
            GateResult(
                expression="membership.lira.auc > 0.6",
                release="smoothing-pos",
                verdict=Verdict.FAIL,
                explanation=f"The interval begins at 0.651, over {UNITS} units.",
            ),
            GateResult(
                expression="membership.lira.auc > 0.6",
                release="plain",
                verdict=Verdict.UNDECIDED,
                explanation="The interval 0.596 to 0.618 holds the threshold.",
            ),
        )
        if done == len(plans)
        else (),
        "stages": (Stage(label="Builds", done=16 * done, total=16 * len(plans)),),
        "limits": (f"16 builds of a pool of {POOL:,} images resolve 1 % false alarms, not 0.1 %.",),
    }
    summary = RunSummary.model_validate(fields | extra)
    (folder / "run.json").write_text(summary.model_dump_json(by_alias=True))
    if done:
        (folder / "findings.json").write_text(Findings(findings=tuple(found)).to_json())
        summary = decided(load_run(folder)).summary
        (folder / "run.json").write_text(summary.model_dump_json(by_alias=True))
    (folder / "config.toml").write_text(f'preset = "demo"\nseed = {SEED}\npool = {POOL}\n')
    return folder


@pytest.fixture(scope="session")
def run_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run of six releases; read only, its pages are written once."""
    return write_run(tmp_path_factory.mktemp("run"))


@pytest.fixture(scope="session")
def pages(run_folder: Path) -> ReportPaths:
    """Both pages of the finished run."""
    return write_report(run_folder)


@pytest.fixture(scope="session")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """A real headless Chromium that asks nobody for anything."""
    if not CHROMIUM.is_file():
        pytest.fail(f"{CHROMIUM} is missing; install the `chromium` package to test the pages")
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(
            executable_path=str(CHROMIUM),
            args=[
                "--no-sandbox",
                "--disable-gpu",
                "--disable-quic",
                "--no-first-run",
                "--disable-background-networking",
                "--disable-component-update",
                "--disable-sync",
            ],
        )
        yield started
        started.close()
