"""The configuration of a run: one schema for TOML files, the command line and the report."""

from __future__ import annotations

import copy
import tomllib
from collections.abc import Mapping, Sequence
from importlib import resources
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SerializeAsAny,
    ValidationError,
    WithJsonSchema,
    field_validator,
    model_validator,
)

from sudare.audits.checks.config import CheckConfig
from sudare.audits.checks.copies_config import CopiesCheckConfig
from sudare.audits.checks.registry import parse_check
from sudare.core.errors import ConfigError
from sudare.core.limits import MAX_SIZE_PX, MIN_SIZE_PX
from sudare.core.runs import Deployment, Thresholds
from sudare.core.validation import config_error
from sudare.fleets.executors import ExecutorName
from sudare.recipients.config import RecipientConfig
from sudare.routes.config import RouteConfig
from sudare.routes.registry import ROUTES, config_class, parse_route

PRESETS = ("smoke", "poc", "demo", "lite", "paper", "inversion")


class _Section(BaseModel):
    model_config = ConfigDict(
        frozen=True, extra="forbid", allow_inf_nan=False, serialize_by_alias=True
    )


class DataConfig(_Section):
    """Which images, and how many for what."""

    source: str = Field(default="pneumonia", description="A named source, folder or file.")
    name: str = Field(
        default="",
        max_length=100,
        description="Public name of your own images, for cards and pages; 'own images' if empty: "
        "the name of a folder or file can say too much.",
    )
    fit: bool = Field(
        default=False,
        description="Take pool, population, public and test in proportion where the collection is "
        "smaller; --data does so.",
    )
    image_size: int | None = Field(
        default=None, ge=MIN_SIZE_PX, le=MAX_SIZE_PX, description="Resize to, pixels."
    )
    pool: int = Field(default=1200, ge=16, description="Images whose membership is in question.")
    population: int = Field(default=600, ge=0, description="Images attackers may use.")
    public: int = Field(default=0, ge=0, description="Images routes may use.")
    public_source: str = Field(
        default="",
        description="Images declared public that are not of the collection: a named source, "
        "folder or file of the same classes. Learned images then start from them.",
    )
    test: int = Field(
        default=0, ge=0, description="Images for scoring; 0: official set, or a fifth."
    )
    per_class: int | None = Field(
        default=None,
        ge=1,
        description="Images of each class in each build: the pool is cut to twice as many, by lot.",
    )
    auxiliary_classes: int = Field(
        default=0, ge=0, description="Classes set apart for attackers; no build knows them."
    )
    public_groups: tuple[str, ...] = Field(
        default=(), description="Values of the column `group` that the public page may name."
    )


class FleetConfig(_Section):
    """How many builds, and on what."""

    builds: int = Field(default=16, ge=4, le=4096, description="Builds per release, even.")
    workers: int | None = Field(default=None, ge=1, description="Processes; one per core.")
    threads: int = Field(default=1, ge=1, description="Threads of each process.")
    executor: ExecutorName = Field(
        default="local", description="local: processes here; ray: a cluster (RAY_ADDRESS)."
    )
    device: Literal["auto", "cpu", "cuda"] = Field(default="auto", description="Where to train.")
    lanes: int = Field(
        default=16, ge=1, le=256, description="Builds that a GPU trains at once, where a route can."
    )

    @field_validator("builds")
    @classmethod
    def _even(cls, builds: int) -> int:
        if builds % 2:
            raise ValueError(f"builds come in complementary pairs; {builds} is odd")
        return builds


class AttacksConfig(_Section):
    """Which attacks run, with what settings."""

    membership: tuple[str, ...] = Field(
        default=(
            "bavaria",
            "bavaria_offline",
            "lira",
            "lira_offline",
            "rmia",
            "rmia_offline",
            "loss",
            "modified_entropy",
            "gap",
            "shokri",
            "boundary",
            "boundary_calibrated",
            "nearest",
            "nearest_calibrated",
        ),
        description="Membership tests.",
    )
    # With few builds RMIA finds more than LiRA; it is declared here, before any run.
    primary: str = Field(default="rmia", description="The test the verdict is about.")
    queries: Literal["auto", "image", "mirror"] = Field(
        default="auto",
        description="What is asked of each image: the image, or its mirror image too; auto: "
        "mirrors where training mirrored.",
    )
    boundary_images: int = Field(
        default=0, ge=0, description="Images whose distance to the boundary is searched; 0: none."
    )
    boundary_queries: int = Field(
        default=300, ge=20, description="Questions about each of them, answered by a class."
    )
    settings: dict[str, dict[str, Any]] = Field(
        default_factory=dict, description="Settings of a test, by its name."
    )


