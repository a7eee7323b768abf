"""Generated images: what they teach and what they give away, beside what they have to beat.

    python -m benchmarks.synthesis.run pneumonia 0     # one data set, one seed: a part
    python -m benchmarks.synthesis.run longer 0        # clothes, a generator of 3,000 steps
    python -m benchmarks.synthesis.run all             # every part that is not there yet
    python -m benchmarks.synthesis.run render          # README.md from the parts

Each part is one or two `sudare compare` of 4 whole-pipeline builds and leaves a file in parts/, so
that a run that was cut off goes on. ``--preset smoke`` takes a fifth of the images and of the
steps.
"""

from __future__ import annotations

import json
import tempfile
import time
from itertools import product
from pathlib import Path

import numpy as np
from benchmarks.parts import Parts

from sudare.audits.compare import compare
from sudare.audits.config import load_config
from sudare.audits.environment import made_by
from sudare.core.files import default_cache
from sudare.core.progress import auto
from sudare.fleets.cache import Cache
from sudare.metrics import mean_over_builds

HERE = Path(__file__).parent
PARTS = HERE / "parts"
DATA, SEEDS = ("pneumonia", "fashion-mnist"), (0, 1, 2)
POOL = {"pneumonia": 1200, "fashion-mnist": 2000}
STEPS = {"pneumonia": 300, "fashion-mnist": 600}
LONGER, LONG_STEPS = "longer", 3000
EQUAL = {"pneumonia": 30, "fashion-mnist": 10}
"""Real images a class that are as many as a tenth of a build's private images."""
OTHER = "accuracy on the other half"
"""On the pool's images that a build has not: of the collection's own kind, which the test set of
the X-rays is not."""
FIGURES = {
    "balanced accuracy": "utility.balanced_accuracy",
    "accuracy": "utility.accuracy",
    OTHER: "utility.heldout_accuracy",
    "RMIA AUC": "membership.rmia.auc",
    "LiRA AUC": "membership.lira.auc",
    "loss AUC": "membership.loss.auc",
    "without the pipeline": "outsider.auc",
    "TPR at 1 % FPR": "membership.rmia.tpr@0.01",
    "AOP": "membership.rmia.aop",
    "build CPU s": "cost.build_cpu_s",
}


def main() -> None:
    every = ((what, seed) for seed, what in product(SEEDS, (*DATA, LONGER)))
    parts = Parts(__doc__, HERE, (*DATA, LONGER), every)
    parts.run(
        lambda what, seed, options: (measured_longer if what == LONGER else measured)(
            what, seed, small=options.preset == "smoke"
        ),
        render,
    )


