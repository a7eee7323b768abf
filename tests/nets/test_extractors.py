"""Fixed nets: real weights against labelled images, one result for an image, nothing trusted."""

import sys
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from pydantic import ValidationError

from sudare.core.errors import ConfigError, ReleaseError
from sudare.nets.extractors import ExtractorConfig, efficientnet
from sudare.nets.extractors.features import FeatureStore, embed, features_of, write_shard
from sudare.nets.extractors.make import make_extractor

RANDOM = ExtractorConfig(name="random-features", size_px=16)


def pixels(n=5, side=12, channels=1, seed=0):
    rng = np.random.default_rng(seed)
    return rng.integers(0, 256, size=(n, channels, side, side), dtype=np.uint8)


def test_efficientnet_knows_the_twenty_labelled_imagenet_images():
    (folder,) = find_spec("foolbox").submodule_search_locations
    files = sorted((Path(folder) / "data").glob("imagenet_*.jpg"))
    labels = torch.tensor([int(file.stem.split("_")[2]) for file in files])
    images = [
        Image.open(f).convert("RGB").resize((224, 224), Image.Resampling.BICUBIC) for f in files
    ]
    batch = torch.from_numpy(np.stack([np.asarray(i) for i in images])).permute(0, 3, 1, 2)
    net = make_extractor(ExtractorConfig(size_px=224)).backbone
    with torch.inference_mode():
        logits = net.logits((batch.float() - 127) / 128)
    assert len(files) == 20
    assert int((logits.argmax(dim=1) == labels).sum()) == 17
    assert bool((logits.topk(5).indices == labels[:, None]).any(dim=1).all())


def test_features_depend_on_the_image_alone():
    extractor, images = make_extractor(RANDOM), pixels(150)
    order = np.random.default_rng(1).permutation(150)
    whole = embed(extractor, images, device="cpu")
    assert np.array_equal(embed(extractor, images[order], device="cpu"), whole[order])
    assert np.array_equal(embed(extractor, images[:3], device="cpu"), whole[:3])


def test_an_extractor_never_trains_and_passes_gradients_to_the_pixels():
    extractor = make_extractor(ExtractorConfig(size_px=32)).train()
    assert not any(module.training for module in extractor.modules())
    assert not any(parameter.requires_grad for parameter in extractor.parameters())
    torch.manual_seed(0)
    images = torch.randn(2, 3, 32, 32, requires_grad=True)
    extractor(images).sum().backward()
    assert bool((images.grad != 0).any())


def test_the_fingerprint_tells_weights_and_sizes_apart():
    first, again = make_extractor(RANDOM), make_extractor(RANDOM)
    assert first.fingerprint == again.fingerprint
    other = make_extractor(RANDOM.model_copy(update={"size_px": 24}))
    assert other.fingerprint != first.fingerprint
    changed = make_extractor(RANDOM)
    changed.backbone.filters.filters += 1e-3
    assert changed.fingerprint != first.fingerprint
    with pytest.raises(ReleaseError, match="not the net the release was made with"):
        make_extractor(RANDOM, fingerprint="0" * 64)


def test_a_book_gives_what_was_computed_and_the_rest_is_computed(tmp_path):
    extractor, images = make_extractor(RANDOM), pixels(6)
    page = tmp_path / "page"
    page.mkdir()
    marked = embed(extractor, images[:4], device="cpu") + 1000
    write_shard(page, images[:4], marked)
    book = FeatureStore(tmp_path)
    found = features_of(extractor, images, book=book, device="cpu")
    assert np.array_equal(found[:4], marked)
    assert np.array_equal(found[4:], embed(extractor, images[4:], device="cpu"))
    # An image of another shape with the same bytes is another image.
    assert book.look_up(images[:1].reshape(1, 1, 6, 24)) == [None]


def test_no_images_have_no_features():
    assert embed(make_extractor(RANDOM), pixels(0), device="cpu").shape == (0, 512)


def test_a_model_of_transformers_is_read_from_a_folder(tmp_path):
    from transformers import ViTConfig, ViTModel

    config = ViTConfig(
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=16,
        image_size=32,
        patch_size=16,
    )
    ViTModel(config).save_pretrained(tmp_path)
    extractor = make_extractor(ExtractorConfig(name=f"transformers:{tmp_path}", size_px=32))
    assert embed(extractor, pixels(3), device="cpu").shape == (3, 16)


