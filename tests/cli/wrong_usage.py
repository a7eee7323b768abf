"""Wrong usage that was tried, and the files it needs; the table of docs/wrong-usage.md.

``python -m tests.cli.wrong_usage`` writes the table anew.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import re
import shlex
import shutil
import struct
import sys
import zipfile
import zlib
from pathlib import Path

import numpy as np
from PIL import Image

__all__ = ["CASES", "furnish", "outcome", "table"]

SMOKE = "sudare compare --preset smoke"
# Heading, command line, what the message must say.
CASES: dict[str, list[tuple[str, str]]] = {
    "Images": [
        (f"{SMOKE} --data no-such-place", "neither a source nor a path"),
        ("sudare data describe empty", "no"),
        ("sudare data describe broken", "broken/a"),
        ("sudare data describe bomb", "bomb"),
        ("sudare data describe mixed", "--image-size"),
        ("sudare data describe semicolons", "semicolon"),
        ("sudare data describe no-file-column", "filename"),
        ("sudare data describe bare-names", "class/image.png"),
        (f"{SMOKE} --data one-unit", "unit"),
        (f"{SMOKE} --data identical", "identical"),
        (f"{SMOKE} --image-size 0", "--image-size"),
        ("sudare data describe text.npz", "text.npz"),
        ("sudare data describe encrypted.npz", "encrypted.npz"),
        ("sudare data describe bomb.npz", "bomb.npz"),
        ("sudare data describe objects.npz", "objects.npz"),
        ("sudare data describe nan.npz", "nan.npz"),
        ("sudare data describe short.npz", "labels"),
        ("sudare data describe keys.npz", "images"),
    ],
    "Settings": [
        ("sudare compare smoke", "--preset smoke"),
        ("sudare compare --preset smoek", "smoke"),
        ("sudare compare --preset latin.toml", "UTF-8"),
        ("sudare compare --preset torn.toml", "TOML"),
        (f"{SMOKE} --set fleet.build=8", "fleet.builds"),
        (f"{SMOKE} --set data.pol=8", "data.pool"),
        (f"{SMOKE} --set fleet", "fleet.builds=8"),
        (f"{SMOKE} --set routes.9.alpha=0.1", "there are 3"),
        (f"{SMOKE} --builds 4.5", "4.5"),
        (f"{SMOKE} --builds 100000000", "4096"),
        (f"{SMOKE} --builds 5", "pairs"),
        (f"{SMOKE} --builds -4", "builds"),
        (f"{SMOKE} --seed -1", "seed"),
        (f"{SMOKE} --prior 2", "prior"),
        (f"{SMOKE} --workers 0", "workers"),
        (f"{SMOKE} --device gpu", "device"),
        (f"{SMOKE} --routes foo", "foo"),
        (f"{SMOKE} --canaries mislabeled:80", "mislabelled"),
        (f"{SMOKE} --bulids 4", "--builds"),
        (f"{SMOKE} --routes smothing", "Did you mean smoothing"),
        (f"{SMOKE} --require 'auc <= 0.6'", "sudare report RUN --require"),
        (f"{SMOKE} --gates", "--fail-on"),
        (f"{SMOKE} --quiet", "2> progress.txt"),
        ("sudare compare my-images", "Write --data my-images"),
        ("sudare release smoothing-0.1 --preset demo", "Did you mean smoothing+0.1"),
        ("sudare data describe pnuemonia", "Did you mean pneumonia"),
        (f"{SMOKE} --set data.pool=1e9", "pool"),
        (f"{SMOKE} --set 'routes.0.net={{name=\"resnet99\"}}'", "resnet"),
    ],
    "Gates": [
        (f"{SMOKE} --fail-on 'membership.lyra.auc > 0.5'", "membership.lira.auc"),
        (f"{SMOKE} --fail-on 'lira.auc > 0.9'", "membership.lira.auc"),
        (f"{SMOKE} --fail-on 'plane: membership.lira.auc > 0.9'", "plain"),
        (f"{SMOKE} --fail-on 'membership.lira.auc >> 1'", "not a gate"),
    ],
    "Places": [
        (f"{SMOKE} --out a-file", "a-file"),
        (f"{SMOKE} --out not-mine", "not-mine"),
        ("sudare report my-images", "my-images"),
        ("sudare report no-such-run", "no-such-run"),
        ("sudare report torn-run", "torn-run"),
        ("sudare report a-run --require 'acuracy > 0.5'", "Did you mean accuracy"),
        ("sudare report escape-run", "not for print"),
        ("sudare report linked-run", "link"),
        ("sudare report a-run --fail-on 'membership.lira.auc > 0.9'", "membership.given.auc"),
        ("sudare sweep smoothing --alpha 0.1,x", "list of numbers"),
        ("sudare config show nothing", "neither a preset"),
    ],
    "Releases": [
        ("sudare open no-such-release", "no-such-release"),
        ("sudare open my-images", "release"),
        ("sudare open parent", "parent/release"),
        ("sudare open", "runs/demo/releases/plain"),
        ("sudare audit a-file", "a release is a folder"),
        ("sudare audit no-such-model.pkl", "--model package:factory"),
        ("sudare audit no-such-scores.csv", "Scores are audited from an .npz file"),
        ("sudare open wide", "do not fit the net"),
        ("sudare open many-classes", "class"),
        ("sudare open unlisted", "evil.py"),
        ("sudare open listed", "tensors.safetensors"),
        ("sudare open zero", "shape"),
        ("sudare open linked", "link"),
        ("sudare audit parent/release", "key"),
        ("sudare audit parent/release --key scores.npz", "key"),
        ("sudare audit parent/release --key encrypted.npz", "key"),
    ],
    "Scores and models": [
        ("sudare audit no-such.npz", "no-such.npz"),
        ("sudare audit text.npz", "text.npz"),
        ("sudare audit encrypted.npz", "encrypted.npz"),
        ("sudare audit bomb.npz", "bomb.npz"),
        ("sudare audit objects.npz", "objects.npz"),
        ("sudare audit keys.npz", "scores"),
        ("sudare audit escape.npz", "scores"),
        ("sudare audit nan-scores.npz", "record 3"),
        ("sudare audit all-members.npz", "non-members"),
        ("sudare audit --model mine --members m --non-members n", "package.module:factory"),
        ("sudare audit --model nowhere:cnn --members m --non-members n", "nowhere"),
        ("sudare audit --model mine:nothing --members m --non-members n", "nothing"),
        ("sudare audit --model mine:raises --members m --non-members n", "no luck"),
        ("sudare audit --model mine:number --members m --non-members n", "is no model"),
        ("sudare audit --model mine:cnn --weights w.pt --members m --non-members n", "safetensors"),
        ("sudare audit --model mine:cnn --members m --non-members no-such-place", "no-such-place"),
    ],
    "Evidence": [
        ("sudare audit verify my-images", "my-images"),
        ("sudare audit verify torn-evidence", "torn-evidence"),
        ("sudare audit export my-images --out e", "my-images"),
    ],
    "Federations": [
        ("sudare federate pay parent/release", "federation"),
        ("sudare federate simulate --partition dirichlet:x", "'x' is no concentration"),
        ("sudare federate simulate --clients 1", "2"),
        ("sudare federate client no-such.toml --owner a --data digits --key k --ca c", "job file"),
        ("sudare federate client latin.toml --owner a --data digits --key k --ca c", "TOML"),
        ("sudare federate server my-images --public digits", "job file"),
    ],
}


def _npz(path: Path, **arrays: object) -> None:
    np.savez(path, **arrays)  # type: ignore[arg-type]


def _png(path: Path, seed: int = 0, size: int = 8) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 256, (size, size), dtype=np.uint8)
    Image.fromarray(pixels).save(path)


def _folder(path: Path, *, count: int = 40, first: int = 0) -> None:
    for row in range(count):
        _png(path / "ab"[row % 2] / f"{row:03}.png", first + row)


def _encrypted(path: Path) -> None:
    _npz(path, scores=np.arange(20.0), membership=np.arange(20) % 2)
    data = bytearray(path.read_bytes())
    for mark, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        at = data.find(mark)
        while at >= 0:
            data[at + offset] |= 1
            at = data.find(mark, at + 4)
    path.write_bytes(bytes(data))


def _bomb_npz(path: Path) -> None:
    """A few kilobytes that say they are 40 GB."""
    head = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        head, {"descr": "|u1", "fortran_order": False, "shape": (40_000_000_000,)}
    )
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        for name in ("images", "labels", "scores", "membership"):
            file.writestr(f"{name}.npy", head.getvalue() + bytes(5_000_000))


def _bomb_png(path: Path) -> None:
    def chunk(kind: bytes, body: bytes) -> bytes:
        return (
            struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        )

    path.parent.mkdir(parents=True, exist_ok=True)
    header = struct.pack(">IIBBBBB", 20_000, 20_000, 8, 0, 0, 0, 0)
    body = zlib.compress(bytes(20_001) * 100)
    path.write_bytes(
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", body) + chunk(b"IEND", b"")
    )


def _altered(source: Path, target: Path, change: dict, *, files: dict | None = None) -> None:
    """A release whose card says something else; hashes fit, as any sender can make them."""
    import hashlib

    shutil.copytree(source, target)
    card = json.loads((target / "release.json").read_text())
    for name, value in change.items():
        *path, last = name.split(".")
        here = card
        for step in path:
            here = here[step]
        here[last] = value
    for name, content in (files or {}).items():
        (target / name).write_bytes(content)
        listed = [entry for entry in card["files"] if entry["name"] == name]
        entry = listed[0] if listed else {"name": name}
        if not listed:
            card["files"].append(entry)
        entry |= {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
    (target / "release.json").write_text(json.dumps(card))


def furnish(base: Path) -> None:
    """Make all files the cases name."""
    _folder(base / "my-images", count=400)
    _folder(base / "m")
    _folder(base / "n", first=1000)
    (base / "empty").mkdir()
    for row in range(8):
        _png(base / "one-class" / "a" / f"{row}.png", row)
    _folder(base / "broken")
    for name in ("000.png", "002.png", "004.png"):
        (base / "broken" / "a" / name).write_bytes(b"no picture")
    _folder(base / "bomb")
    _bomb_png(base / "bomb" / "a" / "bomb.png")
    _folder(base / "mixed")
    _png(base / "mixed" / "a" / "large.png", size=9)
    for row in range(40):
        _png(base / "identical" / "ab"[row % 2] / f"{row}.png")
    for name, text in (
        ("semicolons", "file;unit\n" + "\n".join(f"a/{r:03}.png;{r}" for r in range(0, 40, 2))),
        ("no-file-column", "filename,unit\na/000.png,1\n"),
        ("bare-names", "file,unit\n000.png,1\n001.png,2\n"),
    ):
        _folder(base / name)
        (base / name / "metadata.csv").write_text(text)
    _folder(base / "one-unit", count=400)
    rows = "".join(f"{'ab'[r % 2]}/{r:03}.png,7\n" for r in range(400))
    (base / "one-unit" / "metadata.csv").write_text("file,unit\n" + rows)

    (base / "text.npz").write_text("not a zip at all")
    _encrypted(base / "encrypted.npz")
    _bomb_npz(base / "bomb.npz")
    _npz(base / "objects.npz", images=np.array([{}]), scores=np.array([{}]), membership=[1])
    pixels = np.zeros((8, 8, 8), dtype=np.float32)
    _npz(base / "nan.npz", images=np.full_like(pixels, np.nan), labels=np.arange(8) % 2)
    _npz(base / "short.npz", images=pixels, labels=np.arange(3))
    _npz(base / "keys.npz", x=pixels, y=np.arange(8))
    with zipfile.ZipFile(base / "escape.npz", "w") as file:
        file.writestr("\x1b]0;PWNED\x07.npy", b"no array")
    scores = np.arange(40.0)
    scores[3] = np.nan
    _npz(base / "nan-scores.npz", scores=scores, membership=np.arange(40) % 2)
    _npz(base / "all-members.npz", scores=np.arange(40.0), membership=np.ones(40, dtype=int))
    _npz(base / "scores.npz", scores=np.arange(400.0), membership=np.arange(400) % 2)

    (base / "latin.toml").write_bytes("title = 'Käse'\n".encode("latin-1"))
    (base / "torn.toml").write_text("title = 'never ends\n")
    (base / "a-file").write_text("mine\n")
    (base / "not-mine").mkdir()
    (base / "not-mine" / "report.html").write_text("precious\n")
    (base / "torn-run").mkdir()
    (base / "torn-run" / "run.json").write_text('{"half": ')
    (base / "torn-evidence").mkdir()
    (base / "torn-evidence" / "manifest.json").write_text('{"half": ')

    (base / "mine.py").write_text(
        "import torch\n\n\ndef cnn():\n"
        "    return torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(64, 2))\n\n\n"
        "def raises():\n    raise RuntimeError('no luck')\n\n\n"
        "def number():\n    return 42\n"
    )
    (base / "w.pt").write_bytes(b"PK\x03\x04 a pickle in a zip")

    done = outcome(
        "sudare release plain --preset smoke --out parent --set data.population=100", base
    )
    assert done[0] == 0, done
    done = outcome("sudare audit scores.npz --out a-run", base)
    assert done[0] == 0, done
    for name in ("escape-run", "linked-run"):
        shutil.copytree(base / "a-run", base / name)
    run = base / "escape-run" / "run.json"
    run.write_text(run.read_text().replace("scores.npz", "\\u001b]0;PWNED\\u0007"))
    (base / "linked-run" / "config.toml").unlink()
    (base / "linked-run" / "config.toml").symlink_to("/etc/hostname")
    plain = base / "parent" / "release"
    empty = b"\x02\x00\x00\x00\x00\x00\x00\x00{}"
    tensors = {"tensors.safetensors": empty}
    net = {"spec.net": {"name": "resnet18", "width": 1024}}
    _altered(plain, base / "wide", net, files=tensors)
    classes = {"class_names": [f"class {n}" for n in range(100_000)]}
    _altered(plain, base / "many-classes", classes, files=tensors)
    shutil.copytree(plain, base / "unlisted")
    (base / "unlisted" / "evil.py").write_text("print('evil')\n")
    _altered(plain, base / "listed", {}, files={"evil.py": b"print('evil')\n"})
    _altered(plain, base / "zero", {"image_shape": [1, 0, 0]})
    shutil.copytree(plain, base / "linked")
    (base / "linked" / "README.md").unlink()
    (base / "linked" / "README.md").symlink_to("/etc/hostname")


def outcome(command: str, base: Path) -> tuple[int, str, str]:
    """Exit status, standard output and error of a command line, run in this process."""
    from sudare.cli import main

    printed, complained = io.StringIO(), io.StringIO()
    before, argv = Path.cwd(), sys.argv
    path = list(sys.path)
    os.chdir(base)
    sys.argv = shlex.split(command)
    try:
        with contextlib.redirect_stdout(printed), contextlib.redirect_stderr(complained):
            try:
                main()
                status = 0
            except SystemExit as ended:
                status = ended.code if isinstance(ended.code, int) else 1
    finally:
        os.chdir(before)
        sys.argv, sys.path[:] = argv, path
    return status, printed.getvalue(), complained.getvalue()


def sentence(text: str) -> str:
    """A message as one line, without a terminal's frame and line breaks."""
    plain = re.sub(r"[─│╭╮╰╯]", " ", text)
    return " ".join(plain.split()).removeprefix("error: ")


