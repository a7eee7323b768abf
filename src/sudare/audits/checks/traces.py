"""What training itself showed of each image: the spread of its loss, and where sets started."""

from __future__ import annotations

import numpy as np

from sudare.audits.checks.base import BuildResults, Check, CheckInput, Judgement, Measurement
from sudare.audits.checks.built_in import TracesCheckConfig
from sudare.audits.checks.judge import AUC
from sudare.audits.checks.membership import primary_for, tests_of, threat_of
from sudare.audits.checks.signal_tables import SignalTables
from sudare.audits.finding_context import FindingContext
from sudare.core.arrays import FloatArray
from sudare.core.findings import Finding
from sudare.core.seeds import generator
from sudare.metrics import auc, mean_over_builds
from sudare.metrics.exposure import trace_precision
from sudare.metrics.traces import trace_iqr
from sudare.routes.base import Role

_LEAST_EPOCHS = 4


class TracesCheck(Check[TracesCheckConfig]):
    """Loss traces: exposed members told by training alone, and what a set's first images leak.

    Source:
        Pollock, Jia, Shamsabadi and Papernot 2025, "Free record-level privacy risk evaluation
        through artifact-based methods": the interquartile range of each image's loss over epochs.
    """

    def measure(self, tested: CheckInput) -> Measurement:
        """Loss spread ``float64 [n]`` (NaN for images that were not used), start ``bool [n]``."""
        images = len(tested.pool)
        initial, spread = np.zeros(images, dtype=bool), np.full(images, np.nan)
        if tested.record is not None:
            with np.load(tested.record / "record.npz", allow_pickle=False) as record:
                rows, roles, trace = record["rows"], record["roles"], record["loss_trace"]
            initial[rows] = roles == Role.INIT
            if _is_whole(trace, len(rows)):
                spread[rows] = trace_iqr(trace)
        return Measurement(arrays={"initial": initial, "spread": spread})

    def judge(self, stack: BuildResults, maker: FindingContext) -> Judgement:
        """How well loss alone points at the exposed, and the primary attack by origin."""
        spread, initial = stack.arrays["spread"], stack.arrays["initial"]
        config, attacks = stack.config, tests_of(stack.config)
        findings: list[Finding] = []
        scores = stack.judged["membership"].scores
        primary = f"membership.{config.attacks.primary}"
        if initial.any() and primary in scores and not config.audit.null:
            findings += self._by_origin(primary, scores[primary], stack, maker)
        # One build without a trace: then it says nothing of the release.
        if np.isnan(spread).all(axis=1).any() or stack.trial.target is not None:
            return Judgement(findings=findings)
        table = SignalTables.of(stack).whole
        both = dict.fromkeys((config.attacks.primary, primary_for(config, stack.card.kind)))
        for test in (attacks[name] for name in both if name in attacks):
            if test.attackable(table):
                continue
            precision = trace_precision(
                test.scores,
                table,
                spread,
                rng=generator(config.seed, "trace", maker.release, test.id),
                share=config.audit.worst_share,
            )
            findings.append(
                maker.finding(
                    f"{test.id}.trace_precision",
                    precision,
                    threat=threat_of(test, stack.card.kind),
                    attack_hash=test.config_hash,
                )
            )
        return Judgement(findings=findings)

    def _by_origin(
        self, attack: str, scores: FloatArray, stack: BuildResults, maker: FindingContext
    ) -> list[Finding]:
        """AUC of members that a learned set started from, and of the other members."""
        members, initial = stack.membership, stack.arrays["initial"]
        test = tests_of(stack.config)[stack.config.attacks.primary]
        found = []
        for name, side in (("init_auc", initial), ("other_auc", members & ~initial)):
            each = [
                auc(one[None, kept], own[None, kept])
                for one, own, others in zip(scores, side, ~members, strict=True)
                if own.any() and (kept := own | others).any()
            ]
            if not each:
                continue
            found.append(
                maker.finding(
                    f"{attack}.{name}",
                    mean_over_builds(np.array(each), bounds=(0.0, 1.0)),
                    threat=threat_of(test, stack.card.kind),
                    unit=AUC,
                    attack_hash=test.config_hash,
                )
            )
        return found


def _is_whole(trace: FloatArray, images: int) -> bool:
    """Whether every image has a loss in some epoch: Poisson sampling may leave one out."""
    if len(trace) < _LEAST_EPOCHS or trace.shape[1] != images:
        return False
    return not np.isnan(trace).all(axis=0).any()
