"""Why online LiRA finds less than offline LiRA on a release that hardly leaks.

python benchmarks/foundation/online.py runs/lite/evidence/dpsgd-eps8.npz

Online LiRA estimates for each image how much training on it moves its score. Where that is less
than the estimate's own noise, the estimate costs more than it brings: the scatter of the estimated
effects over images is then what noise alone gives, and one effect for all images does better.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

from sudare.attacks.membership.shadows import shadow_moments
from sudare.attacks.registry import make_test
from sudare.audits.checks.signal_tables import table_of
from sudare.audits.evidence import read_evidence
from sudare.metrics import auc


def main(path: Path) -> None:
    table = table_of(read_evidence(path))
    moments, values = shadow_moments(table, "phi"), table.pool("phi")
    count = moments.count
    effects = moments.mean_in - moments.mean_out
    effect = effects.mean()
    within = ((moments.var_in + moments.var_out) / 2 * count / (count - 1)).mean()
    gap = values - moments.mean_out
    same = (gap**2 - (gap - effect) ** 2).mean(axis=2)
    print(f"shadows on each side                        {count}")
    print(f"mean effect of training on an image         {effect:.3f}")
    print(f"scatter of an image's score over shadows    {within**0.5:.3f}")
    print(f"scatter of estimated effects over images    {effects.std():.3f}")
    print(f"  what noise alone gives                    {np.sqrt(2 * within / count):.3f}")
    for name in ("lira", "lira_offline", "bavaria", "rmia"):
        found = auc(make_test(name, {}).scores(table), table.membership)
        print(f"AUC, {name:39}{found:.4f}")
    print(f"AUC, online with one effect for all images  {auc(same, table.membership):.4f}")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
