"""A sweep over strengths and data sizes: nested images, one table, what beats what."""

import json
import tomllib

import numpy as np
import pytest

from sudare.attacks.inversion import PlugAndPlay
from sudare.audits.config import load_config
from sudare.audits.stages import stage_analysis
from sudare.audits.sweep import Row, matched, pareto, sweep_smoothing
from sudare.core.errors import ConfigError, DataError
from sudare.core.progress import Silent
from sudare.data.images import ImageDataset
from sudare.data.splits import few_of_each
from sudare.fleets.cache import Cache

CHECK = {
    "kind": "inversion", "classes": 3, "latent": 6, "pool": 40, "candidates": 3, "keep": 2,
    "steps": 3, "evaluator": {"name": "convnet", "width": 8, "depth": 2},
    "evaluator_recipe": {"epochs": 2}, "extraction_steps": 4, "builds": 2,
}  # fmt: skip


def config(**values):
    return load_config(
        {
            "data": {"source": "digits", "pool": 400, "population": 200, "test": 200},
            "fleet": {"builds": 4, "workers": 1},
            "routes": [
                {
                    "kind": "plain",
                    "net": {"name": "convnet", "width": 4, "depth": 2},
                    "recipe": {"epochs": 3, "augmentation": []},
                }
            ],
            "attacks": {"membership": ["rmia"]},
            "checks": [CHECK],
        }
        | values
    )


def swept(folder, **settings):
    given = {"alphas": [0.0, 0.1], "per_class": [5, 10], "seeds": 1} | settings
    return sweep_smoothing(
        config(),
        folder / "sweep",
        cache=Cache(folder / "cache"),
        progress=Silent(),
        command="test",
        **given,
    )


def row(alpha, accuracy, top1, per_class=10, rmia=0.5):
    values = {"accuracy": (accuracy,), "top1": (top1,), "rmia": (rmia,)}
    return Row(alpha=alpha, per_class=per_class, values=values)


def images(n=60):
    rng = np.random.default_rng(0)
    return ImageDataset(
        images=rng.integers(0, 255, size=(n, 1, 8, 8), dtype=np.uint8),
        labels=(np.arange(n) % 3).astype(np.int64),
        class_names=("a", "b", "c"),
        unit=np.arange(n),
    )


def test_smaller_sizes_are_among_larger_ones_and_classes_are_equal():
    data = images()
    few, more = (few_of_each(data, count, seed=4) for count in (4, 12))
    assert set(few.unit) < set(more.unit)
    assert np.bincount(few.labels).tolist() == [4, 4, 4]
    assert set(few.unit) != set(few_of_each(data, 4, seed=5).unit)
    with pytest.raises(DataError, match="20 images in the pool, 21 are wanted"):
        few_of_each(data, 21, seed=0)


def test_leakage_is_compared_with_plain_training_at_equal_accuracy():
    plain = [row(0.0, 0.6, 0.2, 5), row(0.0, 0.8, 0.6, 20)]
    smooth = row(0.1, 0.7, 0.5)
    assert matched(smooth, [*plain, smooth]) == pytest.approx(0.1)
    assert matched(plain[0], plain) is None
    assert matched(row(0.1, 0.9, 0.5), plain) is None
    assert matched(smooth, plain[:1]) is None


def test_what_nothing_beats_is_kept():
    best, private, beaten = row(0.0, 0.9, 0.8), row(-0.1, 0.7, 0.1), row(0.1, 0.7, 0.5)
    assert pareto([best, private, beaten]) == [best, private]


@pytest.mark.slow
def test_a_sweep_leaves_a_table_and_goes_on_where_it_was(tmp_path):
    found = swept(tmp_path)
    assert [(r.per_class, r.alpha) for r in found.rows] == [
        (5, 0.0),
        (5, 0.1),
        (10, 0.0),
        (10, 0.1),
    ]
    told = json.loads((tmp_path / "sweep" / "sweep.json").read_text())
    assert len(told["rows"]) == 4
    assert "real_top1" in told["controls"]
    text = (tmp_path / "sweep" / "sweep.md").read_text()
    assert text.count("\n| 5 |") == 2
    runs = sorted(path.name for path in (tmp_path / "sweep").iterdir() if path.is_dir())
    assert runs == ["10-seed-0", "5-seed-0"]
    entries = sorted(p for p in (tmp_path / "cache").rglob("*") if p.is_file())
    again = swept(tmp_path)
    assert sorted(p for p in (tmp_path / "cache").rglob("*") if p.is_file()) == entries
    assert again.rows == found.rows


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"alphas": []}, "nothing to sweep"),
        ({"per_class": [5, 5]}, "given twice"),
        ({"seeds": 0}, "a seed at least"),
    ],
)
def test_sweeps_over_nothing_are_refused(settings, said, tmp_path):
    with pytest.raises(ConfigError, match=said):
        swept(tmp_path, **settings)


def test_a_sweep_without_inversion_is_refused(tmp_path):
    with pytest.raises(ConfigError, match="no such check"):
        sweep_smoothing(
            config(checks=[]), tmp_path, alphas=[0.0], per_class=[5], seeds=1,
            cache=Cache(tmp_path / "cache"), progress=Silent(), command="test",
        )  # fmt: skip


def test_stages_see_the_net_they_are_said_to_see(tmp_path, monkeypatch):
    found = swept(tmp_path, alphas=[0.0, -0.2], per_class=[10], stages=True)
    top1 = {row.stage: row.top1 for row in found.stages}
    assert list(top1) == ["none", "sampling", "optimisation", "selection", "all"]
    assert {(row.alpha, row.per_class) for row in found.stages} == {(-0.2, 10)}
    assert json.loads((tmp_path / "sweep" / "sweep.json").read_text())["stages"]
    text = (tmp_path / "sweep" / "sweep.md").read_text()
    assert "| per class | alpha | none | sampling | optimisation | selection | all |" in text
    # "All" is the attack on the smoothed net alone, "none" the one on the plain net.
    place, cache = tmp_path / "sweep" / "10-seed-0", Cache(tmp_path / "cache")
    run = load_config(tomllib.loads((place / "config.toml").read_text()))
    names = {0.0: "smoothing-0.2", -0.2: "plain"}
    saw, attacked = [], PlugAndPlay.__call__

    def spied(self, net, *args, sampler, selector, **settings):
        saw.append((sampler, net, selector))
        return attacked(self, net, *args, sampler=sampler, selector=selector, **settings)

    monkeypatch.setattr(PlugAndPlay, "__call__", spied)
    swapped = stage_analysis(run, place, names, per_class=10, cache=cache, progress=Silent())
    other = {row.stage: row.top1 for row in swapped}
    assert (other["none"], other["all"]) == (top1["all"], top1["none"])
    plain = saw[0][0]
    tested = [[net is not plain for net in nets] for nets in saw]
    assert tested == [
        [False, False, False],
        [True, False, False],
        [False, True, False],
        [False, False, True],
        [True, True, True],
    ]
    with pytest.raises(ConfigError, match="between plain training and another strength"):
        swept(tmp_path, alphas=[-0.2, 0.1], stages=True)
