"""Mutations of files that reach us from outside: bits, lengths, JSON and TOML, zip and tensors."""

import hashlib
import io
import json
import os
import random
import re
import struct
import zipfile

ODD = (
    None,
    True,
    -1,
    0,
    2**63,
    1e308,
    "",
    "\x1b]0;x\x07",
    "\u202e",
    "x" * 5_000,
    "../../etc/passwd",
    [],
    {},
    [[]] * 50,
    {"kind": "classifier"},
    float("nan"),
    float("inf"),
)


def mutated(content: bytes, name: str, rng: random.Random) -> bytes:
    """The content of a file, changed as a careless or hostile sender might."""
    ways = [_bits, _cut, _grown, _swapped]
    if name.endswith((".json", ".jsonl")):
        ways += [_json] * 8 + [_twice]
    elif name.endswith(".toml"):
        ways += [_toml] * 8
    elif name.endswith(".npz"):
        ways += [_zip] * 6 + [_encrypted]
    elif name.endswith(".safetensors"):
        ways += [_header] * 6
    return rng.choice(ways)(content, rng)


def _bits(content, rng):
    data = bytearray(content)
    for _ in range(rng.randint(1, 8)):
        if data:
            data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
    return bytes(data)


def _cut(content, rng):
    return content[: rng.randrange(len(content) + 1)]


def _grown(content, rng):
    at = rng.randrange(len(content) + 1)
    return content[:at] + os.urandom(rng.randint(1, 64)) + content[at:]


def _swapped(content, rng):
    start, end = sorted(rng.randrange(len(content) + 1) for _ in range(2))
    return content[end:] + content[start:end] + content[:start]


def _json(content, rng):
    try:
        values = json.loads(content)
    except ValueError:
        return _bits(content, rng)
    return json.dumps(_changed(values, rng)).encode()


def _changed(values, rng):
    """One value somewhere inside replaced, left out, or put in."""
    here, path = values, []
    while isinstance(here, (dict, list)) and here and (not path or rng.random() < 0.8):
        step = rng.choice(list(here)) if isinstance(here, dict) else rng.randrange(len(here))
        path.append((here, step))
        here = here[step]
    if not path:
        return rng.choice(ODD)
    owner, step = path[-1]
    way = rng.randrange(3)
    if way == 0:
        owner[step] = rng.choice(ODD)
    elif way == 1:
        del owner[step]
    elif isinstance(owner, dict):
        owner[rng.choice(["extra", "name", "kind", "files"])] = rng.choice(ODD)
    else:
        owner.append(rng.choice(ODD))
    return values


def _twice(content, rng):
    """A key that is there twice."""
    return re.sub(rb'"(\w+)":', lambda m: m[0] + b' 1, "' + m[1] + b'":', content, count=1)


def _toml(content, rng):
    lines = content.split(b"\n")
    at = rng.randrange(len(lines))
    name, sign, _ = lines[at].partition(b"=")
    odd = rng.choice(
        [b"-1", b"1e400", b'"x"', b"[]", b"{}", b"true", b"nan", b"'\xff'", b"99999999999999999999"]
    )
    lines[at] = name + b"= " + odd if sign else rng.choice([b"[[routes]]", b"[data", b"\x00"])
    return b"\n".join(lines)


def _zip(content, rng):
    """One array of an archive with another header or body."""
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as file:
            members = {name: file.read(name) for name in file.namelist()}
    except zipfile.BadZipFile:
        return _bits(content, rng)
    name = rng.choice(sorted(members))
    way = rng.randrange(5)
    if way == 0:
        members[name] = _bits(members[name][:200], rng) + members[name][200:]
    elif way == 1:
        members[name] = re.sub(
            rb"'descr': '[^']+'",
            rng.choice(
                [
                    b"'descr': '|O'",
                    b"'descr': '<U9'",
                    b"'descr': '<f8'",
                    b"'descr': '<M8[s]'",
                    b"'descr': '|V9'",
                ]
            ),
            members[name],
        )
    elif way == 2:
        members[name] = re.sub(
            rb"\(\d[^)]*\)",
            rng.choice(
                [
                    b"(-1,)",
                    b"(10**12,)",
                    b"(999999999999,)",
                    b"()",
                    b"(0,0)",
                    b"(1,2,3,4,5,6)",
                ]
            ),
            members[name],
        )
    elif way == 3:
        members[rng.choice(["a.npy", "\x1b[31m.npy", "../up.npy", name + "x"])] = members.pop(name)
    else:
        members[name] = bytes(rng.randint(1, 3_000_000))
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as file:
        for each, body in members.items():
            file.writestr(each, body)
    return buffer.getvalue()


def _encrypted(content, rng):
    """Flags that say the members are encrypted, or packed by another method."""
    data = bytearray(content)
    for mark, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        at = data.find(mark)
        while at >= 0 and at + offset + 2 < len(data):
            if rng.random() < 0.5:
                data[at + offset] |= 1
            else:
                data[at + offset + 2] = rng.choice([9, 12, 14, 99])
            at = data.find(mark, at + 4)
    return bytes(data)


def _header(content, rng):
    """Another header before the same tensors."""
    if len(content) < 8:
        return content
    size = struct.unpack("<Q", content[:8])[0]
    try:
        values = json.loads(content[8 : 8 + size])
    except ValueError:
        return _bits(content, rng)
    header = json.dumps(_changed(values, rng)).encode()
    length = len(header) if rng.random() < 0.8 else rng.choice([0, 2**31, 2**63 - 1])
    return struct.pack("<Q", length) + header + content[8 + size :]


def relisted(folder):
    """Hashes and sizes on a release's card made to fit its files, as any sender can."""
    card = folder / "release.json"
    try:
        values = json.loads(card.read_bytes())
        for entry in values["files"]:
            content = (folder / entry["name"]).read_bytes()
            entry |= {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
    except (ValueError, KeyError, TypeError, OSError):
        return
    card.write_text(json.dumps(values))


def refitted(folder):
    """Give an evidence folder a manifest that lists what is there, as a forger would."""
    path = folder / "manifest.json"
    try:
        values = json.loads(path.read_text())
        values["files"] = {
            file.name: hashlib.sha256(file.read_bytes()).hexdigest()
            for file in folder.iterdir()
            if file.name != path.name
        }
        path.write_text(json.dumps(values))
    except (ValueError, TypeError, RecursionError):
        return
