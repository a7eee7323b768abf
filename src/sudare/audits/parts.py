"""The parts of a run's collection: pool, public, population, test; fitted to what there is."""

from __future__ import annotations

from dataclasses import replace

from sudare.audits.config import DataConfig, RunConfig
from sudare.core.progress import Progress
from sudare.core.seeds import integer_seed
from sudare.data import ImageDataset, concatenate
from sudare.data.sources import Source, load_source
from sudare.data.sources.registry import is_named
from sudare.data.splits import AuditSplit, SplitSizes, few_of_each, make_split

_OWN = "own images"
_LEAST_POOL = 16


def split_of(config: RunConfig, *, progress: Progress) -> tuple[Source, AuditSplit]:
    """Load the collection and draw pool, public, population and test."""
    data = config.data
    source = load_source(data.source, image_size=data.image_size, progress=progress)
    for note in source.notes:
        progress.say(f"Note: {note}.")
    if not is_named(data.source):
        # The name of a folder or a file is private; it would go onto every card.
        name = data.name or _OWN
        source = replace(source, name=name, train=replace(source.train, name=name))
        if source.test is not None:
            source = replace(source, test=replace(source.test, name=name))
    sizes = SplitSizes(
        pool=data.pool,
        public=data.public,
        population=data.population,
        test=test_size(config, source),
    )
    if data.fit:
        sizes = fitted(sizes, source, progress=progress)
    split = make_split(
        source.train,
        source.test,
        sizes=sizes,
        seed=integer_seed(config.seed, "split"),
        auxiliary_classes=data.auxiliary_classes,
        elsewhere=_elsewhere(data, progress),
    )
    if data.per_class is not None:
        split = replace(split, pool=few_of_each(split.pool, 2 * data.per_class, seed=config.seed))
    return source, split


def _elsewhere(data: DataConfig, progress: Progress) -> ImageDataset | None:
    """All images of the collection that was declared public; None where none was."""
    if not data.public_source:
        return None
    source = load_source(data.public_source, image_size=data.image_size, progress=progress)
    parts = [source.train] if source.test is None else [source.train, source.test]
    return concatenate(parts)


def fitted(sizes: SplitSizes, source: Source, *, progress: Progress) -> SplitSizes:
    """The parts in proportion, where the collection has fewer images than they ask for."""
    apart = sizes.test if source.test is None else 0
    wanted = sizes.pool + sizes.public + sizes.population + apart
    there = len(source.train)
    if wanted <= there:
        return sizes
    # The test set keeps its fifth (or what was asked for, up to that): a smaller one tells nothing.
    test = min(sizes.test, there // 5) if source.test is None else sizes.test
    left = there - (test if source.test is None else 0)
    share = left / (sizes.pool + sizes.population + sizes.public)
    population, public = (int(share * size) for size in (sizes.population, sizes.public))
    pool = left - population - public
    if pool < _LEAST_POOL:
        return sizes
    progress.say(
        f"{there:,} images where {wanted:,} are asked for, so in proportion: pool {pool:,} (--set "
        f"data.pool), population {population:,}, public {public:,}, test {test:,}."
    )
    return SplitSizes(pool=pool, public=public, population=population, test=test)


def test_size(config: RunConfig, source: Source) -> int:
    """Images for scoring: as asked for, else the official test set, else a fifth."""
    without = 0 if source.test is not None else len(source.train) // 5
    return config.data.test or without
