import numpy as np

from sudare.audits.canaries import canary_findings
from sudare.audits.config import apply_overrides, load_config, read_toml
from sudare.audits.evidence import Evidence
from sudare.audits.labels import Labels, ReleaseRef
from sudare.data.canaries import CanaryKind
from sudare.data.plan import draw_plan
from sudare.releases.card import Card

BUILDS, CANARIES = 16, 60
CARD = Card(
    kind="classifier",
    route="plain",
    title="Plain",
    what_leaves="a classifier",
    class_names=("a", "b", "c"),
    image_shape=(1, 8, 8),
)


def memorised():
    """Every build knows its canaries by heart."""
    rng = np.random.default_rng(3)
    labels = np.arange(CANARIES) % 3
    plan = draw_plan(np.arange(CANARIES), labels, builds=BUILDS, seed=1)
    phi = 4.0 * plan.membership + rng.normal(size=(BUILDS, CANARIES))
    return Evidence(
        membership=plan.membership,
        units=np.arange(CANARIES),
        pool=Labels(classes=labels, class_names=("a", "b", "c")),
        population=np.zeros(0, dtype=np.int64),
        test=Labels(classes=labels[:5], class_names=("a", "b", "c")),
        subject=ReleaseRef(name="plain", kind="plain", label="Plain"),
        card=CARD,
        nonce="",
        checks={"membership": {"phi": phi[..., None].astype(np.float32)}},
    )


def auc_of_canaries(*overrides):
    chosen = ('attacks.membership=["lira"]', *overrides)
    config = load_config(apply_overrides(read_toml("smoke"), chosen))
    found = canary_findings(memorised(), CanaryKind.MISLABELLED, config)
    return next(item for item in found if item.id == "canaries.mislabelled.lira.auc")


def test_memorised_canaries_are_found():
    assert auc_of_canaries().low > 0.9


def test_canaries_of_a_null_control_are_redrawn_too():
    null = auc_of_canaries("audit.null=true")
    assert null.low <= 0.5 <= null.high
