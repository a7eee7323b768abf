"""Who owns what: by unit, and the same whoever is a member of a build."""

from __future__ import annotations

import numpy as np

from sudare.core.arrays import IntArray
from sudare.core.errors import DataError
from sudare.core.seeds import generator, stable_hash
from sudare.data.images import ImageDataset
from sudare.routes.federation.config import partition_of

_FINE = 2**32


def silos_of(data: ImageDataset, *, clients: int, partition: str) -> IntArray:
    """The owner of each image, ``int64 [n]`` in ``range(clients)``.

    A collection's own column `silo` is used where it has one. Otherwise a unit's owner follows
    from its number and class alone: an image has the same owner in every build it is in, so that
    who owns what says nothing about who is a member.

    Args:
        data: Some or all images of a collection.
        clients: Number of owners.
        partition: ``iid``, ``dirichlet:ALPHA`` (a class's images go to owners in shares drawn from
            a Dirichlet distribution) or ``quantity:ALPHA`` (one such draw for all classes).

    Raises:
        DataError: The column names more owners than there are.
    """
    if data.silo is not None:
        if data.silo.min(initial=0) < 0 or data.silo.max(initial=0) >= clients:
            raise DataError(
                f"the column `silo` names {int(data.silo.max()) + 1} owners, the route {clients}",
                where=data.name,
                fix="Set routes.clients to their number.",
            )
        return data.silo.astype(np.int64)
    name, alpha = partition_of(partition)
    shares = np.full((data.n_classes, clients), 1 / clients)
    if name == "dirichlet":
        rows = [
            generator(0, "silos", label).dirichlet(np.full(clients, alpha))
            for label in range(data.n_classes)
        ]
        shares = np.stack(rows)
    elif name == "quantity":
        shares[:] = generator(0, "silos").dirichlet(np.full(clients, alpha))
    units, first, of_image = np.unique(data.unit, return_index=True, return_inverse=True)
    points = np.array([stable_hash("silo", int(unit))[0] for unit in units]) / _FINE
    ends = np.cumsum(shares, axis=1)[data.classes[first]]
    owners: IntArray = (points[:, None] >= ends[:, :-1]).sum(axis=1).astype(np.int64)
    return owners[of_image]
