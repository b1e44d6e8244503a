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
from urllib.parse import unquote

COMMIT = "0123456789abcdef0123456789abcdef01234567"


# Of the other revisions, by their first letters.
OTHER = "89abcdef"


class Hub:
    """Repositories (name -> folder) at one commit; `requests` are "METHOD path" in their order.

    name@revision: another revision of a repository, whose commit is `commit(revision)`.
    """

    def __init__(self, repositories: dict[str, Path]) -> None:
        self.repositories = repositories
        self.requests: list[str] = []
        self.address = ""

    def environment(self, home: Path, **more: str) -> dict[str, str]:
        """The variables that send a client of its own process here, with a cache in `home`."""
        inherited = {k: v for k, v in os.environ.items() if not k.startswith("HF_")}
        ours = {"HF_ENDPOINT": self.address, "HF_HOME": str(home), "HF_HUB_DISABLE_XET": "1"}
        return inherited | ours | more

    def find(self, name: str, revision: str) -> tuple[Path, str] | None:
        """Folder and commit."""
        if revision in ("main", COMMIT):
            return self.repositories[name], COMMIT
        for key, folder in self.repositories.items():
            its = key.partition("@")[2]
            if key.startswith(f"{name}@") and revision in (its, commit(its)):
                return folder, commit(its)
        return None

    def fetched(self) -> list[str]:
        """The files whose content was sent, in the order of the requests."""
        sent = [r for r in self.requests if r.startswith("GET ") and "/resolve/" in r]
        return [request.rsplit("/", 1)[-1] for request in sent]


def commit(revision: str) -> str:
    """Of a revision that is not the newest one."""
    return OTHER + hashlib.sha1(revision.encode()).hexdigest()[: 40 - len(OTHER)]


@contextmanager
def serve(repositories: dict[str, Path]) -> Iterator[Hub]:
    """A running Hub."""
    hub = Hub(repositories)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        commit = COMMIT

        def do_GET(self) -> None:
            self._answer(body=True)

        def do_HEAD(self) -> None:
            self._answer(body=False)

        def _answer(self, *, body: bool) -> None:
            path = self.path.split("?")[0]
            hub.requests.append(f"{self.command} {path}")
            for name in (key for key in hub.repositories if "@" not in key):
                for start in (f"/api/models/{name}", f"/{name}/resolve"):
                    if path == start or path.startswith(f"{start}/"):
                        return self._of(name, unquote(path[len(start) :]), body)
            return self._missing("RepoNotFound")

        def _of(self, name: str, rest: str, body: bool) -> None:
            parts = rest.lstrip("/").split("/")
            kind = parts.pop(0) if parts[0] in ("tree", "revision") else ""
            # refs/pr/1 is one revision.
            revision = "/".join(parts[:3]) if parts[0] == "refs" else parts[0] or "main"
            file = "/".join(parts[3 if parts[0] == "refs" else 1 :])
            found = hub.find(name, revision)
            if found is None:
                return self._missing("RevisionNotFound")
            folder, self.commit = found
            if kind == "tree":
                return self._send(_tree(folder), "application/json", body)
            if not file:
                return self._send(_info(name, folder, self.commit), "application/json", body)
            if (folder / file).is_file():
                return self._send((folder / file).read_bytes(), "application/octet-stream", body)
            return self._missing("EntryNotFound")

        def _send(self, content: bytes, kind: str, body: bool) -> None:
            self.send_response(200)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(content)))
            self.send_header("ETag", f'"{hashlib.sha256(content).hexdigest()}"')
            self.send_header("X-Repo-Commit", self.commit)
            self.end_headers()
            if body:
                self.wfile.write(content)

        def _missing(self, code: str) -> None:
            self.send_response(404)
            self.send_header("X-Error-Code", code)
            self.send_header("X-Repo-Commit", self.commit)
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


def _info(name: str, folder: Path, sha: str) -> bytes:
    siblings = [{"rfilename": file} for file in _files(folder)]
    return json.dumps({"id": name, "sha": sha, "siblings": siblings}).encode()


def _tree(folder: Path) -> bytes:
    files = [
        {"type": "file", "path": f, "size": (folder / f).stat().st_size, "oid": "0" * 40}
        for f in _files(folder)
    ]
    return json.dumps(files).encode()


def _files(folder: Path) -> list[str]:
    return sorted(f.relative_to(folder).as_posix() for f in folder.rglob("*") if f.is_file())