class AuditConfig(_Section):
    """How findings are made and judged."""

    alphas: tuple[Annotated[float, Field(gt=0, lt=1)], ...] = Field(
        default=(0.1, 0.01, 0.001, 0.0001), description="False-positive rates of the TPRs."
    )
    draws: int = Field(default=1000, ge=100, description="Bootstrap draws.")
    prior: float = Field(
        default=0.01, gt=0, lt=1, description="Share of members among the images an attacker has."
    )
    worst_share: float = Field(default=0.01, gt=0, le=0.5, description="Worst-case share.")
    canaries: tuple[str, ...] = Field(
        default=(),
        description="Worst cases to plant, such as mislabelled:200, duplicated:200 or ood:200.",
    )
    exposed: int = Field(default=6, ge=0, description="Exposed images shown for each release.")
    fail_on: tuple[str, ...] = Field(default=(), description="Gates, 'finding > threshold'.")
    null: bool = Field(default=False, description="Redraw membership: the null control.")


class PricesConfig(_Section):
    """Optional money, for the cost findings."""

    currency: str = Field(default="EUR", description="Currency of the prices.")
    cpu_hour: float | None = Field(default=None, ge=0, description="Price of a core-hour.")


def _parse_routes(values: object) -> tuple[RouteConfig, ...]:
    if not isinstance(values, Sequence) or isinstance(values, str):
        raise ConfigError("routes must be a list", fix='Write [[routes]] with kind = "plain".')
    routes = tuple(parse_route(value) for value in values)
    names = [release.name for route in routes for release in route.releases]
    for name in names:
        if names.count(name) > 1:
            raise ConfigError(
                f"two releases are both called {name!r}",
                where="routes",
                fix=f'Give one of them another name: name = "{name}-2".',
            )
    return routes


def _parse_checks(values: object) -> tuple[CheckConfig, ...]:
    if not isinstance(values, Sequence) or isinstance(values, str):
        raise ConfigError("checks must be a list", fix="Write [[checks]] with a kind.")
    checks = tuple(parse_check(value) for value in values)
    kinds = [check.kind for check in checks]
    for kind in kinds:
        if kinds.count(kind) > 1:
            raise ConfigError(f"check {kind!r} is there twice", where="checks")
    if own := [check.kind for check in checks if check.always]:
        raise ConfigError(
            f"check {own[0]!r} runs by itself, with the settings of [attacks] and [audit]",
            where="checks",
            fix="Leave it out.",
        )
    # Whether private images are inside is asked of every release that holds images.
    always = () if CopiesCheckConfig().kind in kinds else (CopiesCheckConfig(),)
    return (*always, *checks)


def _routes_schema() -> dict[str, Any]:
    schemas = [config_class(kind).model_json_schema() for kind in ROUTES]
    definitions: dict[str, Any] = {}
    for schema in schemas:
        definitions |= schema.pop("$defs", {})
    return {"type": "array", "items": {"oneOf": schemas}, "$defs": definitions}


class RunConfig(_Section):
    """A whole run: data in, releases built and attacked, a report out."""

    title: str = Field(default="What can we share?", description="Title of the report.")
    seed: int = Field(default=0, ge=0, description="Root of every random number.")
    data: DataConfig = DataConfig()
    fleet: FleetConfig = FleetConfig()
    routes: Annotated[
        tuple[SerializeAsAny[RouteConfig], ...],
        BeforeValidator(_parse_routes),
        WithJsonSchema({"type": "array", "items": {"type": "object"}}),
    ] = Field(default=(), description="Releases to build.")
    checks: Annotated[
        tuple[SerializeAsAny[CheckConfig], ...],
        BeforeValidator(_parse_checks),
        WithJsonSchema({"type": "array", "items": {"type": "object"}}),
    ] = Field(
        default=(CopiesCheckConfig(),),
        description="Further checks of every release, [[checks]] with a kind; that for copies "
        "always runs.",
    )
    recipients: RecipientConfig = RecipientConfig()
    attacks: AttacksConfig = AttacksConfig()
    audit: AuditConfig = AuditConfig()
    prices: PricesConfig = PricesConfig()
    verdict: Thresholds = Thresholds()
    threat: Deployment = Deployment()

    @model_validator(mode="after")
    def _started(self) -> Self:
        # Public images beyond the collection are the better start than noise, and give nothing
        # away. Where a start was asked for, it stays.
        if not self.data.public_source:
            return self
        object.__setattr__(self, "routes", tuple(r.given_public() for r in self.routes))
        return self

    @classmethod
    def json_schema(cls) -> dict[str, Any]:
        """JSON Schema of the TOML file, every route spelled out."""
        schema, routes = cls.model_json_schema(), _routes_schema()
        schema["$defs"] |= routes.pop("$defs")
        schema["properties"]["routes"] |= routes
        schema["properties"]["defaults"] = {
            "type": "object",
            "description": "Values every route takes where it has the field and does not set it.",
        }
        return schema


