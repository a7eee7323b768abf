"""Released images beside the images they are nearest to: on the internal page and nowhere else."""

import numpy as np
from PIL import Image

from sudare.attacks.near_copies import search
from sudare.audits.checks.copies import matched_pairs
from sudare.audits.pictures import close_pairs
from sudare.core.runs import ClosePair
from sudare.data.images import ImageDataset
from sudare.report import write_report

from .conftest import write_run


def pool_of(n=40):
    rng = np.random.default_rng(0)
    return ImageDataset(
        images=rng.integers(0, 256, size=(n, 1, 8, 8), dtype=np.uint8),
        labels=np.arange(n) % 2,
        class_names=("a", "b"),
        unit=np.arange(n),
    )


def test_pairs_are_the_closest_and_each_member_is_shown_once(tmp_path):
    pool, members = pool_of(), np.arange(40) < 20
    nudged = pool.images[3].astype(int) + 10
    released = np.stack([pool.images[25], pool.images[7], pool.images[7], nudged.clip(0, 255)])
    found = search(released.astype(np.uint8), pool.images)
    arrays = {
        f"near_pixels_{name}": getattr(found["pixels"], name)[None]
        for name in ("columns", "distances")
    }
    told = matched_pairs(arrays, 0, members)
    # The phantom, a copy of an image that was not used, comes last.
    assert told[-1][0] == 0
    pairs = close_pairs("subset", released.astype(np.uint8), pool, told, folder=tmp_path, count=2)
    assert [round(pair.to_member, 2) for pair in pairs] == [0.0, round(pairs[1].to_member, 2)]
    assert 0 < pairs[1].to_member < 0.4
    assert all(pair.to_other > pair.to_member for pair in pairs)
    with Image.open(tmp_path / pairs[0].picture) as opened:
        three = np.asarray(opened)
    assert three.shape == (8, 3 * 8 + 2)
    assert np.array_equal(three[:, :8], pool.images[7, 0])
    assert np.array_equal(three[:, 9:17], pool.images[7, 0])
    assert (three[:, 8] == 255).all()


def test_pairs_are_on_the_internal_page_only(tmp_path):
    folder = tmp_path / "run"
    picture = "internal/plain-pair-1.png"
    (folder / "internal").mkdir(parents=True)
    Image.fromarray(np.zeros((8, 26), dtype=np.uint8)).save(folder / picture)
    pair = ClosePair(release="plain", picture=picture, to_member=0.25, to_other=1.5)
    write_run(folder, pairs=(pair,))
    paths = write_report(folder)
    internal, public = (path.read_text() for path in (paths.internal, paths.public))
    assert 'id="pairs"' in internal
    assert "0.25 to the member, 1.50 to the other" in internal
    assert 'id="pairs"' not in public
    assert "nearest member" not in public


def test_a_run_without_sets_of_images_has_no_such_section(tmp_path):
    write_run(tmp_path / "run")
    assert 'id="pairs"' not in write_report(tmp_path / "run").internal.read_text()
