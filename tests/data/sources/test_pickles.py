import contextlib
import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sudare.core.errors import DataError
from sudare.data.sources.pickles import load_plain
from tests.data.makers import python2


class Malicious:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return open, (str(self.path), "w")


def test_a_malicious_pickle_is_refused_by_name_and_not_run(tmp_path):
    target = tmp_path / "executed"
    content = pickle.dumps({"data": Malicious(target)})
    with pytest.raises(DataError, match=r"names (io|_io)\.open, which was not run"):
        load_plain(content, where="batch")
    assert not target.exists()
    # The oracle: the standard reader does run it.
    pickle.loads(content)["data"].close()
    assert target.exists()


@pytest.mark.parametrize(
    "named", ["os system", "builtins eval", "numpy load", "numpy.core.multiarray scalar"]
)
def test_every_other_name_is_refused(named):
    module, name = named.split()
    content = b"c" + f"{module}\n{name}\n".encode() + b"."
    with pytest.raises(DataError, match=f"names {module}.{name}, which was not run"):
        load_plain(content, where="batch")


@pytest.mark.parametrize("protocol", [2, 3, 4])
@pytest.mark.parametrize("order", ["C", "F"])
def test_arrays_written_today_are_read(protocol, order):
    array = np.asarray(np.arange(12, dtype=np.uint8).reshape(3, 4), order=order)
    value = {"data": array, "labels": [1, 2]}
    read = load_plain(pickle.dumps(value, protocol=protocol), where="batch")
    assert np.array_equal(read["data"], array)
    assert read["labels"] == [1, 2]


def test_arrays_written_by_python_2_are_read_as_numpy_reads_them():
    value = {"data": np.arange(6, dtype=np.uint8).reshape(2, 3), "label_names": ["cat"]}
    read, oracle = (
        load_plain(python2(value), where="x"),
        pickle.loads(python2(value), encoding="bytes"),
    )
    assert np.array_equal(read[b"data"], oracle[b"data"])
    assert read[b"label_names"] == oracle[b"label_names"] == [b"cat"]


def test_an_array_of_objects_is_refused():
    with pytest.raises(DataError, match="holds an array of 'O"):
        load_plain(pickle.dumps({"data": np.array([None])}, protocol=2), where="batch")


def test_a_pickle_of_something_else_is_refused():
    with pytest.raises(DataError, match="holds no dictionary"):
        load_plain(pickle.dumps([1]), where="batch")


@given(st.binary(max_size=60))
def test_random_bytes_give_a_data_error_or_a_dictionary(content):
    with contextlib.suppress(DataError):
        assert isinstance(load_plain(content, where="batch"), dict)


@given(st.data())
def test_a_changed_byte_gives_a_data_error_or_a_dictionary(data):
    content = bytearray(python2({"data": np.arange(8, dtype=np.uint8), "labels": [1, 2]}))
    position = data.draw(st.integers(0, len(content) - 1))
    content[position] = data.draw(st.integers(0, 255))
    with contextlib.suppress(DataError):
        assert isinstance(load_plain(bytes(content), where="batch"), dict)