def table(results: dict[str, list[tuple[str, int, str]]]) -> str:
    """The page: what was tried, how it ended, and what it said."""
    count = sum(map(len, results.values()))
    lines = [
        "# Wrong usage\n",
        f"{count} mistakes and hostile files that were tried, each with its exit status and what "
        "the command says. Status 2 is an error, 3 a question that the given files cannot answer, "
        "1 is a gate that fails and nothing else. The page is made by a test "
        "(`python -m tests.cli.wrong_usage`) from the commands themselves.\n",
    ]
    for heading, rows in results.items():
        lines += [f"## {heading}\n", "| command | status | says |", "| --- | ---: | --- |"]
        for command, status, said in rows:
            cells = [f"`{command}`", str(status), said]
            lines.append("| " + " | ".join(c.replace("|", "\\|") for c in cells) + " |")
        lines.append("")
    return "\n".join(lines)


def run_all(base: Path) -> dict[str, list[tuple[str, int, str]]]:
    """Every case's outcome."""
    return {
        heading: [
            (command, status, sentence(err or out))
            for command, _ in rows
            for status, out, err in [outcome(command, base)]
        ]
        for heading, rows in CASES.items()
    }


def main() -> None:
    import tempfile

    with tempfile.TemporaryDirectory() as place:
        os.environ["SUDARE_CACHE"] = str(Path(place) / "cache")
        os.environ["COLUMNS"] = "100"
        base = Path(place) / "work"
        base.mkdir()
        furnish(base)
        target = Path(__file__).parents[2] / "docs" / "wrong-usage.md"
        target.write_text(table(run_all(base)))


if __name__ == "__main__":
    main()
