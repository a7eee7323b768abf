"""The contract of a route: private images in, releases out, a private record kept back."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Any, Generic, TypeVar, final

import numpy as np
import numpy.typing as npt

from sudare.accounting.ledger import LedgerEntry
from sudare.core.arrays import ByteArray, Float32Array
from sudare.core.errors import ConfigError, DataError
from sudare.core.wording import as_json, from_json
from sudare.data.images import ImageDataset
from sudare.releases.card import Card, Spec, Statistic
from sudare.releases.kinds import Release
from sudare.routes.config import RouteConfig
from sudare.routes.context import BuildContext, Stages

if TYPE_CHECKING:
    from jaxtyping import Float, Int8


class Role:
    """What an image of the private set was used for, as stored in a record."""

    TRAIN, VALIDATION, INIT, RELEASED = 1, 2, 3, 4


@dataclass(frozen=True, kw_only=True)
class Choice:
    """What a build chose among, on private images of its own that nothing was trained on.

    Attributes:
        what: What was chosen, in a word: ``generator``, ``sigma``.
        options: The candidates, in order.
        scores: The score of each, in 0 to 1.
        chosen: Which one it took.
        notes: What is odd about each, empty where nothing is; none at all where nothing ever is.
    """

    what: str
    options: tuple[str, ...]
    scores: tuple[float, ...]
    chosen: int
    notes: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """As plain values."""
        told = {"options": self.options, "notes": self.notes}
        return asdict(self) | {name: [*map(as_json, each)] for name, each in told.items()}

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Choice:
        """From plain values."""
        return cls(
            what=str(values["what"]),
            options=tuple(map(from_json, values["options"])),
            scores=tuple(map(float, values["scores"])),
            chosen=int(values["chosen"]),
            notes=tuple(map(from_json, values["notes"])),
        )


@dataclass(frozen=True, kw_only=True, eq=False)
class BuildRecord:
    """What happened in a build. It stays in the private cache and is in no release.

    Attributes:
        roles: ``int8 [n]``, a ``Role`` for each private image.
        loss_trace: ``float32 [epochs, n]``, or None for routes that train no net on images.
        cpu_s: Processor seconds, as if no stage of it had been there already.
        wall_s: Seconds on the clock, likewise.
        choices: What it chose among, in order.
        pictures: ``uint8 [c, h, w]`` by name, such as ``generator-0`` for the first option of a
            choice; for the house.
    """

    roles: Int8[npt.NDArray[np.int8], " n"]
    loss_trace: Float[Float32Array, "epochs n"] | None = None
    cpu_s: float = 0.0
    wall_s: float = 0.0
    choices: tuple[Choice, ...] = ()
    pictures: Mapping[str, ByteArray] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True, eq=False)
class Build:
    """What one build gave: its releases by name, and its record."""

    releases: dict[str, Release] = field(default_factory=dict)
    record: BuildRecord


ConfigT = TypeVar("ConfigT", bound=RouteConfig)


class Route(ABC, Generic[ConfigT]):
    """Turns private images into releases. A subclass writes ``_build``.

    Args:
        config: The route's configuration.
    """

    def __init__(self, config: ConfigT) -> None:
        self.config = config

    @final
    def build(self, private: ImageDataset, context: BuildContext) -> Build:
        """Build the releases, deterministically from the context's seed.

        Args:
            private: The private set of this build; a route that selects splits it inside.
            context: Public images, seed, device, and where stages are kept.

        Raises:
            DataError: A private set the route cannot use.
            ConfigError: The route emitted other releases than it planned.
        """
        return self.build_many([private], [context])[0]

    @final
    def build_many(
        self, privates: Sequence[ImageDataset], contexts: Sequence[BuildContext]
    ) -> list[Build]:
        """Several builds, each as ``build`` makes it alone; on a GPU perhaps faster together.

        Args:
            privates: The private set of each.
            contexts: The context of each, all on one device.

        Raises:
            DataError: A private set the route cannot use.
            ConfigError: The route emitted other releases than it planned.
        """
        for private in privates:
            self._check(private)
        made = self._build_many(privates, contexts)
        planned = {release.name for release in self.config.releases}
        for build in made:
            if set(build.releases) != planned:
                raise ConfigError(
                    f"the route planned {', '.join(sorted(planned))} and emitted "
                    f"{', '.join(sorted(build.releases)) or 'nothing'}",
                    where=self.config.kind,
                )
        return [
            _with_spared(build, context.stages)
            for build, context in zip(made, contexts, strict=True)
        ]

    def _check(self, private: ImageDataset) -> None:
        if not len(private):
            raise DataError("the private set is empty", where=private.name)
        if private.multi_label:
            raise DataError(
                "images with several labels are not supported by this route",
                where=f"{self.config.kind}, {private.name}",
                fix="Give one label for each image.",
            )

    def _build_many(
        self, privates: Sequence[ImageDataset], contexts: Sequence[BuildContext]
    ) -> list[Build]:
        """Builds from private sets that were checked; a route of small nets trains them at once."""
        return [
            self._build(private, context)
            for private, context in zip(privates, contexts, strict=True)
        ]

    @abstractmethod
    def _build(self, private: ImageDataset, context: BuildContext) -> Build:
        """Build from a private set that was checked."""


def _with_spared(build: Build, stages: Stages) -> Build:
    """A build that costs what it would if no stage had been there."""
    record = build.record
    spared = replace(
        record,
        cpu_s=record.cpu_s + stages.spared_cpu_s,
        wall_s=record.wall_s + stages.spared_wall_s,
    )
    return replace(build, record=spared)


def card_for(
    config: RouteConfig,
    like: ImageDataset,
    spec: Spec,
    *,
    kind: str = "",
    title: str = "",
    what_leaves: str = "",
    settings: Mapping[str, str],
    statistics: Sequence[Statistic] = (),
    ledger: tuple[LedgerEntry, ...] = (),
    guarantee: str = "",
) -> Card:
    """The card of a release of a route.

    Args:
        config: The route.
        like: Images of the same classes and shape, whose name and licence the card gives.
        spec: What the kind adds.
        kind: Kind of the release; that of the route unless given.
        title: One line for people; the route's label unless given.
        what_leaves: What the recipient gets; as the route says unless given.
        settings: How it was made.
        statistics: Numbers that were computed on private images.
        ledger: What was spent.
        guarantee: The formal guarantee in words, or empty.
    """
    return Card(
        kind=kind or config.release_kind,
        spec=spec,
        route=config.kind,
        title=title or config.label,
        what_leaves=what_leaves or config.what_leaves,
        class_names=like.class_names,
        image_shape=like.image_shape,
        settings=dict(settings),
        statistics=tuple(statistics),
        ledger=ledger,
        guarantee=guarantee,
        data_name=like.name,
        data_licence=like.licence,
    )
