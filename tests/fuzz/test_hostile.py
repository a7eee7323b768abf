"""A hundred hostile files of many kinds: each ends in one sentence, in two seconds and 300 MB."""

import io
import json
import re
import struct
import subprocess
import sys
import zipfile
import zlib
from pathlib import Path

import numpy as np
import pytest

from sudare.releases.registry import KINDS
from tests.fuzz.hostile_reader import READ
from tests.fuzz.mutations import refitted, relisted
from tests.fuzz.test_fuzz import originals, with_evidence

__all__ = ["originals"]

MOST_SECONDS = 2.0
DEEP = "[" * 200_000
GIB = 1 << 30


def zipped(arrays, *, packed=True):
    """An .npz archive from raw members."""
    target = io.BytesIO()
    kind = zipfile.ZIP_DEFLATED if packed else zipfile.ZIP_STORED
    with zipfile.ZipFile(target, "w", kind, compresslevel=9) as archive:
        for name, content in arrays.items():
            archive.writestr(f"{name}.npy", content)
    return target.getvalue()


def npy(shape, dtype="<f4", body=b""):
    header = f"{{'descr': '{dtype}', 'fortran_order': False, 'shape': {shape}, }}"
    header = header.ljust(118 - 10 + 10) + "\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header.encode() + body


