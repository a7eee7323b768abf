"""Arrays from outside: what their header promises is held against what is there."""

import io
import pickle

import numpy as np
import pytest

from sudare.core.archives import ArrayFile, array_of
from sudare.core.errors import DataError


def saved(array, **settings):
    buffer = io.BytesIO()
    np.save(buffer, array, **settings)
    return buffer.getvalue()


@pytest.mark.parametrize(
    "array",
    [
        np.arange(6, dtype=np.float32).reshape(2, 3),
        np.asfortranarray(np.arange(6).reshape(2, 3)),
        np.array(["a", "bc"]),
        np.zeros((0, 4)),
        np.float32(1.5),
    ],
)
def test_an_array_of_a_message_is_read_as_it_was_written(array):
    found = array_of(saved(array), "update")
    np.testing.assert_array_equal(found, array)
    assert found.dtype == np.asarray(array).dtype


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"PK\x03\x04",
        pickle.dumps([1]),
        saved(np.array([None]), allow_pickle=True),
        saved(np.zeros(4))[:-9],
        saved(np.zeros(4)).replace(b"(4,)", b"(9,)"),
        saved(np.zeros(4)).replace(b"(4,)", b"(-1,"),
        saved(np.zeros(4)).replace(b"'<f8'", b"'|V8'").replace(b"(4,)", b"(4, "),
    ],
)
def test_what_is_no_array_is_refused_without_a_word_of_its_content(content):
    with pytest.raises(DataError, match=r"^update is no array of numbers\.$"):
        array_of(content, "update")


def test_an_archive_is_refused_where_its_directory_promises_what_it_does_not_hold(tmp_path):
    path = tmp_path / "a.npz"
    np.savez(path, good=np.arange(3))
    file = ArrayFile(path)
    assert "good" in file
    np.testing.assert_array_equal(file["good"], [0, 1, 2])
    with pytest.raises(DataError, match="there is no array 'other'"):
        file["other"]
    np.savez(path, objects=np.array([None]))
    with pytest.raises(DataError, match="Python objects"):
        ArrayFile(path)["objects"]
    path.write_bytes(b"no archive")
    with pytest.raises(DataError, match="cannot be read"):
        ArrayFile(path)


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("code", [0x110000, 0xFFFFFFFF])
def test_text_with_characters_that_do_not_exist_is_refused(tmp_path, order, code):
    """Such a string is none: naming it in an error ended in a panic of the library below."""
    path = tmp_path / "x.npz"
    codes = np.array([ord("a"), code], dtype=f"{order}u4")
    np.savez(path, about=codes.view(f"{order}U2")[0:1])
    with pytest.raises(DataError, match="characters that do not exist"):
        ArrayFile(path)["about"]
    right = np.array([ord("a"), 0x10FFFF], dtype=f"{order}u4").view(f"{order}U2")
    np.savez(path, about=right)
    assert str(ArrayFile(path)["about"][0]) == "a\U0010ffff"
