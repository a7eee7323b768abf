import json
import tomllib

import jsonschema
import pytest

from sudare.audits.checks.registry import CHECKS, check_class
from sudare.audits.config import PRESETS, RunConfig, apply_overrides, load_config, read_toml
from sudare.audits.limits import families
from sudare.audits.toml import to_toml
from sudare.cli.options import choose_routes, with_options
from sudare.core.errors import ConfigError
from sudare.core.wording import say


@pytest.mark.parametrize("preset", PRESETS)
def test_every_preset_loads_fits_the_schema_and_survives_a_round_trip(preset):
    values = read_toml(preset)
    jsonschema.validate(values, RunConfig.json_schema())
    config = load_config(values)
    again = load_config(tomllib.loads(to_toml(config.model_dump(mode="json"))))
    assert again == config


def test_defaults_reach_the_routes_that_have_the_field():
    config = load_config(read_toml("demo"))
    widths = {r.name: getattr(r, "net", None) for r in config.routes}
    assert widths["plain"].width == 16
    assert widths["subset-10"] is None
    recipes = {r.name: r.recipe for r in config.routes if r.name in ("plain", "dpsgd-eps8")}
    assert (recipes["plain"].epochs, recipes["plain"].batch_size) == (40, 64)
    # What a route says of itself goes before the defaults.
    assert (recipes["dpsgd-eps8"].epochs, recipes["dpsgd-eps8"].batch_size) == (30, 128)


def test_a_run_s_net_does_not_replace_fixed_public_features():
    values = {"defaults": {"net": {"width": 32}, "recipe": {"epochs": 3}}}
    config = load_config({**values, "routes": [{"kind": "linear-public"}, {"kind": "plain"}]})
    linear, plain = config.routes
    assert (linear.net.name, plain.net.width) == ("random-features", 32)
    assert linear.recipe.epochs != 3
    with pytest.raises(ConfigError, match="features of convnet are trained on private images"):
        load_config({"routes": [{"kind": "linear-public", "net": {"name": "convnet"}}]})


def test_overrides_take_dotted_names_and_toml_values():
    values = apply_overrides(
        read_toml("demo"),
        ["fleet.builds=8", "data.source=digits", "routes.1.alpha=0.2", "audit.alphas=[0.1]"],
    )
    config = load_config(values)
    assert (config.fleet.builds, config.data.source) == (8, "digits")
    assert config.routes[1].name == "smoothing+0.2"
    assert config.audit.alphas == (0.1,)
    assert read_toml("demo")["fleet"]["builds"] == 16


@pytest.mark.parametrize(
    ("override", "says"),
    [
        ("fleet.builds", "is not an override"),
        ("routes.99.alpha=1", "there is nothing at '99'"),
        ("fleet.builds=7", "complementary pairs"),
        ("fleet.bilds=8", r"fleet\.bilds"),
        ("data.pool=-1", r"data\.pool"),
        ("audit.alphas=[0.0]", r"audit\.alphas"),
        ("audit.alphas=[nan]", r"audit\.alphas"),
        ("defaults.recipe.lr=inf", r"lr"),
        ("routes.1.alpha=1.5", r"less than or equal to 1"),
        ("routes.1.alpha=-inf", r"finite"),
        ('routes=[{kind="dpsgd", privacy={target_epsilon=0}}]', r"greater than 0"),
        ('routes=[{kind="dpsgd", privacy={target_epsilon=nan}}]', r"finite"),
        ('routes=[{kind="dpsgd", privacy={max_grad_norm=inf}}]', r"finite"),
        ("prices.cpu_hour=inf", r"finite"),
        ("routes.1.alpha=nan", r"alpha"),
    ],
)
def test_bad_overrides_say_what_and_where(override, says):
    with pytest.raises(ConfigError, match=says):
        load_config(apply_overrides(read_toml("demo"), [override]))


def test_any_negative_smoothing_is_a_setting():
    config = load_config(apply_overrides(read_toml("demo"), ["routes.1.alpha=-2.5"]))
    assert config.routes[1].alpha == -2.5


def test_two_routes_of_one_name_are_refused():
    with pytest.raises(ConfigError, match="two releases are both called 'plain'"):
        load_config({"routes": [{"kind": "plain"}, {"kind": "plain"}]})


def test_routes_are_chosen_from_the_preset_or_built_in():
    values = choose_routes(read_toml("smoke"), "plain, linear-public")
    assert [route["kind"] for route in values["routes"]] == ["plain", "linear-public"]
    both = choose_routes(read_toml("demo"), "dpsgd")
    assert len(both["routes"]) == 2
    with pytest.raises(ConfigError, match="no route called 'magic'"):
        choose_routes(read_toml("demo"), "magic")


def test_flags_that_were_not_given_change_nothing():
    values = read_toml("demo")
    assert with_options(values, {"fleet.builds": None}) == values
    assert with_options(values, {"fleet.builds": 4})["fleet"]["builds"] == 4


def test_the_schema_is_json_and_names_every_route():
    text = json.dumps(RunConfig.json_schema())
    assert all(f'"const": "{kind}"' in text for kind in ("plain", "dpsgd", "linear-public"))


def test_unknown_files_and_broken_toml_are_refused(tmp_path):
    with pytest.raises(ConfigError, match="neither a preset nor a readable file"):
        read_toml("nothing.toml")
    broken = tmp_path / "x.toml"
    broken.write_text("a = ")
    with pytest.raises(ConfigError, match="not valid TOML"):
        read_toml(str(broken))


@pytest.mark.parametrize(
    "values",
    [
        {"title": "a\x7fb"},
        {"a": [[{"b": 1}]]},
        {"a": {"b c": {"d": "\u2028"}}},
        {"a": [1, 2.5, "x", True]},
    ],
)
def test_toml_can_be_read_back(values):
    """Our own writer wrote DEL raw, and nested tables as the text of a Python dict."""
    assert tomllib.loads(to_toml(values)) == values


def test_none_in_a_list_is_refused_and_not_written_as_a_word():
    with pytest.raises(TypeError):
        to_toml({"a": [1, None]})


@pytest.mark.parametrize("section", ["routes", "checks"])
@pytest.mark.parametrize(
    ("entry", "told"),
    [("plain", "is not a table"), ({}, "needs a kind"), ({"kind": "magic"}, "'magic'")],
)
def test_an_entry_that_is_no_known_table_is_refused(section, entry, told):
    """``checks = ["plain"]`` ended in a traceback."""
    with pytest.raises(ConfigError, match=told):
        RunConfig.model_validate({section: [entry]})


def test_learned_images_start_from_public_ones_beyond_the_collection_unless_told_otherwise():
    values = {
        "data": {"source": "digits", "public_source": "theirs"},
        "routes": [{"kind": "distillation"}, {"kind": "distillation", "init": "real"}],
    }
    config = load_config(values)
    assert [route.init for route in config.routes] == ["public", "real"]
    assert config.routes[0].name == "dm-10-public"
    # What was resolved is written down and read back.
    again = load_config(tomllib.loads(to_toml(config.model_dump(mode="json"))))
    assert again == config
    values["data"].pop("public_source")
    assert load_config(values).routes[0].init == "noise"


def test_checks_that_always_run_are_not_asked_for_and_not_said_to_be_left_out():
    """The page once called membership inference known and not run."""
    for kind in CHECKS:
        if check_class(kind).always:
            with pytest.raises(ConfigError, match="runs by itself"):
                load_config({**read_toml("smoke"), "checks": [{"kind": kind}]})
            left_out = families(load_config(read_toml("smoke"))).partition("not run:")[2]
            assert say(f"check.{kind}") not in left_out