LIES = {
    "a terabyte promised": npy((10**12,)),
    "a negative shape": npy((-1, 4)),
    "objects": npy((1,), "|O", b"\x80\x04N."),
    "no shape": npy("'x'"),
    "a shape of code": npy("__import__('os').system('true')"),
    "many dimensions": npy((1,) * 40),
    "text of a gigabyte": npy((GIB // 4,), "<U1"),
    "a header without end": b"\x93NUMPY\x02\x00\xff\xff\xff\xff{",
    "nothing": b"",
}


def archives(zeros=256 << 20):
    """Archives that no reader should believe, whatever is asked of them."""
    yield "a bomb of zeros", zipped({"scores": npy((zeros,), "|u1", b"\0" * zeros)})
    yield "not packed, cut", zipped({"scores": npy((100,))}, packed=False)[:-40]
    for name, content in LIES.items():
        yield (
            name,
            zipped(
                dict.fromkeys(
                    ("scores", "membership", "member", "about", "images", "labels"), content
                )
            ),
        )
    yield "no archive", b"PK\x03\x04" + b"\xff" * 200
    yield "a folder in it", zipped({"../../x": npy((1,))})


def tables(text):
    """JSON that no reader should believe."""
    values = json.loads(text)
    first = next(iter(values))
    yield "deep", DEEP.encode()
    yield "a list", b"[]"
    yield "cut", text.encode()[: len(text) // 2]
    yield "a name twice", (f'{{"{first}": 0, ' + text.lstrip()[1:]).encode()
    long = re.sub(r'(": ?)\d', r"\g<1>1" + "0" * 10**6, text, count=1)
    yield "a number of a million digits", long.encode()
    yield "not text", b"\xff\xfe" + text.encode()
    yield "an escape", json.dumps({**values, first: "\x1b]0;x\x07"}).encode()
    yield "a value of another kind", json.dumps({**values, first: {"x": [1]}}).encode()


def put(base, number, source, name, content):
    """A copy of an original with one file exchanged."""
    target = base / f"{number:03d}"
    target.mkdir()
    for path in source.iterdir():
        if path.is_file():
            (target / path.name).write_bytes(path.read_bytes())
    (target / name).write_bytes(content)
    return target


LEDGERS = {
    "noise of nothing": {"noise_multiplier": 1e-3},
    "steps without end": {"steps": 10**15},
    "a rate above 1": {"sample_rate": 5.0},
    "noise in a word": {"noise_multiplier": "x" * 10**6},
}
FORMATS = ("{attack:>2000000000}", "{nope}", "{attack.__class__}", "{0}")


def _tensors(entries):
    table = {
        name: {"dtype": "F32", "shape": shape, "data_offsets": offsets}
        for name, (shape, offsets) in entries.items()
    }
    text = json.dumps(table).encode()
    return struct.pack("<Q", len(text)) + text + b"\0" * 12


HEADERS = {
    "a header of a terabyte": struct.pack("<Q", 1 << 40),
    "a header that is no table": struct.pack("<Q", 2) + b"[]",
    "a shape of a terabyte": _tensors({"x": [[1 << 40], [0, 1 << 42]]}),
    "offsets that overlap": _tensors({"x": [[2], [0, 8]], "y": [[2], [4, 12]]}),
}


def exchanged(originals):
    """Which file of which folder is exchanged for what: reader, name, file, content."""
    card = json.loads((originals / "federation" / "release.json").read_text())
    run = json.loads((originals / "runs" / "run.json").read_text())
    for kind in sorted(KINDS):
        text = (originals / kind / "release.json").read_text()
        yield from ((kind, name, "release.json", made) for name, made in tables(text))
    for name, ledger in LEDGERS.items():
        made = json.dumps({**card, "ledger": [{**card["ledger"][0], **ledger}]}).encode()
        yield "federation", name, "release.json", made
    for name, header in HEADERS.items():
        yield "classifier", name, "tensors.safetensors", header
    for reader, files in {
        "runs": ("run.json", "findings.json"),
        "evidence": ("manifest.json", "findings.json"),
    }.items():
        for file in files:
            text = (originals / reader / file).read_text()
            yield from ((reader, f"{file}: {name}", file, made) for name, made in tables(text))
    for text in FORMATS:
        made = json.dumps({**run, "figures": [{"id": "a.b", "name": text}]}).encode()
        yield "runs", text, "run.json", made
    yield from (("evidence", name, "plain.npz", made) for name, made in archives())


def of_folders(originals, base):
    """Releases, runs and evidence with one hostile file in them."""
    for number, (reader, name, file, content) in enumerate(exchanged(originals)):
        folder = put(base, number, originals / reader, file, content)
        if file == "tensors.safetensors":
            relisted(folder)
        elif reader == "evidence":
            refitted(folder)
        yield reader, name, folder


def of_files(originals, base):
    """Single files."""

    def file(name, content):
        path = base / name.replace("/", " ")
        path.write_bytes(content)
        path.chmod(0o600)
        return path

    for reader in ("scores", "keys", "collections"):
        for name, content in archives():
            yield reader, name, file(f"{reader} {name}.npz", content)
    text = (originals / "jobs" / "job.toml").read_text()
    for name, content in (
        ("deep", f"a = {DEEP}"),
        ("huge", "a = 1\n" * 300_000),
        ("delta of one half", text.replace("delta = 0.001", "delta = 0.5")),
        ("no noise", text.replace("noise_multiplier = 1.5", "noise_multiplier = 0.0")),
        ("a name that is a path", text.replace('name = "rehearsal"', 'name = "../../x"')),
        ("rounds without end", text.replace("rounds = 3", "rounds = 99999999999999999999")),
        ("an image of a terabyte", text.replace("image_shape = [", "image_shape = [9999999,\n")),
        ("a net without end", text.replace("width = 8", "width = 999999999")),
    ):
        yield "jobs", name, file(f"job {name}.toml", content.encode())
    for name, content in (
        ("deep", f"a = {DEEP}"),
        ("a class by name", 'routes = [{kind = "code:evilmod:make"}]'),
        ("builds without end", "[fleet]\nbuilds = 99999999999999999999"),
        ("not text", "\udcff"),
    ):
        raw = content.encode(errors="surrogateescape")
        yield "configurations", name, file(f"run {name}.toml", raw)
    for name, content in (
        ("not its own", b'{"ledger": "00", "seal": "00"}\n'),
        ("deep", DEEP.encode() + b"\n"),
        ("another form", b'{"purpose": "training"}\n'),
        ("bytes", b"\xff\xfe\n\xff\n"),
    ):
        yield "ledgers", name, file(f"ledger {name}.jsonl", content)
    for reader in (
        "kept tensors",
        "kept values",
        "frames",
        "questions",
        "certificates",
        "own keys",
        "receipts",
    ):
        for name, content in (
            ("nothing", b""),
            ("bytes", b"\xff" * 4096),
            ("deep", DEEP.encode()),
            ("a length of everything", b"\xff\xff\xff\xff\xff\xff\xff\x7f{}"),
            ("a shape of a terabyte", b'\0\0\0\x2b{"kind":"answer","shape":[1099511627776,1]}'),
            (
                "a certificate of nothing",
                b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
            ),
        ):
            yield reader, name, file(f"{reader} {name}", content)
    folder = base / "pictures" / "a"
    folder.mkdir(parents=True)
    (folder / "0.png").write_bytes(_picture(60_000, 60_000))
    yield "collections", "a picture of ten gigabytes", base / "pictures"


def _picture(width, height):
    """A small file that says it is a large picture."""

    def chunk(kind, content):
        body = kind + content
        return struct.pack(">I", len(content)) + body + struct.pack(">I", zlib.crc32(body))

    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", head)
        + chunk(b"IDAT", zlib.compress(b"\0" * 1000))
        + chunk(b"IEND", b"")
    )


@pytest.mark.timeout(400)
def test_each_hostile_file_ends_in_one_sentence(originals, tmp_path):
    if not (originals / "evidence").exists():
        with_evidence(originals)
    (tmp_path / "folders").mkdir()
    (tmp_path / "files").mkdir()
    hostile = [
        *of_folders(originals, tmp_path / "folders"),
        *of_files(originals, tmp_path / "files"),
    ]
    kinds = {reader for reader, _, _ in hostile}
    assert len(hostile) >= 100
    assert len(kinds) >= 10
    whole = (*KINDS, "runs", "evidence")
    warm = [
        [reader, str(originals / reader if reader in whole else next(p.iterdir()))]
        for reader in READ
        if (p := originals / reader).exists()
    ]
    warm += [["collections", str(next((originals / "scores").iterdir()))]]
    path = tmp_path / "list.json"
    listed = {"warm": warm, "hostile": [[reader, str(p)] for reader, _, p in hostile]}
    path.write_text(json.dumps(listed))
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-m", "tests.fuzz.hostile_reader", str(path)],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    wrong = []
    told = json.loads(done.stdout.splitlines()[-1])
    for (reader, name, _), (how, said, seconds) in zip(hostile, told, strict=True):
        fine = how == "refused" and said.isprintable() and len(said) < 1000
        # An evidence folder is read whole before it is refused for what does not fit.
        fine |= how == "read" and reader == "evidence"
        if not fine or seconds > MOST_SECONDS:
            wrong.append(f"{reader}: {name}: {how} {said[:150]!r} {seconds:.1f} s")
    assert wrong == [], "\n".join(wrong)
    assert np.mean([seconds for _, _, seconds in told]) < MOST_SECONDS / 4
