import hashlib
import http.server
import threading

import pytest

from sudare.core.errors import DataError
from sudare.core.progress import Silent
from sudare.data.sources.download import Remote, fetch

CONTENT = bytes(range(256)) * 4096
MD5 = hashlib.md5(CONTENT).hexdigest()


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.server.asked.append(self.path)
        if self.path == "/gone":
            self.send_error(404)
            return
        if self.path == "/moved":
            self.send_response(302)
            self.send_header("Location", "/file")
            self.end_headers()
            return
        self.send_response(200)
        if self.path != "/unsized":
            size = 1 << 60 if self.path == "/endless" else len(CONTENT)
            self.send_header("Content-Length", str(size))
        self.end_headers()
        short = self.path in ("/short", "/endless")
        self.wfile.write(CONTENT[:1000] if short else CONTENT)

    def log_message(self, *_):
        pass


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as running:
        running.asked = []
        thread = threading.Thread(target=running.serve_forever)
        thread.start()
        yield running
        running.shutdown()
        thread.join()


def remote(server, path, md5=MD5):
    return Remote(url=f"http://127.0.0.1:{server.server_port}{path}", md5=md5, name="file.bin")


class Record(Silent):
    def __init__(self):
        self.advanced, self.totals = 0, []

    def stage(self, label, total):
        self.totals.append((label, total))
        return super().stage(label, total)


@pytest.mark.parametrize("path", ["/file", "/unsized", "/moved"])
def test_a_download_arrives_whole_in_the_cache(server, tmp_path, path):
    found = fetch(remote(server, path), tmp_path / "cache", progress=Silent())
    assert found == tmp_path / "cache" / "file.bin"
    assert found.read_bytes() == CONTENT
    assert [file.name for file in found.parent.iterdir()] == ["file.bin"]


def test_a_download_reports_its_size(server, tmp_path):
    record = Record()
    fetch(remote(server, "/file"), tmp_path, progress=record)
    assert record.totals == [("download file.bin", len(CONTENT))]


def test_a_file_in_the_cache_is_not_downloaded_again(server, tmp_path):
    for _ in range(2):
        fetch(remote(server, "/file"), tmp_path, progress=Silent())
    assert server.asked == ["/file"]


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("/gone", r"file\.bin could not be downloaded: the server answers 404 Not Found"),
        ("/short", r"the connection broke after 1000 of 1048576 bytes"),
        ("/endless", r"the server announces \d+ bytes"),
    ],
)
def test_a_failed_download_leaves_nothing_and_says_what_to_do(server, tmp_path, path, message):
    with pytest.raises(DataError, match=message) as caught:
        fetch(remote(server, path), tmp_path, progress=Silent())
    assert caught.value.where.endswith(path)
    assert f"at {tmp_path / 'file.bin'} by hand (MD5 {MD5})" in caught.value.fix
    assert not list(tmp_path.iterdir())


def test_a_download_with_another_checksum_is_thrown_away(server, tmp_path):
    with pytest.raises(DataError, match=f"has MD5 {MD5}, not {'0' * 32}, and was thrown away"):
        fetch(remote(server, "/file", md5="0" * 32), tmp_path, progress=Silent())
    assert not list(tmp_path.iterdir())


def test_a_damaged_file_in_the_cache_is_refused_and_not_replaced(server, tmp_path):
    (tmp_path / "file.bin").write_bytes(b"half")
    with pytest.raises(DataError, match="Delete it to download it again"):
        fetch(remote(server, "/file"), tmp_path, progress=Silent())
    assert server.asked == []


def test_no_connection_names_the_address_the_place_and_the_checksum(server, tmp_path):
    server.server_close()
    gone = Remote(url="http://127.0.0.1:9/file", md5=MD5, name="file.bin")
    with pytest.raises(DataError, match="could not be downloaded") as caught:
        fetch(gone, tmp_path, progress=Silent())
    assert caught.value.fix == (
        f"Put the file of {gone.url} at {tmp_path / 'file.bin'} by hand (MD5 {MD5})."
    )
