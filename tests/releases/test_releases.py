import hashlib
import json
import os

import numpy as np
import pytest
import torch
from safetensors.torch import save

from sudare import nets
from sudare.core.errors import AuditError, ReleaseError
from sudare.core.threats import ThreatModel
from sudare.nets import NetConfig
from sudare.nets.normalisation import normalise
from sudare.recipients.train import recipe_for
from sudare.releases.card import Card, FileEntry
from sudare.releases.kinds import (
    CachedLogits,
    ClassifierRelease,
    ClassifierSpec,
    LabelsView,
    LogitsView,
    SamplesRelease,
    SamplesSpec,
)
from sudare.releases.store import read_card, read_release, write_release
from sudare.training import Recipe
from sudare.training.loop import TrainingData

NET = NetConfig(name="mlp", width=4)


def card(kind, **values):
    given = {
        "kind": kind,
        "route": "plain",
        "title": "A test",
        "what_leaves": "A test release.",
        "class_names": ("a", "b"),
        "image_shape": (1, 8, 8),
        "spec": ClassifierSpec(net=NET) if kind == "classifier" else SamplesSpec(),
    }
    return Card(**{**given, **values})


@pytest.fixture
def classifier():
    net = nets.build(NET, image_shape=(1, 8, 8), n_classes=2, seed=0)
    return ClassifierRelease(card=card("classifier"), state=dict(net.state_dict()))


@pytest.fixture
def samples():
    rng = np.random.default_rng(0)
    return SamplesRelease(
        card=card("samples"),
        images=rng.integers(0, 255, size=(6, 1, 8, 8), dtype=np.uint8),
        soft_labels=np.full((6, 2), 0.5, dtype=np.float32),
    )


def rewrite_card(folder, **values):
    path = folder / "release.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **values}))


def test_a_classifier_survives_writing_and_reading(classifier, tmp_path):
    write_release(classifier, tmp_path / "r")
    again = read_release(tmp_path / "r")
    images = np.random.default_rng(0).integers(0, 255, size=(5, 1, 8, 8), dtype=np.uint8)
    one = classifier.expose(ThreatModel.CLASSIFIER_LOGITS).logits(images)
    two = again.expose(ThreatModel.CLASSIFIER_LOGITS).logits(images)
    np.testing.assert_array_equal(one, two)
    assert sorted(p.name for p in (tmp_path / "r").iterdir()) == [
        "README.md",
        "release.json",
        "tensors.safetensors",
    ]


def test_a_sample_set_survives_writing_and_reading(samples, tmp_path):
    write_release(samples, tmp_path / "r")
    again = read_release(tmp_path / "r")
    np.testing.assert_array_equal(again.images, samples.images)
    np.testing.assert_array_equal(again.soft_labels, samples.soft_labels)


def test_a_label_only_attacker_cannot_touch_logits(classifier):
    view = classifier.expose(ThreatModel.CLASSIFIER_LABELS)
    assert isinstance(view, LabelsView)
    assert not hasattr(view, "logits")
    assert not isinstance(view, LogitsView)


def test_a_threat_model_of_another_kind_is_refused(classifier, samples):
    with pytest.raises(AuditError, match="samples/set"):
        classifier.expose(ThreatModel.SAMPLES_SET)
    with pytest.raises(AuditError, match="classifier/logits"):
        samples.expose(ThreatModel.CLASSIFIER_LOGITS)


def test_an_existing_folder_is_never_overwritten(classifier, tmp_path):
    write_release(classifier, tmp_path / "r")
    with pytest.raises(ReleaseError, match="exists"):
        write_release(classifier, tmp_path / "r")


def tamper_extra(folder):
    (folder / "extra.pkl").write_bytes(b"x")


def tamper_symlink(folder):
    (folder / "README.md").unlink()
    os.symlink("/etc/passwd", folder / "README.md")


def tamper_folder(folder):
    (folder / "inner").mkdir()


def tamper_missing(folder):
    (folder / "README.md").unlink()


def tamper_size(folder):
    with (folder / "tensors.safetensors").open("ab") as file:
        file.write(b"0")


def tamper_content(folder):
    path = folder / "README.md"
    path.write_text(path.read_text().replace("A test", "B test"))


def tamper_schema(folder):
    rewrite_card(folder, schema="sudare.release/9")


def tamper_field(folder):
    rewrite_card(folder, surprise=1)


def tamper_no_card(folder):
    (folder / "release.json").unlink()


