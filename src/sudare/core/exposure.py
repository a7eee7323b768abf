"""What of this machine others can read, reach or hear of: the parts that Sudare answers for."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

_PUBLIC_NAMES = ("report-public",)
_PUBLIC_FOLDERS = ("releases", "pictures", "release")
_KEY = b"PRIVATE KEY"
_MOST_KEY_BYTES = 1 << 14


@dataclass(frozen=True)
class Seen:
    """One thing that was looked at.

    Attributes:
        what: What it is.
        state: How it stands, in words.
        holds: Whether that is as `docs/security.md` says.
        fix: What to do if it is not.
    """

    what: str
    state: str
    holds: bool
    fix: str = ""


def exposure(
    folders: Sequence[Path], *, cache: Path, state: Path, environment: dict[str, str]
) -> list[Seen]:
    """Modes, keys, telemetry and open ports.

    Args:
        folders: Runs, releases and owners' folders to look through.
        cache: The cache of builds.
        state: Where it is remembered how far ledgers have come.
        environment: Variables that switch telemetry and Ray's login.
    """
    found = [_folder("cache of builds", cache), _folder("memory of ledgers", state)]
    for folder in folders:
        found.append(_readable(folder))
        found += _keys(folder)
    found += _telemetry(environment)
    return [*found, *_ports()]


def _folder(what: str, path: Path) -> Seen:
    what = f"{what}, {path}"
    if not path.exists():
        return Seen(what, "not there yet", holds=True)
    about = path.stat()
    if about.st_uid != os.geteuid():
        return Seen(what, "another user's", holds=False, fix="take a folder of your own")
    if about.st_mode & 0o077:
        return Seen(what, "others may look in", holds=False, fix=f"chmod 700 {path}")
    return Seen(what, "yours alone", holds=True)


def _readable(folder: Path) -> Seen:
    """Whether private files below a folder can be reached by others."""
    what = f"files in {folder}"
    if folder.stat().st_mode & 0o077 == 0:
        return Seen(what, "yours alone", holds=True)
    open_ones = [
        path
        for path in sorted(folder.rglob("*"))
        if path.is_file() and not _is_public(path.relative_to(folder)) and _reached(path, folder)
    ]
    if not open_ones:
        return Seen(what, "what is private is yours alone", holds=True)
    state = f"others may read {len(open_ones)}, such as {open_ones[0].relative_to(folder)}"
    return Seen(what, state, holds=False, fix=f"chmod 700 {folder}")


def _is_public(inside: Path) -> bool:
    return (
        inside.name.startswith(_PUBLIC_NAMES)
        or inside.suffix == ".crt"
        or inside.name == "job.toml"
        or any(part in _PUBLIC_FOLDERS for part in inside.parts[:-1])
    )


def _reached(path: Path, top: Path) -> bool:
    """Whether the file and every folder down to it let others in."""
    if not path.stat().st_mode & 0o044:
        return False
    between = [parent for parent in path.parents if parent.is_relative_to(top)]
    return all(parent.stat().st_mode & 0o011 for parent in between)


def _keys(folder: Path) -> Iterator[Seen]:
    for path in sorted(folder.rglob("*")):
        if not path.is_file() or path.stat().st_size > _MOST_KEY_BYTES:
            continue
        if _KEY not in path.read_bytes():
            continue
        if path.stat().st_mode & 0o077:
            yield Seen(f"private key {path}", "others may read it", False, f"chmod 600 {path}")
        elif path.suffix == ".crt":
            yield Seen(
                f"private key {path}",
                "named as a certificate, which is sent away",
                holds=False,
                fix="make a new key: sudare federate key",
            )
        else:
            yield Seen(f"private key {path}", "yours alone", holds=True)


def _telemetry(environment: dict[str, str]) -> Iterator[Seen]:
    yield Seen("telemetry of Sudare", "there is none", holds=True)
    on = environment.get("RAY_USAGE_STATS_ENABLED") == "1"
    yield Seen(
        "usage statistics of Ray",
        "asked for by RAY_USAGE_STATS_ENABLED; Sudare switches them off" if on else "off",
        holds=True,
    )
    mode = environment.get("RAY_AUTH_MODE", "token")
    yield Seen(
        "login of Ray",
        f"RAY_AUTH_MODE is {mode}",
        holds=mode.lower() == "token",
        fix="unset RAY_AUTH_MODE, or set it to token",
    )
    if environment.get("FLWR_TELEMETRY_ENABLED", "1") != "0":
        yield Seen(
            "telemetry of Flower",
            "on where you start Flower yourself; Sudare's own line has none",
            holds=True,
        )


def _ports() -> Iterator[Seen]:
    """Listening sockets of running Sudare processes, where the system tells."""
    try:
        pids = [int(path.name) for path in Path("/proc").iterdir() if path.name.isdigit()]
    except OSError:
        yield Seen("open ports", "this system does not tell", holds=True)
        return
    listening = _listening()
    any_open = False
    for pid in pids:
        words = _words(pid)
        if pid == os.getpid() or not _is_sudare(words):
            continue
        for address in sorted(listening[inode] for inode in _inodes(pid) if inode in listening):
            any_open = True
            serves = "federate" in words and "server" in words
            yield Seen(
                f"port {address} of process {pid}",
                "a federation's server: owners' certificates only" if serves else "unknown",
                holds=serves,
                fix="" if serves else f"look at it: ps -p {pid} -o args",
            )
    if not any_open:
        yield Seen("open ports of running jobs", "none", holds=True)


def _is_sudare(words: Sequence[str]) -> bool:
    return any(Path(word).name == "sudare" for word in words[:5])


def _words(pid: int) -> list[str]:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace").split("\0")
    except OSError:
        return []


def _inodes(pid: int) -> set[str]:
    found = set()
    try:
        for handle in Path(f"/proc/{pid}/fd").iterdir():
            target = os.readlink(handle)
            if target.startswith("socket:["):
                found.add(target[8:-1])
    except OSError:
        pass
    return found


def _listening() -> dict[str, str]:
    """Inode of each listening TCP socket to its port."""
    found = {}
    for name in ("tcp", "tcp6"):
        try:
            lines = Path(f"/proc/net/{name}").read_text().splitlines()[1:]
        except OSError:
            continue
        for line in lines:
            fields = line.split()
            if fields[3] == "0A":
                host, _, port = fields[1].partition(":")
                where = "loopback" if host in ("0100007F",) else "every interface"
                where = where if set(host) == {"0"} or host == "0100007F" else "one interface"
                found[fields[9]] = f"{int(port, 16)} ({where})"
    return found
