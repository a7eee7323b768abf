import numpy as np
import pytest

from sudare.core.scores import Scale, ScoreTable
from sudare.data.plan import draw_plan


def make_table(
    *, builds=8, images=40, population=30, queries=1, effect=0.6, seed=0, unit_size=1, classes=2
):
    """Scores with a known effect: in ~ N(effect, 1), out ~ N(0, 1), each image with an offset."""
    rng = np.random.default_rng(seed)
    units = np.arange(images) // unit_size
    labels = rng.integers(classes, size=images + population)
    labels[:images] = units % classes
    plan = draw_plan(units, labels[:images], builds=builds, seed=seed)
    phi = rng.normal(size=(builds, images + population, queries))
    phi += rng.normal(scale=2.0, size=(1, images + population, 1))
    phi[:, :images] += effect * plan.membership[:, :, None]
    posterior = rng.dirichlet(np.ones(classes), size=(builds, images + population))
    near, far = rng.gamma(4.0, size=(2, builds, images + population, 1))
    return ScoreTable(
        signals={
            "phi": phi,
            "log_posterior": np.log(posterior),
            "boundary": far,
            "nearest_pixels": near,
        },
        scales={
            "phi": Scale.LOGIT,
            "log_posterior": Scale.LOGLIK,
            "boundary": Scale.DISTANCE,
            "nearest_pixels": Scale.DISTANCE,
        },
        membership=plan.membership,
        complement=plan.complement,
        units=units,
        labels=labels,
        covariates=rng.normal(size=(images + population, 3)).astype(np.float32),
    )


@pytest.fixture
def table():
    return make_table()
