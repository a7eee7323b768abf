"""Federations: what owners' data are worth, who is paid for what, and what cheating gains.

    python -m benchmarks.federation.run digits 0       # one data set, one seed: a part
    python -m benchmarks.federation.run all            # every part that is not there yet
    python -m benchmarks.federation.run render         # README.md from the parts

Four owners with classes in shares from Dirichlet(2); one of them (the cheat) tries every trick, and
nothing else changes. ``--preset smoke`` takes two rounds.
"""

from __future__ import annotations

import json
import time
from dataclasses import replace
from itertools import product
from pathlib import Path

import numpy as np
from benchmarks.parts import Parts

from sudare.attacks.payouts import TRICKS
from sudare.audits.environment import made_by
from sudare.data.sources import load_source
from sudare.metrics import mean_over_builds
from sudare.nets.predict import predict
from sudare.routes import make_route, parse_route
from sudare.routes.context import BuildContext
from sudare.routes.federation.partition import silos_of
from sudare.valuation.payouts import RULES, Contribution, pay

HERE = Path(__file__).parent
PARTS = HERE / "parts"
DATA, SEEDS = ("digits", "pneumonia", "fashion-mnist"), (0, 1, 2, 3, 4)
SIZES = {"digits": 800, "pneumonia": 600, "fashion-mnist": 1000}
NETS = {
    "digits": {"name": "mlp", "width": 32, "depth": 1},
    "pneumonia": {"name": "convnet", "width": 16},
    "fashion-mnist": {"name": "convnet", "width": 16},
}
CLIENTS, CHEAT = 4, 1
PRIVACY = {"none": None, "epsilon 8": {"target_epsilon": 8.0, "delta": 1e-5}}


def main() -> None:
    parts = Parts(__doc__, HERE, DATA, product(DATA, SEEDS))
    parts.run(
        lambda data, seed, options: measured(data, seed, rounds=2 if options.preset else 20),
        render,
    )


def measured(data: str, seed: int, *, rounds: int) -> dict:
    start = time.monotonic()
    source = load_source(data)
    order = np.random.default_rng(seed).permutation(len(source.train))
    size = SIZES[data]
    private, public = source.train[order[:size]], source.train[order[size : size + 400]]
    test = source.test if source.test is not None else source.train[order[size + 400 :]]
    test = test[np.random.default_rng(0).permutation(len(test))[:1000]]
    silos = silos_of(private, clients=CLIENTS, partition="dirichlet:2")
    private = replace(private, silo=silos)
    rows = {}
    for name, privacy in PRIVACY.items():
        for trick, apply in TRICKS.items():
            tricked = apply(private, CHEAT, np.random.default_rng(seed))
            for score in ("plis", "vog", "loss") if trick == "honest" else ("plis",):
                route = make_route(
                    parse_route(
                        {
                            "kind": "federation",
                            "net": NETS[data],
                            "clients": tricked.clients,
                            "rounds": rounds,
                            "recipe": {
                                # Without clipping a rate of 1 diverges.
                                "lr": 1.0 if privacy else 0.1,
                                "momentum": 0.0,
                                "weight_decay": 0.0,
                                "augmentation": [],
                            },
                            "privacy": privacy,
                            "valuation": {"score": score},
                        }
                    )
                )
                (release,) = route.build(
                    tricked.data, BuildContext.of(public, seed=seed)
                ).releases.values()
                told = release.card.spec.statements
                if (trick, score) == ("honest", "plis"):
                    rows |= {
                        f"{name}/{lie}/{score}": row
                        for lie, row in lied(told, route.config).items()
                    }
                answers = predict(release.net(), test.images, device="cpu").argmax(axis=1)
                rows[f"{name}/{trick}/{score}"] = {
                    "accuracy": float((answers == test.classes).mean()),
                    "paid": {
                        rule: sum(told[o].payouts[rule] for o in tricked.owners) / 100_000
                        for rule in told[0].payouts
                    },
                    "scores": [s.score for s in told],
                    "shapley": [s.shapley for s in told],
                }
                print(data, seed, name, trick, score, rows[f"{name}/{trick}/{score}"]["accuracy"])
    return {
        "rows": rows,
        **made_by(f"python -m benchmarks.federation.run {data} {seed}", HERE),
        "wall_s": round(time.monotonic() - start),
    }


LIES = ("says most records", "says highest score")


def lied(told: tuple, config: object) -> dict:
    """What the cheat is paid if it trains honestly and says the largest number that is in range."""
    # `Job.limit_of_records` of a job that names no other: ten times a usual owner's.
    most = 10 * config.expected_batch / config.rate
    found = {}
    for lie in LIES:
        sizes = np.array([s.records for s in told])
        scores = np.array([s.score for s in told])
        if lie == LIES[0]:
            sizes[CHEAT] = most
        else:
            scores[CHEAT] = config.valuation.clip
        standing = Contribution(
            sizes=sizes,
            scores=scores,
            shapley=np.array([s.shapley for s in told]),
            leave_one_out=np.array([s.leave_one_out for s in told]),
        )
        found[lie] = {
            "paid": {rule: pay(rule, standing, 100_000)[CHEAT] / 100_000 for rule in RULES}
        }
    return found


