"""A collection as a job asks for it: its shape, its classes in its order."""

from __future__ import annotations

import numpy as np

from sudare.core.errors import DataError
from sudare.data.images import ImageDataset
from sudare.routes.federation.job import Job

_PUBLIC = 400
"""Public images on which owners are valued."""


def for_the_job(data: ImageDataset, job: Job) -> ImageDataset:
    """An owner's images with the job's numbers of classes.

    Raises:
        DataError: Another shape, a class the job does not have, several labels, or no image.
    """
    if data.multi_label:
        raise DataError("a federation takes one class for each image", where=data.name)
    if data.image_shape != job.image_shape:
        raise DataError(
            f"images of shape {data.image_shape}, but the job's are {job.image_shape}",
            where=data.name,
            fix="Resize them with --image-size.",
        )
    if not len(data):
        raise DataError("there are no images", where=data.name)
    unknown = [name for name in data.class_names if name not in job.class_names]
    if unknown:
        raise DataError(
            f"the class {unknown[0]!r} is none of the job's",
            where=data.name,
            fix=f"The job's classes: {', '.join(job.class_names)}.",
        )
    numbers = np.array([job.class_names.index(name) for name in data.class_names])
    return ImageDataset(
        images=data.images,
        labels=numbers[data.classes],
        class_names=job.class_names,
        unit=data.unit,
        name=data.name,
        licence=data.licence,
    )


def public_part(data: ImageDataset, job: Job) -> ImageDataset:
    """The public images on which owners are valued."""
    return for_the_job(data, job)[:_PUBLIC]