def tamper_huge_card(folder):
    (folder / "release.json").write_text(" " * (2**20 + 1))


def tamper_net(folder):
    rewrite_card(folder, spec={"net": {"name": "mlp", "width": 5, "depth": None}})


def tamper_classes(folder):
    rewrite_card(folder, class_names=["a", "b", "c"])


def tamper_kind(folder):
    rewrite_card(folder, kind="samples", spec={})


@pytest.mark.parametrize(
    ("tamper", "says"),
    [
        (tamper_extra, r"'extra\.pkl' is not listed"),
        (tamper_symlink, "symbolic link"),
        (tamper_folder, "not a plain file"),
        (tamper_missing, r"'README\.md' is missing"),
        (tamper_size, "the card says"),
        (tamper_content, "is not the file the card lists"),
        (tamper_schema, r"schema 'sudare\.release/9'"),
        (tamper_field, "the card is not valid: surprise"),
        (tamper_no_card, r"there is no release\.json"),
        (tamper_huge_card, "larger than 1 MiB"),
        (tamper_net, "weights do not fit the net"),
        (tamper_classes, "weights do not fit the net"),
        (tamper_kind, "unexpected tensors"),
    ],
)
def test_a_release_that_is_not_what_it_says_is_refused(classifier, tmp_path, tamper, says):
    folder = tmp_path / "r"
    write_release(classifier, folder)
    tamper(folder)
    with pytest.raises(ReleaseError, match=says):
        read_release(folder)


@pytest.mark.parametrize("name", ["../up", "/etc/passwd", "a/b", "", "setup.py", "model.pkl"])
def test_other_files_than_the_two_a_release_has_are_refused(name):
    with pytest.raises(ValueError, match=r"tensors\.safetensors"):
        FileEntry(name=name, bytes=1, sha256="0" * 64)


def test_tensors_that_are_no_safetensors_are_refused_and_not_run(classifier, tmp_path):
    import pickle

    folder, marker = tmp_path / "r", tmp_path / "ran"
    write_release(classifier, folder)

    class Bomb:
        def __reduce__(self):
            return os.system, (f"touch {marker}",)

    (folder / "tensors.safetensors").write_bytes(pickle.dumps(Bomb()))
    files = json.loads((folder / "release.json").read_text())["files"]
    from sudare.core.hashing import hash_file

    for entry in files:
        path = folder / entry["name"]
        entry.update(bytes=path.stat().st_size, sha256=hash_file(path))
    rewrite_card(folder, files=files)
    with pytest.raises(ReleaseError, match="tensors cannot be read"):
        read_release(folder)
    assert not marker.exists()


def test_weights_that_are_not_finite_are_refused(classifier, tmp_path):
    state = {name: value.clone() for name, value in classifier.state.items()}
    next(iter(state.values()))[0] = torch.nan
    write_release(ClassifierRelease(card=classifier.card, state=state), tmp_path / "r")
    with pytest.raises(ReleaseError, match="NaN"):
        read_release(tmp_path / "r")


def test_soft_labels_that_are_no_distribution_are_refused(samples, tmp_path):
    wrong = SamplesRelease(
        card=samples.card, images=samples.images, soft_labels=samples.soft_labels * 3
    )
    with pytest.raises(ReleaseError, match="not distributions"):
        write_release(wrong, tmp_path / "r")


def test_a_card_is_read_without_loading_tensors(classifier, tmp_path):
    write_release(classifier, tmp_path / "r")
    found = read_card(tmp_path / "r")
    assert found.title == "A test"
    assert {entry.name for entry in found.files} == {"README.md", "tensors.safetensors"}


@pytest.mark.parametrize("text", ["red\x1b[31m", "two\nlines", "turned \u202eround", "\x9b2J"])
def test_a_card_that_could_act_on_a_terminal_is_refused(classifier, tmp_path, text):
    write_release(classifier, tmp_path / "r")
    rewrite_card(tmp_path / "r", title=text)
    with pytest.raises(ReleaseError, match="a character that is not for print"):
        read_card(tmp_path / "r")
    rewrite_card(tmp_path / "r", title="plain", settings={text: "1"})
    with pytest.raises(ReleaseError, match="a character that is not for print"):
        read_card(tmp_path / "r")


