"""The contract of a route: private images in, releases out, a private record kept back."""

from __future__ import annotations

import secrets
from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Generic, TypeVar, final

import numpy as np
import numpy.typing as npt

from sudare.core.arrays import Float32Array
from sudare.core.errors import DataError
from sudare.core.progress import Progress
from sudare.data.images import ImageDataset
from sudare.releases.kinds import Release
from sudare.routes.config import RouteConfig

if TYPE_CHECKING:
    from jaxtyping import Float, Int8

__all__ = ["Build", "BuildRecord", "Role", "Route"]


class Role:
    """What an image of the private set was used for, as stored in a record."""

    TRAIN, VALIDATION, INIT, RELEASED = 1, 2, 3, 4


@dataclass(frozen=True, kw_only=True, eq=False)
class BuildRecord:
    """What happened in a build. It stays in the private cache and is in no release.

    Attributes:
        roles: ``int8 [n]``, a ``Role`` for each private image.
        loss_trace: ``float32 [epochs, n]``, or None for routes that train no net on images.
        cpu_s: Processor seconds.
        wall_s: Seconds on the clock.
    """

    roles: Int8[npt.NDArray[np.int8], " n"]
    loss_trace: Float[Float32Array, "epochs n"] | None = None
    cpu_s: float = 0.0
    wall_s: float = 0.0


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
    def build(
        self,
        private: ImageDataset,
        *,
        public: ImageDataset,
        seed: int | None,
        device: str,
        progress: Progress,
    ) -> Build:
        """Build the releases, deterministically from a seed.

        Args:
            private: The private set of this build; a route that selects splits it inside.
            public: Images that may be used without being protected.
            seed: Root of every random number of a build that is audited. None for what leaves:
                nothing can repeat it, and DP noise is the operating system's.
            device: ``cpu`` or ``cuda``.
            progress: Where to report.

        Raises:
            DataError: A private set the route cannot use.
        """
        if not len(private):
            raise DataError("the private set is empty", where=private.name)
        if private.multi_label:
            raise DataError(
                "images with several labels are not supported by this route",
                where=f"{self.config.kind}, {private.name}",
                fix="Give one label for each image.",
            )
        return self._build(
            private,
            public=public,
            seed=secrets.randbits(63) if seed is None else seed,
            leaves=seed is None,
            device=device,
            progress=progress,
        )

    @abstractmethod
    def _build(
        self,
        private: ImageDataset,
        *,
        public: ImageDataset,
        seed: int,
        leaves: bool,
        device: str,
        progress: Progress,
    ) -> Build:
        """Build from a private set that was checked.

        Args:
            private: The private set.
            public: Images that may be used without being protected.
            seed: Root of every random number but DP noise and sampling of what leaves.
            leaves: Whether the release will leave, so that those are the operating system's.
            device: ``cpu`` or ``cuda``.
            progress: Where to report.
        """
