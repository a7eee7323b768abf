"""A finding: one measured number with its interval, its threat model and its status."""

from __future__ import annotations

from enum import StrEnum
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, model_validator

from sudare.core.decisions import Decision
from sudare.core.errors import AuditError
from sudare.core.estimates import Estimate
from sudare.core.threats import ThreatModel
from sudare.core.wording import Wording

SCHEMA = "sudare.findings/3"


class Status(StrEnum):
    """Whether a number was measured, and if not, why not."""

    MEASURED = "measured"
    UNRESOLVABLE = "unresolvable"
    NOT_APPLICABLE = "not_applicable"
    FAILED = "failed"


class Finding(BaseModel):
    """One number about one release under one threat model.

    ``value``, ``low`` and ``high`` are finite, or None unless ``status`` is ``measured``; a number
    measured once has no interval.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    id: str = Field(description="Dotted, stable name, such as membership.lira.tpr@0.01.")
    release: str = Field(description="Name of the release the number is about.")
    route: str = Field(description="Name of the route that built it.")
    threat_model: ThreatModel = Field(description="What the attacker sees.")
    level: float = Field(default=0.95, description="Nominal coverage of the interval.")
    value: float | None = Field(default=None, description="The number.")
    low: float | None = Field(default=None, description="Lower end of its interval.")
    high: float | None = Field(default=None, description="Upper end of its interval.")
    n_units: int = Field(
        default=0,
        ge=0,
        description="Distinct units of images behind the number; 0 if none are counted.",
    )
    n_builds: int = Field(default=0, ge=0, description="Builds behind the number.")
    n_recipients: int = Field(default=0, ge=0, description="Recipients' models per build.")
    method: Wording = Field(default="", description="How value and interval were made.")
    unit: str = Field(default="", description="Unit of the value: a share, s, MB, nats.")
    group: str = Field(default="", description="The class or group it is about; empty for all.")
    status: Status = Field(default=Status.MEASURED, description="Measured, or why not.")
    reason: Wording = Field(default="", description="Why there is no value.")
    part_units: int = Field(
        default=0, ge=0, description="Most exposed units it is about; 0 for all or a group."
    )
    null_control: bool = Field(
        default=False, description="Whether membership was redrawn: the number is no leakage."
    )
    attack_hash: str = Field(default="", description="Hash of the attack's configuration.")
    simultaneous: float | None = Field(
        default=None,
        ge=1,
        description="How many times as far its ends are from the value where they hold for all "
        "attacks that were resampled together.",
    )

    @model_validator(mode="after")
    def _value_iff_measured(self) -> Finding:
        if (self.value is not None) != (self.status is Status.MEASURED):
            raise ValueError(f"{self.id}: a value goes with status 'measured' and only with it")
        if self.value is None and not self.reason:
            raise ValueError(f"{self.id}: a finding without a value needs a reason")
        return self

    @property
    def key(self) -> tuple[str, str, str, str]:
        """What identifies the finding within a run: id, release, threat model and group."""
        return self.id, self.release, self.threat_model.value, self.group

    @property
    def numbers(self) -> str:
        """Value and interval at four digits; the value alone where there is no width to tell."""
        if self.value is None:
            return self.status.value
        if self.low is None or self.high is None or self.low == self.high:
            return f"{self.value:.4g}"
        return f"{self.value:.4g} ({self.low:.4g} to {self.high:.4g})"

    def estimate(self) -> Estimate:
        """The number as an estimate, to compute with."""
        return Estimate(
            value=self.value,
            low=self.low,
            high=self.high,
            n=self.n_units or self.n_builds,
            method=self.method,
            level=self.level,
            reason=self.reason,
            of_units=self.n_units > 0,
        )

    def with_estimate(self, estimate: Estimate) -> Finding:
        """This finding with an estimate's value, interval, units, method and status."""
        status = Status.MEASURED if estimate.value is not None else Status.UNRESOLVABLE
        return Finding.model_validate(
            {
                **self.model_dump(),
                "value": estimate.value,
                "low": estimate.low,
                "high": estimate.high,
                "n_units": estimate.n if estimate.of_units else 0,
                "method": estimate.method,
                "level": estimate.level,
                "status": status,
                "reason": estimate.reason,
            }
        )


class Findings(BaseModel):
    """The file ``findings.json``: a schema name, the findings, and what follows from them."""

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)

    schema_name: str = Field(default=SCHEMA, alias="schema")
    findings: tuple[Finding, ...] = ()
    decisions: tuple[Decision, ...] = Field(
        default=(), description="What to do with each release that was audited, and why."
    )

    def get(
        self, name: str, release: str, group: str = "", threat_model: ThreatModel | None = None
    ) -> Finding:
        """The finding of this id, release and group.

        Args:
            name: Its id.
            release: Its release.
            group: Its class or group.
            threat_model: What the attacker sees; needed where several attackers were measured.

        Raises:
            AuditError: No such finding, or several of different threat models.
        """
        found = [
            finding
            for finding in self.findings
            if (finding.id, finding.release, finding.group) == (name, release, group)
            and threat_model in (None, finding.threat_model)
        ]
        if len(found) == 1:
            return found[0]
        if found:
            seen = ", ".join(sorted(finding.threat_model.value for finding in found))
            raise AuditError(
                f"{name!r} of {release!r} was measured for several attackers: {seen}",
                fix="Say which threat model.",
            )
        raise AuditError(
            f"no finding {name!r} for release {release!r}",
            fix="Run `sudare report` on the folder to see which there are.",
        )

    @classmethod
    def json_schema(cls) -> dict[str, Any]:
        """JSON Schema of the file; the copy in ``sudare/schemas`` is shipped and tested."""
        return cls.model_json_schema(by_alias=True)

    def to_json(self) -> str:
        """The file's text: indented, without NaN, in a stable order."""
        return self.model_dump_json(by_alias=True, indent=1) + "\n"
