"""A job: what owners and a server agree on before anything is trained, as one file all hold."""

from __future__ import annotations

import hashlib
import math
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Literal, Self, TypeVar

import tomli_w
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from sudare.core.errors import ConfigError
from sudare.core.files import atomic_write
from sudare.core.validation import config_error
from sudare.routes.federation.config import FederationConfig

_Model = TypeVar("_Model", bound=BaseModel)

JOB_FILE = "job.toml"
_NAME = r"^[A-Za-z0-9][A-Za-z0-9_-]{0,39}$"
_MOST_BYTES = 2**20
MOST_DELTA = 1e-2
"""A delta above it lets one record in a hundred be told outright."""
_USUAL_OWNERS = 10


class Job(BaseModel):
    """One federation over a network.

    Owners take what they train, clip and noise by from this file and never from a message, so a
    server can ask for no more than was agreed on.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    name: str = Field(pattern=_NAME, description="Another for every job; ledgers go by it.")
    owners: tuple[str, ...] = Field(min_length=2, max_length=10, description="Their names.")
    class_names: tuple[str, ...] = Field(min_length=2, max_length=10_000)
    image_shape: tuple[int, int, int] = Field(description="Channels, height, width.")
    address: str = Field(
        pattern=r"^[A-Za-z0-9.:\[\]-]+:\d{1,5}$", description="HOST:PORT that owners dial."
    )
    federation: FederationConfig = Field(description="Rounds, steps, net, privacy, payouts.")
    noise_multiplier: float = Field(ge=0, description="Of each step; 0 where nothing is promised.")
    max_epsilon: float | None = Field(
        default=None,
        gt=0,
        description="What an owner's ledger may reach: all rounds, the scores, and some rounds "
        "that are cut off and taken again.",
    )
    most_records: int | None = Field(
        default=None,
        ge=1,
        le=10**9,
        description="The most records an owner may have or say it has; ten times those of a usual "
        "owner (expected_batch / rate) if left out.",
    )
    missing: Literal["wait", "skip"] = Field(
        default="wait",
        description="A round to which an owner gives no valid answer: wait ends the job with its "
        "name, and the same command goes on; skip takes its update as none.",
    )
    patience_s: float = Field(default=600.0, gt=0, description="How long a round waits for owners.")
    seed: int | None = Field(
        default=None, ge=0, description="Rehearsals only: with it anybody can take the noise off."
    )

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if len(set(self.owners)) != len(self.owners):
            raise ValueError("two owners of one name")
        if self.federation.clients != len(self.owners):
            raise ValueError(
                f"{len(self.owners)} owners, but federation.clients = {self.federation.clients}"
            )
        if self.federation.weights == "size":
            raise ValueError("over a network all owners weigh the same: sizes are not told")
        if (self.federation.privacy is None) != (self.noise_multiplier == 0):
            raise ValueError("noise and the promise of privacy do not fit together")
        _refuse_delta(self.federation)
        return self

    @property
    def digest(self) -> str:
        """SHA-256 of what was agreed on, in hexadecimal: two copies of a job are one job by it."""
        return hashlib.sha256(self.model_dump_json().encode()).hexdigest()

    @property
    def limit_of_records(self) -> int:
        """The most records an owner may have or say it has."""
        usual = self.federation.expected_batch / self.federation.rate
        return self.most_records or math.ceil(_USUAL_OWNERS * usual)

    def check_noise(self) -> None:
        """Refuse a job whose noise is less than its epsilon asks for.

        Raises:
            ConfigError: It is.
        """
        from sudare.routes.federation.owner import noise_of

        asked = noise_of(self.federation)
        # Calibrated by bisection; the last digit is not the same on every machine.
        if self.noise_multiplier < asked * (1 - 1e-3):
            raise ConfigError(
                f"the job says noise {self.noise_multiplier:g}, but its promise asks for "
                f"{asked:.4g}",
                where="noise_multiplier",
                fix="Do not take part. Whoever wrote the job makes it anew: sudare federate init.",
            )

    @property
    def parameters_seed(self) -> int | None:
        """Seed of the federation's rounds; None for the system's randomness."""
        from sudare.core.seeds import integer_seed

        return None if self.seed is None else integer_seed(self.seed, "federation")

    def index(self, owner: str) -> int:
        """Number of an owner.

        Raises:
            ConfigError: No owner of this job.
        """
        if owner not in self.owners:
            raise ConfigError(
                f"{owner!r} is no owner of the job {self.name}",
                fix=f"Its owners: {', '.join(self.owners)}.",
            )
        return self.owners.index(owner)


def _refuse_delta(config: FederationConfig) -> None:
    if config.privacy is not None and config.privacy.delta > MOST_DELTA:
        raise ValueError(f"delta {config.privacy.delta:g} is above {MOST_DELTA:g}: no promise")


def read_job(path: Path) -> Job:
    """Read a job file.

    Raises:
        ConfigError: Not a file, too large, not TOML, or not a job.
    """
    try:
        if path.stat().st_size > _MOST_BYTES:
            raise ConfigError("this is too large for a job", where=str(path))
        values = tomllib.loads(path.read_text())
    except OSError as error:
        raise ConfigError(
            "there is no job file",
            where=str(path),
            fix="Make one with sudare federate init, or ask the server for its copy.",
        ) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ConfigError(f"not valid TOML: {error}", where=str(path)) from error
    return _validated(Job, values, str(path))


def agreed(values: Mapping[str, object], *, spare_rounds: int) -> Job:
    """A job with the noise its epsilon asks for, and the limit of its owners' ledgers.

    Args:
        values: The job's, without noise and limit.
        spare_rounds: Rounds that may be taken twice within the limit.

    Raises:
        ConfigError: They are no job.
    """
    from sudare.accounting.ledger import composed_epsilon
    from sudare.routes.federation.owner import noise_of, scores_entry, training_entry

    config = _validated(FederationConfig, values.get("federation", {}), "job: federation")
    try:
        _refuse_delta(config)
    except ValueError as error:
        raise ConfigError(str(error), where="job: federation.privacy.delta") from error
    steps = config.rounds * config.local_steps
    sigma = noise_of(config)
    if config.privacy is None:
        return _validated(Job, {**values, "noise_multiplier": sigma}, "job")
    entries = [
        training_entry(config, sigma, steps=steps + spare_rounds * config.local_steps),
        scores_entry(config),
    ]
    # Rounded up, so that the very same sum does not fail by its last digit.
    most = math.ceil(1000 * composed_epsilon(entries, delta=config.privacy.delta)) / 1000
    return _validated(Job, {**values, "noise_multiplier": sigma, "max_epsilon": most}, "job")


def _validated(model: type[_Model], values: object, where: str) -> _Model:
    try:
        return model.model_validate(values)
    except ValidationError as error:
        raise config_error(error, model, where=where) from error


def write_job(job: Job, path: Path) -> None:
    """Write a job file."""
    atomic_write(path, tomli_w.dumps(_plain(job.model_dump(mode="json"))), public=True)


def _plain(values: dict[str, object]) -> dict[str, object]:
    return {
        name: _plain(value) if isinstance(value, dict) else value
        for name, value in values.items()
        if value is not None
    }