def test_a_model_that_is_not_at_hand_is_named_with_the_cure(monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    name = "transformers:/no/such/folder"
    with pytest.raises(ConfigError, match=r"no/such/folder.*neither.*\n?.*local folder"):
        make_extractor(ExtractorConfig(name=name))


def test_a_model_that_only_a_release_names_is_never_downloaded(monkeypatch):
    asked = []

    def spy(name, **settings):
        asked.append(settings["local_files_only"])
        raise OSError("no such model")

    monkeypatch.setattr("transformers.AutoModel.from_pretrained", spy)
    config = ExtractorConfig(name="transformers:somebody/large")
    with pytest.raises(ConfigError, match="named by a release alone"):
        make_extractor(config, fingerprint="0" * 64)
    with pytest.raises(ConfigError, match="could not be downloaded"):
        make_extractor(config, fingerprint="0" * 64, trusted=config)
    assert asked == [True, False]


def test_without_the_weights_the_cure_is_named(monkeypatch):
    monkeypatch.setattr(efficientnet, "find_spec", lambda name: None)
    with pytest.raises(ConfigError, match=r"sudare\[features\]"):
        make_extractor(ExtractorConfig())


@pytest.fixture
def own_code(tmp_path, monkeypatch):
    (tmp_path / "own_net.py").write_text(
        "import torch\n"
        "def flat(): return torch.nn.Flatten()\n"
        "def maps(): return torch.nn.Identity()\n"
        "def number(): return 3\n"
        "open('ran', 'w').close()\n"
    )
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    yield tmp_path
    sys.modules.pop("own_net", None)


def test_code_of_the_users_own_is_an_extractor(own_code):
    extractor = make_extractor(ExtractorConfig(name="code:own_net:flat", size_px=8))
    images = pixels(2, side=8, channels=3)
    assert np.allclose(embed(extractor, images, device="cpu"), images.reshape(2, -1) / 255)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("code:own_net:maps", "not one vector each"),
        ("code:own_net:number", "no torch module"),
        ("code:own_net:missing", "cannot be imported"),
        ("code:no_such_module:x", "cannot be imported"),
    ],
)
def test_code_that_is_no_extractor_is_refused(own_code, name, said):
    with pytest.raises(ConfigError, match=said):
        make_extractor(ExtractorConfig(name=name, size_px=8))


def test_a_release_cannot_name_code_that_then_runs(own_code):
    config = ExtractorConfig(name="code:own_net:flat", size_px=8)
    with pytest.raises(ReleaseError, match="asks to import"):
        make_extractor(config, fingerprint="0" * 64)
    assert not (own_code / "ran").exists()
    # Whoever names it themselves gets it, and it must still be the same net.
    with pytest.raises(ReleaseError, match="not the net"):
        make_extractor(config, fingerprint="0" * 64, trusted=config)


@pytest.mark.parametrize("name", ["resnet99", "code:only_a_module", "code:a:b:c"])
def test_names_that_mean_nothing_are_refused(name):
    with pytest.raises(ValidationError):
        ExtractorConfig(name=name)


def tiny_vit():
    from transformers import ViTConfig

    return ViTConfig(
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=16,
        image_size=16,
        patch_size=8,
        num_labels=3,
    )


def test_a_classifier_without_a_pooler_gives_the_same_features_at_each_load(tmp_path):
    """Its pooled output came from weights that were drawn anew at every load."""
    from transformers import ViTForImageClassification

    torch.manual_seed(0)
    ViTForImageClassification(tiny_vit()).save_pretrained(tmp_path)
    config = ExtractorConfig(name=f"transformers:{tmp_path}", size_px=16)
    one, two = (embed(make_extractor(config), pixels(2), device="cpu") for _ in range(2))
    assert np.array_equal(one, two)


def test_of_clip_the_part_that_sees_is_used(tmp_path):
    from transformers import CLIPConfig, CLIPModel

    small = {
        "hidden_size": 16,
        "num_hidden_layers": 1,
        "num_attention_heads": 2,
        "intermediate_size": 16,
    }
    config = CLIPConfig(
        vision_config={**small, "image_size": 16, "patch_size": 8},
        text_config={**small, "vocab_size": 20, "eos_token_id": 1, "bos_token_id": 0},
        projection_dim=8,
    )
    CLIPModel(config).save_pretrained(tmp_path)
    extractor = make_extractor(ExtractorConfig(name=f"transformers:{tmp_path}", size_px=16))
    assert embed(extractor, pixels(2), device="cpu").shape == (2, 16)