def read_toml(source: str) -> dict[str, Any]:
    """The values of a preset by name, or of a TOML file by path.

    Raises:
        ConfigError: Neither a preset nor a readable TOML file.
    """
    if source in PRESETS:
        text = (resources.files("sudare.presets") / f"{source}.toml").read_text()
    else:
        try:
            text = Path(source).read_text(encoding="utf-8")
        except UnicodeDecodeError as error:
            raise ConfigError(
                "the file is not UTF-8", where=source, fix="Save it as text in UTF-8."
            ) from error
        except OSError as error:
            raise ConfigError(
                f"{source!r} is neither a preset nor a readable file",
                fix=f"Presets are: {', '.join(PRESETS)}.",
            ) from error
    try:
        return tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise ConfigError(f"not valid TOML: {error}", where=source) from error


def apply_overrides(values: dict[str, Any], overrides: Sequence[str]) -> dict[str, Any]:
    """Values with dotted overrides such as ``fleet.builds=8`` or ``routes.0.alpha=0.2``.

    Raises:
        ConfigError: An override that is not ``name=value``, or a path that leads nowhere.
    """
    result = copy.deepcopy(values)
    for override in overrides:
        path, sign, text = override.partition("=")
        if not sign or not path:
            raise ConfigError(
                f"{override!r} is not an override", fix="Write, for example, fleet.builds=8."
            )
        _set(result, path.split("."), _toml_value(text), override)
    return result


def load_config(values: Mapping[str, Any]) -> RunConfig:
    """A checked configuration from plain values; ``defaults`` are merged into the routes.

    Raises:
        ConfigError: Values that do not fit the schema.
    """
    merged = dict(values)
    defaults = _table(merged.pop("defaults", {}), "defaults")
    given = merged.get("routes", [])
    if not isinstance(given, list | tuple):
        raise ConfigError(
            "routes are not a list", where="routes", fix='Write [[routes]] kind = "plain".'
        )
    routes = [
        _with_defaults(_table(route, f"routes.{index}"), defaults)
        for index, route in enumerate(given)
    ]
    try:
        return RunConfig.model_validate({**merged, "routes": routes})
    except ValidationError as error:
        raise config_error(
            error, RunConfig, fix="`sudare config schema` lists every field."
        ) from error


def _table(value: object, where: str) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise ConfigError(f"{value!r} is not a table", where=where, fix="Give names and values.")
    return value


def _with_defaults(route: Mapping[str, Any], defaults: Mapping[str, Any]) -> dict[str, Any]:
    kind = str(route.get("kind", ""))
    if kind not in ROUTES:
        return dict(route)
    fields, own_fields = config_class(kind).model_fields, config_class(kind).own_fields
    merged = dict(route)
    for name, value in defaults.items():
        if name not in fields or name in own_fields:
            continue
        own = merged.get(name)
        if isinstance(value, Mapping) and (own is None or isinstance(own, Mapping)):
            built_in = fields[name].default
            base = built_in.model_dump() if isinstance(built_in, BaseModel) else {}
            merged[name] = {**base, **value, **(own or {})}
        else:
            merged.setdefault(name, value)
    return merged


def _toml_value(text: str) -> object:
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except (tomllib.TOMLDecodeError, RecursionError):
        # A bare word is a string: --set data.source=digits.
        return text


def _set(values: dict[str, Any], path: list[str], value: object, override: str) -> None:
    here: Any = values
    for step in path[:-1]:
        if isinstance(here, list) and step.isdigit() and int(step) < len(here):
            here = here[int(step)]
        elif isinstance(here, dict):
            here = here.setdefault(step, {})
        else:
            count = f"; there are {len(here)}" if isinstance(here, list) else ""
            raise ConfigError(f"there is nothing at {step!r}{count}", where=override)
    if isinstance(here, list) and path[-1].isdigit() and int(path[-1]) < len(here):
        here[int(path[-1])] = value
    elif isinstance(here, dict):
        here[path[-1]] = value
    else:
        raise ConfigError(f"there is nothing at {path[-1]!r}", where=override)
