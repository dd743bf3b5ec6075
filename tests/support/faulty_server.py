"""A web server on this machine that does what goes wrong on the way to a model."""

from __future__ import annotations

import dataclasses
import hashlib
import http.server
import re
import socket
import struct
import threading


@dataclasses.dataclass(frozen=True)
class Request:
    """range, authorization: headers of these names; sent: bytes of the body that were sent."""

    path: str
    range: str | None
    authorization: str | None
    sent: int


@dataclasses.dataclass(frozen=True)
class Fault:
    """One answer that is not the right one. after: bytes of the body sent before it goes wrong."""

    kind: str
    after: int = 0
    status: int = 0
    headers: tuple[tuple[str, str], ...] = ()


def drops(after: int) -> Fault:
    """Closes the connection in the middle."""
    return Fault("drop", after)


def resets(after: int) -> Fault:
    """Breaks the connection in the middle (TCP RST)."""
    return Fault("reset", after)


def stalls(after: int) -> Fault:
    """Sends nothing more and keeps the connection open, until the test ends."""
    return Fault("stall", after)


def says_less(after: int) -> Fault:
    """States a Content-Length of ``after``, and keeps to it."""
    return Fault("short", after)


def ignores_range() -> Fault:
    return Fault("whole")


def corrupts(after: int) -> Fault:
    """The byte at ``after`` is wrong."""
    return Fault("corrupt", after)


def answers(status: int, **headers: str) -> Fault:
    return Fault("status", status=status, headers=tuple((name.replace("_", "-"), headers[name]) for name in headers))


class FaultyServer:
    """Serves files with ranges, redirects /moved/X to X, and lets each file's faults happen, one a request."""

    def __init__(self) -> None:
        self.requests: list[Request] = []
        self.stalled = threading.Event()  # some answer has begun to stall
        self.over = threading.Event()  # ends all stalling
        self._files: dict[str, tuple[bytes, list[Fault]]] = {}
        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}"

    def serve(self, path: str, content: bytes, *faults: Fault) -> str:
        """Returns the URL."""
        self._files[path] = (content, list(faults))
        return self.url + path

    def ranges(self) -> list[str | None]:
        return [request.range for request in self.requests]

    def close(self) -> None:
        self.over.set()
        self._server.shutdown()
        self._server.server_close()

    def next_answer(self, path: str) -> tuple[bytes, Fault | None] | None:
        if path not in self._files:
            return None
        content, faults = self._files[path]
        return content, faults.pop(0) if faults else None


def _handler(server: FaultyServer) -> type[http.server.BaseHTTPRequestHandler]:
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if self.path.startswith("/moved/"):
                return self._head(302, Location=self.path.removeprefix("/moved/"))
            answer = server.next_answer(self.path)
            if answer is None:
                return self._head(404)
            content, fault = answer
            if fault and fault.kind == "status":
                self._note(0)
                return self._head(fault.status, **dict(fault.headers))
            self._send(content, fault)

        def _send(self, content: bytes, fault: Fault | None) -> None:
            kind, after = (fault.kind, fault.after) if fault else ("", 0)
            asked = re.fullmatch(r"bytes=(\d+)-", self.headers["Range"] or "")
            start = int(asked[1]) if asked and kind != "whole" else 0
            if asked and start >= len(content):
                self._note(0)
                return self._head(416, **{"Content-Range": f"bytes */{len(content)}"})
            body = content[start:after] if kind == "short" else content[start:]
            if kind == "corrupt" and after >= start:
                wrong = after - start
                body = body[:wrong] + bytes([body[wrong] ^ 1]) + body[wrong + 1 :]
            headers = {"Content-Length": str(len(body)), "ETag": f'"{hashlib.md5(content).hexdigest()}"'}
            if start:
                headers["Content-Range"] = f"bytes {start}-{len(content) - 1}/{len(content)}"
            self._head(206 if start else 200, **headers)
            sent = body[:after] if kind in ("drop", "reset", "stall") else body
            self._note(len(sent))
            self.wfile.write(sent)
            if kind == "stall":
                server.stalled.set()
                server.over.wait()
            if kind == "reset":
                self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                self.connection.close()

        def _note(self, sent: int) -> None:
            headers = self.headers["Range"], self.headers["Authorization"]
            server.requests.append(Request(self.path, *headers, sent))

        def _head(self, status: int, **headers: str) -> None:
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.end_headers()

        def log_message(self, *arguments: object) -> None:
            pass

    return Handler