def render() -> str:
    text = [
        "# Federations\n",
        "Four owners, classes in shares from Dirichlet(2), 20 rounds of 5 local steps at a "
        "sampling rate of 0.2. *Gain* is what a trick adds to the cheat's share of the budget "
        "(owner 2 of 4; 0.25 is an equal share), mean over seeds with its 95 % interval; "
        "**bold** where the interval is above 0: there the trick pays. Scores are PLIS; of the net "
        "only the released, noised numbers are used where there is a promise. The last two "
        "rows train honestly and lie about a number within the range that a server takes.\n",
        "    python -m benchmarks.federation.run all\n",
    ]
    for data in DATA:
        parts = [json.loads(path.read_text()) for path in sorted(PARTS.glob(f"{data}-*.json"))]
        if not parts:
            continue
        text.append(f"## {data}, {SIZES[data]:,} records, seeds: {len(parts)}\n")
        for name in PRIVACY:
            rules = list(parts[0]["rows"][f"{name}/honest/plis"]["paid"])
            text += [
                f"Privacy: {name}.\n",
                "| trick | accuracy | " + " | ".join(rules) + " |",
                "| --- |" + " ---: |" * (len(rules) + 1),
            ]
            for trick in (*TRICKS, *LIES):
                if f"{name}/{trick}/plis" in parts[0]["rows"]:
                    text.append(_row(parts, name, trick, rules))
            text.append("")
        text += [*_orderings(parts), ""]
        about = parts[0]["machine"]
        commits = ", ".join(sorted({part["commit"] for part in parts}))
        walls = ", ".join(f"{part['wall_s']} s" for part in parts)
        text.append(
            f"{about['processor']}, {about['cores']} cores, other work beside; commits {commits}; "
            f"wall {walls}; {parts[0]['date']}.\n"
        )
    return "\n".join(text)


def _row(parts: list, name: str, trick: str, rules: list) -> str:
    # Who lies about its numbers changes no model.
    model = "honest" if trick in LIES else trick
    accuracy = np.mean([p["rows"][f"{name}/{model}/plis"]["accuracy"] for p in parts])
    cells = [f"{accuracy:.3f}"]
    for rule in rules:
        honest = np.array([p["rows"][f"{name}/honest/plis"]["paid"][rule] for p in parts])
        if trick == "honest":
            cells.append(f"{honest.mean():.2f}")
            continue
        gains = np.array([p["rows"][f"{name}/{trick}/plis"]["paid"][rule] for p in parts]) - honest
        told, low, _ = _interval(gains)
        cells.append(f"**{told}**" if low > 0 else told)
    return f"| {trick} | " + " | ".join(cells) + " |"


def _orderings(parts: list) -> list[str]:
    lines = ["| ordering | difference (95 % over seeds) | |", "| --- | ---: | --- |"]

    def add(said: str, gaps: list) -> None:
        told, low, high = _interval(np.array(gaps))
        verdict = "held" if low > 0 else "refuted" if high < 0 else "not resolved"
        lines.append(f"| {said} | {told} | {verdict} |")

    for name in PRIVACY:
        bad = [p["rows"][f"{name}/wrong labels/plis"] for p in parts]
        good = [p["rows"][f"{name}/honest/plis"] for p in parts]
        add(
            f"An owner of wrong labels has the highest mean PLIS ({name})",
            [b["scores"][CHEAT] - max(np.delete(b["scores"], CHEAT)) for b in bad],
        )
        add(
            f"It brings less than an honest owner in its place ({name})",
            [g["shapley"][CHEAT] - b["shapley"][CHEAT] for g, b in zip(good, bad, strict=True)],
        )
        add(
            f"Accuracy is lower with it ({name})",
            [g["accuracy"] - b["accuracy"] for g, b in zip(good, bad, strict=True)],
        )
    add(
        "Privacy costs accuracy",
        [
            p["rows"]["none/honest/plis"]["accuracy"]
            - p["rows"]["epsilon 8/honest/plis"]["accuracy"]
            for p in parts
        ],
    )
    return lines


def _interval(values: np.ndarray) -> tuple[str, float, float]:
    found = mean_over_builds(values)
    if found.low is None or found.high is None:
        return f"{found.value:+.2f}", -np.inf, np.inf
    return f"{found.value:+.2f} ({found.low:+.2f} to {found.high:+.2f})", found.low, found.high


if __name__ == "__main__":
    main()