def test_what_a_refused_card_says_is_spelled_out(classifier, tmp_path):
    write_release(classifier, tmp_path / "r")
    rewrite_card(tmp_path / "r", **{"red\x1b[31m": 1})
    with pytest.raises(ReleaseError, match=r"red\\x1b\[31m") as refused:
        read_card(tmp_path / "r")
    assert "\x1b" not in str(refused.value)


def test_a_card_no_reader_would_take_is_not_written(classifier, tmp_path):
    odd = classifier.with_card(card("classifier", class_names=("a", "b\n")))
    with pytest.raises(ReleaseError, match="a character that is not for print"):
        write_release(odd, tmp_path / "r")
    assert not (tmp_path / "r").exists()


def test_scripts_that_need_joiners_may_name_classes(classifier, tmp_path):
    names = ("\u0645\u06cc\u200c\u0634\u0648\u062f", "b")
    write_release(classifier.with_card(card("classifier", class_names=names)), tmp_path / "r")
    assert read_card(tmp_path / "r").class_names == names


def replace_tensors(folder, tensors):
    data = save(tensors)
    (folder / "tensors.safetensors").write_bytes(data)
    described = json.loads((folder / "release.json").read_text())
    for entry in described["files"]:
        if entry["name"] == "tensors.safetensors":
            entry |= {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}
    (folder / "release.json").write_text(json.dumps(described))


@pytest.mark.parametrize("kind", [torch.bfloat16, torch.int32])
def test_tensors_of_another_type_are_refused(classifier, samples, tmp_path, kind):
    write_release(samples, tmp_path / "s")
    images = samples.tensors()["images"].to(kind)
    replace_tensors(tmp_path / "s", {**samples.tensors(), "images": images})
    with pytest.raises(ReleaseError, match="not uint8, float32 or float16"):
        read_release(tmp_path / "s")
    write_release(classifier, tmp_path / "c")
    replace_tensors(
        tmp_path / "c", {name: value.to(kind) for name, value in classifier.tensors().items()}
    )
    with pytest.raises(ReleaseError, match=str(kind)):
        read_release(tmp_path / "c")


def test_others_may_open_a_release_whatever_the_mask(classifier, tmp_path):
    mask = os.umask(0o077)
    try:
        write_release(classifier, tmp_path / "r")
    finally:
        os.umask(mask)
    assert {path.stat().st_mode & 0o777 for path in (tmp_path / "r").iterdir()} == {0o644}
    assert (tmp_path / "r").stat().st_mode & 0o777 == 0o755


def real_set(dtype, **spec):
    rng = np.random.default_rng(0)
    return SamplesRelease(
        card=card("samples", spec=SamplesSpec(mean=(0.4,), std=(0.2,), **spec)),
        images=rng.normal(size=(6, 1, 8, 8)).astype(dtype),
        soft_labels=np.full((6, 2), 0.5, dtype=np.float32),
    )


@pytest.mark.parametrize("dtype", [np.float32, np.float16])
def test_images_of_real_numbers_survive_and_are_told_in_grey_levels(tmp_path, dtype):
    release = real_set(dtype)
    write_release(release, tmp_path / "r")
    again = read_release(tmp_path / "r")
    assert again.images.dtype == dtype
    np.testing.assert_array_equal(again.images, release.images)
    expected = (release.images.astype(np.float64) * 0.2 + 0.4) * 255
    np.testing.assert_allclose(again.levels(), expected, atol=1e-3)
    seen = again.expose(ThreatModel.SAMPLES_SET)
    assert seen.pixels().dtype == np.uint8
    np.testing.assert_allclose(seen.pixels(), np.clip(np.rint(expected), 0, 255), atol=1)


@pytest.mark.parametrize("value", [np.nan, np.inf, 1e5])
def test_images_far_from_any_picture_are_refused(tmp_path, value):
    release = real_set(np.float32)
    release.images[0, 0, 0, 0] = value
    with pytest.raises(ReleaseError, match="far from any picture"):
        write_release(release, tmp_path / "r")


def test_a_normalisation_of_other_channels_is_refused(tmp_path):
    release = real_set(np.float32)
    odd = release.with_card(card("samples", spec=SamplesSpec(mean=(0.4, 0.4), std=(0.2, 0.2))))
    with pytest.raises(ReleaseError, match="does not fit 1 channels"):
        write_release(odd, tmp_path / "r")


def test_half_precision_weights_are_widened(classifier, tmp_path):
    state = {name: value.half() for name, value in classifier.state.items()}
    write_release(ClassifierRelease(card=classifier.card, state=state), tmp_path / "r")
    again = read_release(tmp_path / "r")
    assert {value.dtype for value in again.state.values()} == {torch.float32}


