"""What a run will take: foretold from routes' own words, corrected by the pace that is seen."""

import re
from dataclasses import replace

import numpy as np
import pytest

from sudare.audits.config import load_config, read_toml
from sudare.audits.forecast import Forecast, RunClock, foretell
from sudare.audits.parts import split_of
from sudare.core.progress import Silent
from sudare.routes import ROUTES, parse_route


@pytest.mark.parametrize("kind", sorted(ROUTES))
def test_every_route_says_what_a_build_takes_and_more_images_take_no_less(kind):
    route = parse_route({"kind": kind})
    few, many = (route.passes(n, 2) for n in (100, 1000))
    assert 0 <= few <= many


@pytest.mark.parametrize(
    ("less", "more"),
    [
        ({"kind": "plain"}, {"kind": "dpsgd"}),
        ({"kind": "plain", "recipe": {"epochs": 5}}, {"kind": "plain", "recipe": {"epochs": 10}}),
        ({"kind": "plain"}, {"kind": "plain", "recipe": {"adversarial": 4}}),
        (
            {"kind": "distillation", "method": {"name": "mtt", "experts": 2}},
            {"kind": "distillation", "method": {"name": "mtt", "experts": 20}},
        ),
        ({"kind": "synthesis", "gan": {"steps": 10}}, {"kind": "synthesis"}),
        ({"kind": "federation", "rounds": 2}, {"kind": "federation", "rounds": 20}),
    ],
)
def test_what_trains_longer_takes_more(less, more):
    assert parse_route(less).passes(600, 2) < parse_route(more).passes(600, 2)


def test_steps_win_over_epochs():
    route = {"kind": "plain", "recipe": {"epochs": 7, "batch_size": 10}}
    assert parse_route(route).passes(100, 2) == 700
    route["recipe"]["steps"] = 3
    assert parse_route(route).passes(100, 2) == 30


def test_the_plan_names_routes_builds_time_and_disk(tmp_path):
    config = load_config(read_toml("smoke"))
    _, split = split_of(config, progress=Silent())
    found = foretell(config, split, device="cpu", workers=2)
    assert found.builds == 12
    assert len(found.work) == 3
    said = found.said(tmp_path / "cache")
    assert re.fullmatch(
        r"Plan: 3 routes, 12 builds, about \d+ (s|min) here; the cache grows by about \d+ MB "
        r"\([\d,]+ GB are free\)\.",
        said,
    )
    # Ever so fast a net leaves what a build, a route and a run take besides.
    assert found.seconds >= 12 * 2 / 2 + 3 * 6 + 6


def test_what_checks_take_is_in_the_plan_and_an_extractor_makes_it_dear(monkeypatch):
    monkeypatch.setattr("sudare.audits.forecast._speed", lambda *_, **__: 1000.0)
    values = read_toml("smoke") | {"routes": [{"kind": "plain"}, {"kind": "features"}]}
    _, split = split_of(load_config(values), progress=Silent())

    def work(*checks):
        config = load_config(values | {"checks": list(checks)})
        return foretell(config, split, device="cpu", workers=2).work

    evasion = {"kind": "evasion", "images": 64, "extractor_images": 8, "builds": 4}
    (bare, bare_features), (plain, features) = work(), work(evasion)
    assert plain > bare
    assert features - bare_features > plain - bare
    assert sum(work({**evasion, "steps": 200})) > plain + features


def left(text):
    number, unit = re.search(r"about ([\d.]+) (s|min|h) left", text).groups()
    return float(number) * {"s": 1, "min": 60, "h": 3600}[unit]


def test_the_clock_starts_at_the_forecast_and_ends_at_the_pace_that_was_seen():
    forecast = Forecast(builds=4, work=(100.0, 100.0, 100.0, 100.0), per_second=1.0)
    clock = RunClock(forecast, now=0.0)
    assert left(clock.at(0, now=0.0)) == pytest.approx(forecast.seconds, abs=60)
    # Twice as slow as foretold: half way, the truth is between the two.
    slow = 2 * forecast.seconds
    assert 0.5 * forecast.seconds < left(clock.at(2, now=slow / 2)) < 0.5 * slow
    assert left(clock.at(3, now=0.75 * slow)) > left(clock.at(3, now=0.75 * forecast.seconds))
    assert "75% done" in clock.at(3, now=1.0)


def test_a_run_on_features_is_foretold_though_its_images_are_larger_than_any_net():
    values = read_toml("smoke")
    route = {"kind": "features", "extractor": {"name": "random-features", "size_px": 16}}
    config = load_config({**values, "routes": [route]})
    _, split = split_of(config, progress=Silent())
    large = np.zeros((len(split.pool), 1, 200, 200), dtype=np.uint8)
    wide = replace(split, pool=replace(split.pool, images=large))
    assert foretell(config, wide, device="cpu", workers=1).per_second > 0
