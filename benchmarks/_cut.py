"""A network between workers and their database that can be cut: nothing comes through, and nobody is told."""

from __future__ import annotations

import socket
import threading
from contextlib import suppress


class Network:
    """Forwards a local port to another. ``cut``: all connections hang. ``mend``: those end, new ones are taken."""

    def __init__(self, host: str, port: int) -> None:
        self._far = (host, port)
        self._open = threading.Event()
        self._open.set()
        self._pairs: list[tuple[socket.socket, socket.socket]] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def cut(self) -> None:
        self._open.clear()

    def mend(self) -> None:
        pairs, self._pairs = self._pairs, []
        for each in (end for pair in pairs for end in pair):
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)  # wakes the thread that reads; close alone does not
        self._open.set()

    def _accept(self) -> None:
        while True:
            near, _ = self._listener.accept()
            self._open.wait()
            far = socket.create_connection(self._far)
            self._pairs.append((near, far))
            for source, sink in ((near, far), (far, near)):
                threading.Thread(target=self._forward, args=(source, sink), daemon=True).start()

    def _forward(self, source: socket.socket, sink: socket.socket) -> None:
        with suppress(OSError):
            while data := source.recv(65536):
                self._open.wait()
                sink.sendall(data)
        for each in (source, sink):
            each.close()