def measured(data: str, seed: int, *, small: bool) -> dict:
    """All of a data set's rows of one seed."""
    scale, start = 5 if small else 1, time.monotonic()
    own = settings(data, STEPS[data], scale)
    alike = {**own, "gkd": {"cardinality": 0.1, "classes": "equal"}}
    routes = [
        {"kind": "plain"},
        {**own, "beside": ["teacher", "hard-student", "last"]},
        {**own, "gkd": {"cardinality": 0.1}},
        {**own, "gkd": {"cardinality": 1.0, "regenerate": 0}},
        *([alike] if data == "pneumonia" else []),  # Clothes have as many of each anyway.
        {"kind": "subset", "images_per_class": max(1, EQUAL[data] // scale)},
        {
            "kind": "subset",
            "images_per_class": max(1, EQUAL[data] // scale),
            "classes": "shares",
        },
    ]
    rows = run(data, seed, scale, routes)
    weak = {"gan": {**own["gan"], "steps": 30, "snapshots": 1}}
    bad = run(data, seed, scale, [{**own, **weak, "beside": ["hard-student"]}])
    rows |= {f"weak-{name}": row for name, row in bad.items()}
    return part_of(rows, data, f"{data} {seed}", start=start, scale=scale)


def measured_longer(what: str, seed: int, *, small: bool) -> dict:
    """The clothes with a generator of five times the steps: is it the generator that limits?"""
    scale, start, data = 5 if small else 1, time.monotonic(), "fashion-mnist"
    own = settings(data, LONG_STEPS, scale)
    rows = run(data, seed, scale, [own, {**own, "gkd": {"cardinality": 0.1}}])
    return part_of(rows, data, f"{what} {seed}", start=start, scale=scale)


def settings(data: str, steps: int, scale: int) -> dict:
    """The synthesis route with a generator of so many steps."""
    return {
        "kind": "synthesis",
        "gan": {
            "width": 16,
            "steps": steps // scale,
            "snapshots": 8,
            "flips": data == "fashion-mnist",
        },
        "selection": {"steps": 120 // scale, "seeds": 1, "sigmas": [1.0, 1.25]},
    }


def part_of(rows: dict, data: str, arguments: str, *, start: float, scale: int) -> dict:
    """What a part's file holds."""
    return {
        "rows": rows,
        "pool": POOL[data] // scale,
        **made_by(f"python -m benchmarks.synthesis.run {arguments}", HERE),
        "wall_s": round(time.monotonic() - start),
    }


def run(data: str, seed: int, scale: int, routes: list) -> dict:
    pool = POOL[data] // scale
    config = load_config(
        {
            "title": f"Generated images of {data}, seed {seed}",
            "seed": seed,
            "data": {
                "source": data,
                "pool": pool,
                "population": pool // 2,
                "public": 0,
                "test": 0 if data == "pneumonia" else 2000,
            },
            "fleet": {"builds": 4},
            "attacks": {"membership": ["rmia", "lira", "loss"]},
            "defaults": {
                "net": {"name": "convnet", "width": 16},
                "recipe": {"epochs": max(4, 30 // scale), "lr": 0.05, "augmentation": []},
            },
            "routes": routes,
            "checks": [{"kind": "outsider"}],
            "recipients": {
                "net": {"name": "convnet", "width": 16},
                "recipe": {"steps": 300 // scale, "batch_size": 32, "lr": 0.02},
            },
        }
    )
    with tempfile.TemporaryDirectory() as folder:
        result = compare(
            config,
            Path(folder),
            cache=Cache(default_cache()),
            progress=auto(),
            command="benchmarks/synthesis/run.py",
        )
    found = {(f.id, f.release): f for f in result.findings.findings if not f.group}
    rows = {}
    for route in config.routes:
        for release in route.releases:
            row = {"label": release.label}
            for name, figure in FIGURES.items():
                finding = found.get((figure, release.name))
                if finding is not None and finding.value is not None:
                    row[name] = [finding.value, finding.low, finding.high]
            rows[release.name] = row
    return rows


HEAD = ("| release | " + " | ".join(FIGURES) + " |", "| --- |" + " ---: |" * len(FIGURES))
BETWEEN = ("| ordering | difference (95 % over seeds) | |", "| --- | ---: | --- |")
B = "balanced accuracy"
S, HARD, TEACHER = "synthesis-student", "synthesis-hard-student", "synthesis-teacher"
SMALL, WEAK = "synthesis-0.1x-student", "weak-synthesis-student"
WEAK_HARD, SHARES = "weak-synthesis-hard-student", "subset-{equal}-shares"
SHARES_10 = "subset-10-shares"
AUC, PLAIN = "RMIA AUC", "without the pipeline"
ORDERINGS = (
    ("Generated images beat as many real ones", B, "synthesis-0.1x", SHARES),
    ("The same, each class alike", B, "synthesis-0.1x-equal", "subset-{equal}"),
    ("Real images with each class alike teach more", B, "subset-{equal}", SHARES),
    ("So do generated ones", B, "synthesis-0.1x-equal", "synthesis-0.1x"),
    ("Images drawn anew teach more than fixed ones", B, S, "synthesis-fixed-student"),
    ("As many as private ones teach more than a tenth", B, S, SMALL),
    ("Soft labels beat hard ones, weak generator", B, WEAK, WEAK_HARD),
    ("Soft labels beat hard ones, chosen generator", B, S, HARD),
    ("The chosen state teaches more than the last, on test", B, "synthesis", "synthesis-last"),
    ("A chosen generator teaches more than a weak one, on test", B, S, WEAK),
    ("The same, hard labels", B, HARD, WEAK_HARD),
    ("The same, on the pool's other half", OTHER, S, WEAK),
    ("The same, on the pool's other half, hard labels", OTHER, HARD, WEAK_HARD),
    ("Generated images beat as many real ones there", OTHER, "synthesis-0.1x", SHARES),
    ("The student is less accurate than the teacher", B, TEACHER, S),
    ("The teacher leaks more than the student", AUC, TEACHER, S),
    ("The student leaks more than one of hard labels", AUC, S, HARD),
    ("AOP of the student is above the teacher's", "AOP", S, TEACHER),
    ("The student leaks more than a tenth's student", AUC, S, SMALL),
    ("The pipeline's shadows find more in the student than plain ones", (AUC, PLAIN), S, S),
    (
        "LiRA finds more in the teacher than the loss alone",
        ("LiRA AUC", "loss AUC"),
        TEACHER,
        TEACHER,
    ),
    ("RMIA finds more in the teacher than the loss alone", (AUC, "loss AUC"), TEACHER, TEACHER),
)
OF_LONGER = (
    ("Generated images beat as many real ones", B, "synthesis-0.1x", SHARES_10),
    ("The same, as many of each class", B, "synthesis-0.1x", "subset-10"),
    ("More steps teach more", B, S, S),
    ("More steps give away more", AUC, S, S),
)


def render() -> str:
    text = [
        "# Generated images\n",
        "The synthesis route with 8 states of a generator of width 16 (300 steps on X-rays, 600 "
        "on clothes), ConvNet-3 of width 16, 4 whole-pipeline builds from random halves of the "
        "pool. *Weak* is a generator of 30 steps without a choice. Budgets are minutes on two "
        "cores: magnitudes say little about what a large generator can do. Figures are means over "
        "seeds with their range; RMIA and LiRA have whole-pipeline shadows. *The other half* "
        "are the images of the pool that a build has not: of the collection's own kind.\n",
        "    python -m benchmarks.synthesis.run all\n",
        *_summary(),
    ]
    for data in DATA:
        parts = _parts(data)
        if not parts:
            continue
        text += [
            f"## {data}, {parts[0]['pool']:,} images in the pool, seeds: {len(parts)}\n",
            *HEAD,
        ]
        text += _rows(parts)
        text += ["", *BETWEEN]
        for said, figure, *names in ORDERINGS:
            more, less = (name.format(equal=EQUAL[data]) for name in names)
            if {more, less} <= set(parts[-1]["rows"]):
                text.append(_ordering(parts, said, figure, more, less))
        text.append(_where(parts))
    longer = _parts(LONGER)
    if longer:
        text += [
            f"## fashion-mnist, a generator of {LONG_STEPS:,} steps, seeds: {len(longer)}\n",
            *HEAD,
            *_rows(longer),
            "",
            *BETWEEN,
            *(
                _ordering(_with_longer(), said, figure, f"{LONGER}-{more}", less)
                for said, figure, more, less in OF_LONGER
            ),
            _where(longer),
        ]
    return "\n".join(text)


def _summary() -> list[str]:
    """What the tables say of the question a reader has first."""
    rays, clothes, longer = _parts("pneumonia"), _parts("fashion-mnist"), _parts(LONGER)
    if not (rays and clothes and longer):
        return []
    few, shares, alike = "synthesis-0.1x", "subset-30-shares", "subset-30"
    beaten, of_rays = _gap(clothes, B, few, SHARES_10), _gap(rays, OTHER, few, shares)
    ahead = _gap(_with_longer(), B, f"{LONGER}-{few}", SHARES_10)
    chosen = _gap(rays, OTHER, S, WEAK)
    return [
        "**Do generated images beat as many real ones?** It is the generator that decides, and "
        "three seeds do not settle it. 100 pieces of clothing from "
        f"{STEPS['fashion-mnist']} steps teach {_mean(clothes, few, B)}, 100 real ones drawn at "
        f"random {_mean(clothes, SHARES_10, B)} (balanced accuracy; difference {beaten} over "
        f"seeds); from {LONG_STEPS:,} steps they teach {_mean(longer, few, B)} ({ahead}). The same "
        "steps raise what as many images as private ones teach from "
        f"{_mean(clothes, 'synthesis', B)} to {_mean(longer, 'synthesis', B)}, and what they give "
        f"away from RMIA AUC {_mean(clothes, 'synthesis', AUC)} to "
        f"{_mean(longer, 'synthesis', AUC)}.\n",
        "On the X-rays nothing shows that they do. The test set does not tell: its images are of "
        "another kind than the collection (a plain classifier is right on "
        f"{_mean(rays, 'plain', OTHER)} of the pool's other half and on "
        f"{_mean(rays, 'plain', 'accuracy')} of the test set), and on it generated and real ones "
        f"teach alike ({_mean(rays, few, B)}, {_mean(rays, shares, B)}) and the chosen generator "
        f"no more than one of 30 steps ({_mean(rays, S, B)}, {_mean(rays, WEAK, B)}). On the other "
        f"half generated ones are right on {_mean(rays, few, OTHER)}, real ones on "
        f"{_mean(rays, shares, OTHER)} ({of_rays}); the chosen generator's student on "
        f"{_mean(rays, S, OTHER)}, the weak one's on {_mean(rays, WEAK, OTHER)} ({chosen}). Real "
        "ones with as many of each class teach the test set better "
        f"({_mean(rays, alike, B)}), and those they do not beat either when each class is "
        f"generated alike ({_mean(rays, few + '-equal', B)}).\n",
    ]


def _gap(parts: list, figure: str, more: str, less: str) -> str:
    gaps = _gaps(parts, (figure, more), (figure, less))
    if len(gaps) < 2:
        return "one seed"
    found = mean_over_builds(np.array(gaps))
    return f"{found.value:+.3f}, {found.low:+.3f} to {found.high:+.3f}"


def _gaps(parts: list, more: tuple[str, str], less: tuple[str, str]) -> list[float]:
    """Of each seed that has both, how far one figure of a release is above another's."""
    values = [
        [part["rows"].get(name, {}).get(figure, [None])[0] for figure, name in (more, less)]
        for part in parts
    ]
    return [high - low for high, low in values if high is not None and low is not None]


def _mean(parts: list, release: str, figure: str) -> str:
    rows = [part["rows"].get(release, {}) for part in parts]
    return f"{np.mean([row[figure][0] for row in rows if figure in row]):.3f}"


def _parts(what: str) -> list[dict]:
    return [json.loads(path.read_text()) for path in sorted(PARTS.glob(f"{what}-*.json"))]


def _with_longer() -> list[dict]:
    """Parts of the clothes, with the rows of a longer generator of the same seed beside."""
    found = []
    for path in sorted(PARTS.glob(f"{LONGER}-*.json")):
        other = PARTS / path.name.replace(LONGER, "fashion-mnist")
        if other.exists():
            rows = json.loads(path.read_text())["rows"]
            beside = {f"{LONGER}-{name}": row for name, row in rows.items()}
            found.append({"rows": json.loads(other.read_text())["rows"] | beside})
    return found


def _where(parts: list) -> str:
    about = parts[0]["machine"]
    commits = ", ".join(sorted({part["commit"] for part in parts}))
    walls = ", ".join(f"{part['wall_s']} s" for part in parts)
    return (
        f"\n{about['processor']}, {about['cores']} cores, other work beside; commits "
        f"{commits}; wall {walls}; {parts[0]['date']}.\n"
    )


def _rows(parts: list) -> list[str]:
    lines = []
    for name, row in parts[-1]["rows"].items():
        cells = [
            _cell([p["rows"][name][c][0] for p in parts if c in p["rows"].get(name, {})])
            for c in FIGURES
        ]
        label = ("Weak: " if name.startswith("weak-") else "") + row["label"]
        lines.append(f"| {label} | " + " | ".join(cells) + " |")
    return lines


def _cell(values: list[float]) -> str:
    if not values:
        return ""
    mean = f"{np.mean(values):.3g}"
    return mean if len(values) < 2 else f"{mean} ({min(values):.3g} to {max(values):.3g})"


def _ordering(parts: list, said: str, figure: object, more: str, less: str) -> str:
    first, second = figure if isinstance(figure, tuple) else (figure, figure)
    gaps = _gaps(parts, (first, more), (second, less))
    if len(gaps) < 2:
        return f"| {said} | | one seed or none |"
    found = mean_over_builds(np.array(gaps))
    mean, low, high = found.value, found.low, found.high
    verdict = "held" if low > 0 else "refuted" if high < 0 else "not resolved"
    return f"| {said} | {mean:+.3f} ({low:+.3f} to {high:+.3f}) | {verdict} |"


if __name__ == "__main__":
    main()
