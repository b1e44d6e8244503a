"""A small Hugging Face hub on the loopback: what the client asks of it, counted."""

from __future__ import annotations

import hashlib
import json
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

COMMIT = "0123456789abcdef0123456789abcdef01234567"


class Hub:
    """Repositories (name -> folder) at one commit; `requests` are "METHOD path" in their order."""

    def __init__(self, repositories: dict[str, Path]) -> None:
        self.repositories = repositories
        self.requests: list[str] = []
        self.address = ""

    def environment(self, home: Path, **more: str) -> dict[str, str]:
        """The variables that send a client of its own process here, with a cache in `home`."""
        inherited = {k: v for k, v in os.environ.items() if not k.startswith("HF_")}
        ours = {"HF_ENDPOINT": self.address, "HF_HOME": str(home), "HF_HUB_DISABLE_XET": "1"}
        return inherited | ours | more

    def fetched(self) -> list[str]:
        """The files whose content was sent, in the order of the requests."""
        sent = [r for r in self.requests if r.startswith("GET ") and "/resolve/" in r]
        return [request.rsplit("/", 1)[-1] for request in sent]


@contextmanager
def serve(repositories: dict[str, Path]) -> Iterator[Hub]:
    """A running Hub."""
    hub = Hub(repositories)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self._answer(body=True)

        def do_HEAD(self) -> None:
            self._answer(body=False)

        def _answer(self, *, body: bool) -> None:
            path = self.path.split("?")[0]
            hub.requests.append(f"{self.command} {path}")
            for name, folder in hub.repositories.items():
                if path.startswith(f"/api/models/{name}/tree/"):
                    return self._send(_tree(folder), "application/json", body)
                if path.startswith(f"/api/models/{name}"):
                    return self._send(_info(name, folder), "application/json", body)
                if path.startswith(f"/{name}/resolve/"):
                    file = folder / path.rsplit("/", 1)[-1]
                    if file.is_file():
                        return self._send(file.read_bytes(), "application/octet-stream", body)
                    return self._missing("EntryNotFound")
            return self._missing("RepoNotFound")

        def _send(self, content: bytes, kind: str, body: bool) -> None:
            self.send_response(200)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(content)))
            self.send_header("ETag", f'"{hashlib.sha256(content).hexdigest()}"')
            self.send_header("X-Repo-Commit", COMMIT)
            self.end_headers()
            if body:
                self.wfile.write(content)

        def _missing(self, code: str) -> None:
            self.send_response(404)
            self.send_header("X-Error-Code", code)
            self.send_header("X-Repo-Commit", COMMIT)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Nothing: the test reads `requests`."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    hub.address = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _info(name: str, folder: Path) -> bytes:
    siblings = [{"rfilename": file.name} for file in sorted(folder.iterdir())]
    return json.dumps({"id": name, "sha": COMMIT, "siblings": siblings}).encode()


def _tree(folder: Path) -> bytes:
    files = [
        {"type": "file", "path": f.name, "size": f.stat().st_size, "oid": "0" * 40}
        for f in sorted(folder.iterdir())
    ]
    return json.dumps(files).encode()
