"""Progress bars on standard error, one per stage; where no terminal shows them, a line."""

from __future__ import annotations

import sys
from types import TracebackType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tqdm import tqdm


class Bars:
    """Called as an engine's ``on_progress``: (stage, done, total). A new stage starts a new bar."""

    def __init__(self) -> None:
        self._stage = ""
        self._bar: tqdm[Any] | None = None

    def __enter__(self) -> Bars:
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._close()

    def __call__(self, stage: str, done: int, total: int) -> None:
        from tqdm import tqdm

        if self._bar is None or stage != self._stage:
            self._close()
            self._stage = stage
            if not sys.stderr.isatty():
                sys.stderr.write(f"{stage}\n")
            self._bar = tqdm(total=total, desc=stage, leave=True, dynamic_ncols=True, bar_format=_FORMAT, disable=None)
        self._bar.total = total
        self._bar.update(done - self._bar.n)

    def _close(self) -> None:
        if self._bar is not None:
            self._bar.close()
            self._bar = None


_FORMAT = "{desc:<24} {bar:30} {n_fmt}/{total_fmt} {elapsed}"
