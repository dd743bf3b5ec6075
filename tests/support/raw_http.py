"""A server that keeps each request byte for byte and gives one prepared answer: for checking what is really sent."""

from __future__ import annotations

import re
import socketserver
import threading


class RawServer:
    """``requests`` holds what has come in. Use ``with``."""

    def __init__(self, status: str = "200 OK", body: bytes = b"{}", content_type: str = "application/json") -> None:
        self.requests: list[bytes] = []
        head = f"HTTP/1.1 {status}\r\nContent-Type: {content_type}\r\nContent-Length: {len(body)}\r\nConnection: close"
        answer, requests = f"{head}\r\n\r\n".encode() + body, self.requests

        class Handler(socketserver.StreamRequestHandler):
            def handle(self) -> None:
                received = b""
                while b"\r\n\r\n" not in received and (line := self.rfile.readline()):
                    received += line
                length = re.search(rb"(?i)\r\ncontent-length: *(\d+)", received)
                requests.append(received + self.rfile.read(int(length[1]) if length else 0))
                self.wfile.write(answer)

        self._server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> RawServer:
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()


def comparable(request: bytes) -> str:
    """A request as text with line feeds: the boundary is BOUNDARY, address and length of the body are left out."""
    boundary = re.search(rb"boundary=\"?([^\s\";]+)", request)
    if boundary:
        request = request.replace(boundary[1], b"BOUNDARY")
    text = request.decode(errors="backslashreplace").replace("\r\n", "\n")
    return re.sub(r"(?m)^(Host|Content-Length|Accept-Encoding): .*\n", "", text)
