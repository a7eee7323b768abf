"""Variants: routes of one kind side by side, each under a name of its own."""

import tomllib

import pytest

from sudare.audits.config import load_config
from sudare.audits.toml import to_toml
from sudare.core.errors import ConfigError
from sudare.routes import ROUTES, parse_route
from tests.routes.test_conformance import SETTINGS


@pytest.mark.parametrize("kind", sorted(ROUTES))
def test_every_route_takes_a_name_and_a_label(kind):
    values = {"kind": kind, **SETTINGS.get(kind, {})}
    usual = parse_route(values)
    own = parse_route({**values, "name": "mine-2", "label": "My own"})
    names = [release.name for release in own.releases]
    assert names[0] == "mine-2"
    assert len(set(names)) == len(usual.releases)
    assert all(name.startswith("mine-2") for name in names)
    assert all(release.label.startswith("My own") for release in own.releases)
    only_named = parse_route({**values, "name": "mine-2"})
    assert only_named.label == f"{usual.label} (mine-2)"
    assert parse_route(own.model_dump(mode="json")) == own
    assert "given_name" not in own.model_dump_json()


WRONG = [{"name": "../up"}, {"name": ""}, {"name": "a" * 61}, {"label": ""}, {"label": "a\x1b[2J"}]


@pytest.mark.parametrize("wrong", WRONG)
def test_a_name_is_a_word_and_a_label_a_line(wrong):
    with pytest.raises(ConfigError):
        parse_route({"kind": "plain", **wrong})


def test_two_of_one_name_are_told_how_to_stand_side_by_side():
    routes = [{"kind": "plain"}, {"kind": "plain", "net": {"width": 8}}]
    with pytest.raises(ConfigError, match='name = "plain-2"'):
        load_config({"data": {"source": "digits"}, "routes": routes})
    routes[1]["name"] = "plain-2"
    config = load_config({"data": {"source": "digits"}, "routes": routes})
    assert [route.name for route in config.routes] == ["plain", "plain-2"]
    again = load_config(tomllib.loads(to_toml(config.model_dump(mode="json"))))
    assert again == config