def test_a_card_of_another_kind_is_not_written(samples, tmp_path):
    odd = samples.with_card(card("classifier"))
    with pytest.raises(ReleaseError, match="not that of a samples"):
        write_release(odd, tmp_path / "r")


@pytest.mark.parametrize("kind", ["sorcery", "Classifier", "", "a" * 60])
def test_a_kind_nobody_knows_is_refused(classifier, tmp_path, kind):
    write_release(classifier, tmp_path / "r")
    rewrite_card(tmp_path / "r", kind=kind)
    with pytest.raises(ReleaseError, match="the card is not valid"):
        read_release(tmp_path / "r")


def test_recipients_follow_the_recipe_of_the_card():
    own = Recipe(steps=300, lr=0.05)
    training_set = real_set(np.float32, recipe={"lr": 0.01, "epochs": 7}).training_set()
    followed = recipe_for(training_set, own)
    assert (followed.lr, followed.epochs, followed.steps) == (0.01, 7, 300)
    with pytest.raises(ReleaseError, match="recipe is not valid: lr"):
        recipe_for(real_set(np.float32, recipe={"lr": -1}).training_set(), own)
    with pytest.raises(ReleaseError, match="recipe is not valid: shell"):
        recipe_for(real_set(np.float32, recipe={"shell": "rm"}).training_set(), own)


def test_training_on_real_numbers_sees_exactly_what_was_released():
    """Grey levels are not rounded on the way: the net gets the values in its own units."""
    release = real_set(np.float32)
    data = TrainingData.of(release.levels(), release.soft_labels, device="cpu")
    seen = normalise(data.images).numpy()
    expected = (release.images * 0.2 + 0.4 - 0.5) / 0.25
    np.testing.assert_allclose(seen, expected, atol=1e-5)


class Counting(torch.nn.Module):
    """Sums of pixels, and how many images it was shown."""

    seen = 0

    def forward(self, images):
        self.seen += len(images)
        left = images[..., :4].sum(dim=(1, 2, 3))
        return torch.stack([left, -images.sum(dim=(1, 2, 3))], dim=1)


def test_a_net_sees_an_array_once_and_answers_as_if_asked_anew():
    images = np.random.default_rng(0).integers(0, 255, size=(5, 1, 8, 8), dtype=np.uint8)
    net = Counting()
    view, plain = CachedLogits((net,), "cpu"), LogitsView((Counting(),), "cpu")
    for _ in range(3):
        # The mirrored image lies in the same memory and is another question.
        for asked in (images, images[:, :, :, ::-1], images[:2]):
            np.testing.assert_array_equal(view.logits(asked), plain.logits(asked))
    assert net.seen == 5 + 5 + 2
    assert not np.array_equal(view.logits(images), view.logits(images[:, :, :, ::-1]))
    with pytest.raises(ValueError, match="read-only"):
        view.logits(images)[0, 0, 0] = 1.0


def test_a_generator_of_pictures_beyond_all_measure_is_refused_before_one_is_drawn(tmp_path):
    """50 MB asked for 3.3 GB and more than a minute to show a contact sheet."""
    from sudare.nets.generator import Generator
    from sudare.releases.kinds.generator import GeneratorRelease, GeneratorSpec

    def made(side, images=20):
        card = Card(
            kind="generator",
            route="synthesis",
            title="t",
            what_leaves="w",
            class_names=("a", "b"),
            image_shape=(1, side, side),
            spec=GeneratorSpec(latent=4, width=4, sigma=1.0, images=images),
        )
        net = Generator((1, side, side), 2, latent=4, width=4)
        return card, net.state_dict()

    release = GeneratorRelease.from_tensors(*made(16))
    few = release.draw(np.arange(300) % 2, seed=3)
    # However much is computed at once, the seed gives the images.
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("sudare.releases.kinds.generator._AT_ONCE", 4 * 16 * 16 * 7)
        again = release.draw(np.arange(300) % 2, seed=3)
    assert np.abs(few.astype(int) - again).max() <= 1
    with pytest.raises(ReleaseError, match="images of 1,024 pixels a side"):
        GeneratorRelease.from_tensors(*made(1024))
    with pytest.raises(ReleaseError, match=r"GiB to train on; at most"):
        GeneratorRelease.from_tensors(*made(256, images=200_000))
