import pytest

from sudare.core.errors import ConfigError, DataError
from sudare.data.sources import CATALOGUE, SOURCES, at_hand, load_source


def test_every_named_source_has_a_loader_that_exists():
    assert set(CATALOGUE) <= set(SOURCES)
    for name in SOURCES:
        assert callable(SOURCES.load(name))


def test_an_unknown_name_lists_the_known_ones():
    with pytest.raises(ConfigError, match=r"'nothing' is neither a source nor a path.*pneumonia"):
        load_source("nothing")


def test_an_unknown_medmnist_set_lists_the_known_ones():
    with pytest.raises(ConfigError, match="medmnist:bloodmnist"):
        load_source("medmnist:nothing")


def test_a_file_of_another_format_is_refused(tmp_path):
    path = tmp_path / "images.mat"
    path.write_bytes(b"x")
    with pytest.raises(DataError, match=r"images\.mat is of no format that is read"):
        load_source(str(path))


def test_an_impossible_image_size_is_refused():
    with pytest.raises(ConfigError, match="an image size of 0 pixels"):
        load_source("digits", image_size=0)


def test_bundled_sources_are_at_hand_and_downloads_are_not(tmp_path):
    assert at_hand("digits", cache=tmp_path)
    assert at_hand("pneumonia", cache=tmp_path)
    assert not at_hand("cifar10", cache=tmp_path)
    with pytest.raises(DataError, match="there is no source called 'nothing'"):
        at_hand("nothing", cache=tmp_path)


@pytest.mark.parametrize("name", ["mnist", "cifar10", "cifar100", "svhn", "medmnist:bloodmnist"])
def test_without_a_connection_a_source_says_what_to_put_where(tmp_path, monkeypatch, name):
    # Every request goes to a proxy on a port of this machine where nothing listens.
    for scheme in ("http", "https"):
        monkeypatch.setenv(f"{scheme}_proxy", "http://127.0.0.1:9")
    with pytest.raises(DataError, match="could not be downloaded") as caught:
        load_source(name, cache=tmp_path)
    remote = CATALOGUE[name].remotes[0]
    assert caught.value.where == remote.url
    assert str(tmp_path / "downloads" / remote.name) in caught.value.fix
    assert remote.md5 in caught.value.fix
