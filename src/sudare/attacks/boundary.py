"""How far an image is from the decision boundary, when only answered classes are seen."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np
from pydantic import Field

from sudare.attacks.signals import Signal
from sudare.core.arrays import BoolArray, ByteArray, FloatArray, IntArray
from sudare.core.scores import Scale
from sudare.core.seeds import generator
from sudare.releases.kinds import LabelsView, View

if TYPE_CHECKING:
    from jaxtyping import Bool, Float, Int

_STARTS = 5
_BISECTIONS = 7
_HALVINGS = 6
_DIRECTIONS = 20
_RADIUS = 0.1
_BLOCK = 64
_LEVELS = 255.0
_MOST_VALUES = 2**25
"""Directions held at once, as numbers: 256 MiB."""


class BoundaryDistance(Signal[LabelsView]):
    """Euclidean distance to the nearest found image that gets another answer, of pixels in 0 to 1.

    Members tend to lie farther from the boundary. An image that is answered wrongly is at
    distance 0; one for which no other answer is found is at the largest distance there is. The
    search is HopSkipJump, for all images at once, with questions of 8 bits a pixel, which is
    what a served classifier takes. Directions are the same for every build, so that builds and
    not the search differ.

    Attributes:
        budget: Questions about each image, at most.

    Source:
        Chen, Jordan and Wainwright 2020, "HopSkipJumpAttack", algorithm 2; as a membership
        signal: Choquette-Choo et al. 2021, "Label-only membership inference attacks".
    """

    name: ClassVar[str] = "boundary"
    scale: ClassVar[Scale] = Scale.DISTANCE
    view: ClassVar[type[View]] = LabelsView
    expensive: ClassVar[bool] = True

    budget: int = Field(default=300, ge=20, description="Questions about each image.")

    def _measure(
        self, view: LabelsView, images: ByteArray, labels: IntArray, seed: int
    ) -> FloatArray:
        rng = generator(0, "boundary", self.budget)
        found = np.empty(len(images))
        for start in range(0, len(images), _BLOCK):
            rows = slice(start, start + _BLOCK)
            search = _Search.of(view, images[rows], labels[rows], self.budget)
            found[rows] = search.run(images, labels, rng)
        return found[:, None]


@dataclass(kw_only=True, eq=False)
class _Search:
    """Some images, and the nearest image with another answer found so far for each.

    Attributes:
        view: Who answers.
        shape: Channels, height and width.
        labels: ``int64 [n]``.
        origin: ``float64 [n, d]``, pixels in 0 to 1.
        edge: ``float64 [n, d]``, an image on the far side; NaN until there is one.
        best: ``float64 [n]``, its distance when it was nearest.
        spent: ``int64 [n]``, questions so far.
        budget: Questions at most.
    """

    view: LabelsView
    shape: tuple[int, ...]
    labels: Int[IntArray, " n"]
    origin: Float[FloatArray, "n d"]
    edge: Float[FloatArray, "n d"]
    best: Float[FloatArray, " n"]
    spent: Int[IntArray, " n"]
    budget: int

    @classmethod
    def of(cls, view: LabelsView, images: ByteArray, labels: IntArray, budget: int) -> _Search:
        origin = images.reshape(len(images), -1) / _LEVELS
        n, d = origin.shape
        return cls(
            view=view,
            shape=images.shape[1:],
            labels=labels,
            origin=origin,
            edge=np.full((n, d), np.nan),
            best=np.full(n, np.sqrt(d)),
            spent=np.zeros(n, dtype=np.int64),
            budget=budget,
        )

    def run(
        self, images: ByteArray, labels: IntArray, rng: np.random.Generator
    ) -> Float[FloatArray, " n"]:
        """The distance of each image; starts are ``images`` of another class, nearest first."""
        every = np.arange(len(self.labels))
        wrong = self._other(every, self.origin)
        self.best[wrong] = 0.0
        rows = self._start(every[~wrong], images, labels, rng)
        self._bisect(rows, self.edge[rows])
        step = 1
        while len(rows):
            directions = round(_DIRECTIONS * step**0.5)
            needed = directions + _HALVINGS + _BISECTIONS
            rows = rows[self.spent[rows] + needed <= self.budget]
            # Some images at a time: directions of large ones do not fit all at once.
            for some in np.array_split(every, self._parts(directions)):
                # Every image draws, so that one that stopped changes no other's directions.
                drawn = rng.standard_normal((len(some), directions, self.origin.shape[1]))
                mine = rows[np.isin(rows, some)]
                if len(mine):
                    self._hop(mine, drawn[mine - some[0]], step)
            step += 1
        return self.best

    def _parts(self, directions: int) -> int:
        """Into how many parts the images go, for their directions to fit in memory."""
        values = directions * self.origin.size
        return int(min(len(self.origin), -(-values // _MOST_VALUES)))

    def _other(self, rows: IntArray, points: FloatArray) -> Bool[BoolArray, " k"]:
        """Whether each point gets another answer than its image's class."""
        if not len(rows):
            return np.zeros(0, dtype=bool)
        np.add.at(self.spent, rows, 1)
        questions = np.rint(points * _LEVELS).astype(np.uint8)
        answers = self.view.labels(questions.reshape(len(points), *self.shape))
        other: BoolArray = answers != self.labels[rows]
        return other

    def _start(
        self, rows: IntArray, images: ByteArray, labels: IntArray, rng: np.random.Generator
    ) -> IntArray:
        """Rows for which a point with another answer was found; it is in ``edge``."""
        flat = images.reshape(len(images), -1) / _LEVELS
        distance = np.stack([np.linalg.norm(one - flat, axis=1) for one in self.origin])
        distance[self.labels[:, None] == labels[None]] = np.inf
        order = np.argsort(distance, axis=1, kind="stable")
        noise = rng.random((_STARTS, self.origin.shape[1]))
        for attempt in range(2 * _STARTS):
            waiting = rows[np.isnan(self.edge[rows, 0])]
            waiting = waiting[self.spent[waiting] + _BISECTIONS < self.budget]
            if not len(waiting):
                break
            if attempt % 2:
                points = np.repeat(noise[attempt // 2][None], len(waiting), axis=0)
            else:
                points = flat[order[waiting, min(attempt // 2, len(flat) - 1)]]
            found = self._other(waiting, points)
            self.edge[waiting[found]] = self._rounded(points[found])
        started: IntArray = rows[~np.isnan(self.edge[rows, 0])]
        return started

    def _bisect(self, rows: IntArray, far: FloatArray) -> None:
        """Move towards each image as long as the answer stays another one."""
        near, beyond = np.zeros(len(rows)), np.ones(len(rows))
        edge = far.copy()
        for _ in range(_BISECTIONS):
            middle = (near + beyond) / 2
            points = self.origin[rows] + middle[:, None] * (far - self.origin[rows])
            other = self._other(rows, points)
            edge[other] = self._rounded(points[other])
            near, beyond = np.where(other, near, middle), np.where(other, middle, beyond)
        self.edge[rows] = edge
        self.best[rows] = np.minimum(
            self.best[rows], np.linalg.norm(edge - self.origin[rows], axis=1)
        )

    def _hop(self, rows: IntArray, directions: FloatArray, step: int) -> None:
        """Estimate the normal of the boundary, move along it, come back towards the image."""
        edge, origin = self.edge[rows], self.origin[rows]
        distance = np.linalg.norm(edge - origin, axis=1)
        # Below one level a pixel, rounding would hide the direction.
        radius = np.maximum(_RADIUS * distance, np.sqrt(edge.shape[1]) / _LEVELS)
        length = np.linalg.norm(directions, axis=2, keepdims=True)
        probes = edge[:, None] + radius[:, None, None] * directions / length
        probes = self._rounded(np.clip(probes, 0, 1))
        count = probes.shape[1]
        other = self._other(np.repeat(rows, count), probes.reshape(-1, edge.shape[1]))
        sign = np.where(other.reshape(len(rows), count), 1.0, -1.0)
        mean = sign.mean(axis=1, keepdims=True)
        # Centring halves the variance, unless every answer was the same.
        weights = np.where(np.abs(mean) < 1, sign - mean, sign)
        normal = np.einsum("ij,ijd->id", weights, probes - edge[:, None])
        normal /= np.maximum(np.linalg.norm(normal, axis=1, keepdims=True), 1e-12)
        reach = distance / step**0.5
        waiting = np.arange(len(rows))
        moved = edge.copy()
        for _ in range(_HALVINGS):
            points = np.clip(edge[waiting] + reach[waiting, None] * normal[waiting], 0, 1)
            found = self._other(rows[waiting], points)
            moved[waiting[found]] = self._rounded(points[found])
            waiting = waiting[~found]
            reach[waiting] /= 2
            if not len(waiting):
                break
        self._bisect(rows, moved)

    @staticmethod
    def _rounded(points: FloatArray) -> FloatArray:
        values: FloatArray = np.rint(points * _LEVELS) / _LEVELS
        return values
