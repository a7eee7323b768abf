"""Downloads into the cache: whole or absent, and never without a checksum."""

from __future__ import annotations

import hashlib
import http.client
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path

from sudare.core.errors import DataError
from sudare.core.files import atomic_write
from sudare.core.progress import Progress

_BLOCK = 1 << 18
_TIMEOUT_S = 30.0
_LARGEST_BYTES = 2 << 30


@dataclass(frozen=True, kw_only=True)
class Remote:
    """A file that its publisher serves.

    Attributes:
        url: Where it is served.
        md5: Checksum in hexadecimal, as published. MD5 no longer stops two files made to
            collide, but nobody can make a second file that matches a published one.
        name: Its file name in the cache.
    """

    url: str
    md5: str
    name: str


def fetch(remote: Remote, folder: Path, *, progress: Progress) -> Path:
    """The file's path in a folder, downloaded if it is not there yet.

    Args:
        remote: What to fetch.
        folder: Where it is kept; made if missing.
        progress: Where the transfer reports to.

    Raises:
        DataError: No connection, an incomplete or wrong file, or a damaged one in the folder.
    """
    path = folder / remote.name
    if path.is_file():
        with path.open("rb") as file:
            found = hashlib.file_digest(file, _md5).hexdigest()
        if found != remote.md5:
            raise DataError(
                f"the file has MD5 {found}, not {remote.md5}",
                where=str(path),
                fix=f"Delete it to download it again, or replace it by {remote.url}.",
            )
        return path
    by_hand = f"Put the file of {remote.url} at {path} by hand (MD5 {remote.md5})."
    try:
        content = _transfer(remote, progress)
    except (OSError, http.client.HTTPException, ValueError) as error:
        reason = getattr(error, "reason", None) or error
        raise DataError(
            f"{remote.name} could not be downloaded: {reason}", where=remote.url, fix=by_hand
        ) from error
    found = _md5(content).hexdigest()
    if found != remote.md5:
        raise DataError(
            f"the download has MD5 {found}, not {remote.md5}, and was thrown away",
            where=remote.url,
            fix=by_hand,
        )
    atomic_write(path, content, public=True)
    return path


def _transfer(remote: Remote, progress: Progress) -> bytes:
    with _opened(remote.url) as response:
        total = int(response.headers.get("Content-Length") or 0)
        if total > _LARGEST_BYTES:
            raise OSError(f"the server announces {total} bytes")
        content = bytearray()
        with progress.stage(f"download {remote.name}", total or 1) as task:
            while block := response.read(_BLOCK):
                content += block
                task.advance(len(block))
                if len(content) > _LARGEST_BYTES:
                    raise OSError(f"the server sends more than {_LARGEST_BYTES} bytes")
    if total and len(content) != total:
        raise OSError(f"the connection broke after {len(content)} of {total} bytes")
    return bytes(content)


def _opened(url: str) -> http.client.HTTPResponse:
    try:
        response: http.client.HTTPResponse = urllib.request.urlopen(url, timeout=_TIMEOUT_S)
    except urllib.error.HTTPError as error:
        # It holds the connection open.
        error.close()
        raise OSError(f"the server answers {error.code} {error.reason}") from error
    return response


def _md5(content: bytes = b"") -> hashlib._Hash:
    return hashlib.md5(content, usedforsecurity=False)
