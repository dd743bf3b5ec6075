"""What may happen to a request of fake_astria.py instead of its answer."""

from __future__ import annotations

from dataclasses import dataclass, field

from aiohttp import web


@dataclass(frozen=True)
class Fault:
    """What happens to one request instead of its answer.

    ``work``: what becomes of the order: "none", "done" before the fault, or done "later" (``seconds`` after it).
    ``how``: "answer" with ``status``; "reset" the connection; "cut" the true answer in the middle; "stall" for
    ``seconds`` and then reset; "slow": the work is done and the true answer comes after ``seconds``.
    ``body`` replaces the answer's body, ``shorten`` halves it and says so.
    """

    how: str = "answer"
    status: int = 500
    work: str = "none"
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b'{"error":"Something went wrong"}'
    content_type: str = "application/json"
    shorten: bool = False
    seconds: float = 0.02


def abort(request: web.Request) -> None:
    if request.transport is not None:
        request.transport.abort()


async def cut(request: web.Request, answer: web.Response) -> web.StreamResponse:
    """The answer's head and half of its body, then the end of the connection."""
    response = web.StreamResponse(status=answer.status, headers=answer.headers)
    response.content_length = len(answer.body)
    await response.prepare(request)
    await response.write(answer.body[: len(answer.body) // 2])
    request.transport.close()
    return response
