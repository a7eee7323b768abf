"""What is kept between runs carries its checksum; children end with their parent."""

import json
import os
import signal
import subprocess
import sys
import time

import pytest
import torch

from sudare.core.errors import DataError
from sudare.core.kept import keep_tensor, keep_values, kept_tensor, kept_values
from sudare.core.strict_json import read_json


@pytest.mark.parametrize(
    "tensor", [torch.randn(3, 4), torch.zeros(0), torch.arange(5), torch.tensor(1.5)]
)
def test_a_kept_tensor_is_read_as_it_was_written(tmp_path, tensor):
    keep_tensor(tmp_path / "x.safetensors", tensor)
    found = kept_tensor(tmp_path / "x.safetensors")
    assert torch.equal(found, tensor)
    assert found.dtype == tensor.dtype
    assert (tmp_path / "x.safetensors").stat().st_mode & 0o077 == 0


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\xff" * 8,
        b"\x02\0\0\0\0\0\0\0{}",
        b"\x04\0\0\0\0\0\0\0nope",
        b'\x0f\0\0\0\0\0\0\0{"__metadata__"}',
    ],
)
def test_what_is_no_kept_tensor_is_said_so(tmp_path, content):
    (tmp_path / "x").write_bytes(content)
    with pytest.raises(DataError, match="a kept answer is damaged"):
        kept_tensor(tmp_path / "x")


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"values": 3}', '{"values": {"a": 2.0}}'])
def test_what_are_no_kept_values_is_said_so(tmp_path, text):
    (tmp_path / "x").write_text(text)
    with pytest.raises(DataError, match="a kept answer is damaged"):
        kept_values(tmp_path / "x")


def test_a_kept_value_that_was_changed_is_damaged(tmp_path):
    path = tmp_path / "x"
    keep_values(path, {"a": 1.25, "b": 0.1})
    assert kept_values(path) == {"a": 1.25, "b": 0.1}
    path.write_text(path.read_text().replace("1.25", "1.26"))
    with pytest.raises(DataError, match="damaged"):
        kept_values(path)


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM, signal.SIGHUP])
def test_a_child_ends_with_its_parent_however_it_ends(tmp_path, how):
    child = (
        "import time\nfrom sudare.core.parents import end_with_parent\n"
        "end_with_parent()\nprint('up', flush=True)\ntime.sleep(120)\n"
    )
    parent = (
        "import subprocess, sys, time\nfrom sudare.core.parents import started_child\n"
        f"p = started_child([sys.executable, '-c', {child!r}], stdout=subprocess.PIPE)\n"
        "p.stdout.readline()\nprint(p.pid, flush=True)\ntime.sleep(120)\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", parent], stdout=subprocess.PIPE, text=True
    ) as process:
        pid = int(process.stdout.readline())
        os.kill(pid, 0)
        process.send_signal(how)
        process.wait()
    for _ in range(100):
        state = subprocess.run(
            ["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True, check=False
        ).stdout.strip()
        if not state or state.startswith("Z"):
            break
        time.sleep(0.1)
    assert not state or state.startswith("Z")


def test_json_from_elsewhere_says_a_name_once():
    assert read_json('{"a": [1, {"b": null}]}') == {"a": [1, {"b": None}]}
    for text, said in (
        ('{"a": 1, "a": 2}', "'a' stands twice"),
        ('[{"x": {"b": 1, "b": 1}}]', "'b' stands twice"),
        ('{"a": NaN}', "NaN is no number"),
        ("{", "Expecting"),
    ):
        with pytest.raises(ValueError, match=said):
            read_json(text)
    assert json.loads('{"a": 1, "a": 2}') == {"a": 2}
