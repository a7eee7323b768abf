import json
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from sudare.cli.data import app
from sudare.core.errors import DataError
from tests.data.makers import write_folder


@pytest.fixture
def run(capsys, tmp_path, monkeypatch):
    monkeypatch.setenv("SUDARE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("COLUMNS", "120")

    def call(*words):
        app([str(word) for word in words], result_action="return_value")
        return capsys.readouterr()

    return call


def test_list_says_what_is_at_hand_and_how_to_get_the_rest(run):
    lines = {line.split()[0]: line for line in run("list").out.splitlines() if line.strip()}
    assert "CC BY 4.0" in lines["pneumonia"]
    assert lines["pneumonia"].rstrip().endswith("yes")
    assert lines["cifar10"].rstrip().endswith("fetch")
    assert "sudare data fetch NAME" in lines["fetch:"]
    assert {"digits", "mnist", "cifar100", "medmnist:bloodmnist", "FOLDER", "FILE.npz"} <= set(
        lines
    )


def test_describe_prints_counts_and_duplicates(run):
    out = run("describe", "pneumonia").out
    assert "5,856 (train 4,708, val 524, test 624)" in out
    assert "28 x 28 pixels, grey" in out
    row = next(line for line in out.splitlines() if line.strip().startswith("pneumonia "))
    assert row.split() == ["pneumonia", "3,883", "25", "390", "3"]


def test_describe_gives_json_and_nothing_else(run):
    found = json.loads(run("describe", "digits", "--json").out)
    assert found["splits"] == {"train": 1797}
    assert sum(found["parts"]["train"]["images"]) == 1797


def test_describe_writes_a_picture(run, tmp_path):
    path = tmp_path / "new" / "digits.png"
    assert f"Contact sheet: {path}" in run("describe", "digits", "--picture", path).out.replace(
        "\n", ""
    )
    with Image.open(path) as picture:
        assert picture.format == "PNG"


def test_a_picture_of_another_format_is_refused(run, tmp_path):
    with pytest.raises(DataError, match="a contact sheet is a PNG file"):
        run("describe", "digits", "--picture", tmp_path / "digits.pdf")


def test_describe_reads_a_folder_whose_class_is_named_like_markup(run, tmp_path):
    root = write_folder(tmp_path / "pets", np.random.default_rng(0), classes=("[red]cat", "dog"))
    out = run("describe", root, "--image-size", "8").out
    assert "[red]cat" in out
    assert "8 x 8 pixels, grey" in out


def test_fetch_says_that_a_bundled_source_is_at_hand(run):
    assert "digits: 1,797 images, were at hand already." in run("fetch", "digits").out


def test_fetch_without_a_connection_says_what_to_put_where(run, tmp_path, monkeypatch):
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:9")
    with pytest.raises(DataError, match="by hand") as caught:
        run("fetch", "cifar10")
    assert str(tmp_path / "cache" / "downloads" / "cifar-10-binary.tar.gz") in caught.value.fix


@pytest.mark.parametrize("command", ["list", "describe", "fetch"])
def test_help_teaches_with_an_example(run, command):
    out = " ".join(run(command, "--help").out.split())
    assert f"For example: sudare data {command}" in out


def test_the_module_itself_imports_no_array_library():
    code = (
        "import sys, sudare, sudare.core.errors; before = set(sys.modules); import sudare.cli.data;"
        "new = {name.partition('.')[0] for name in set(sys.modules) - before};"
        "sys.exit(bool(new & {'torch', 'sklearn', 'scipy', 'PIL', 'pandas'}))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
