"""The graph that somebody posts, while ComfyUI checks it: what a node's check may read of the nodes around it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextvars import ContextVar
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

# ComfyUI hands a posted prompt round and then checks it, in one task. A check of nodes that are posted otherwise
# (a script inside ComfyUI) finds no graph, and what is wrong is said when the node runs.
_posted: ContextVar[Mapping[str, Any]] = ContextVar("faceid_posted", default=MappingProxyType({}))


@dataclass(frozen=True)
class PostedNode:
    """A node of the posted graph; ``inputs`` are values, or [id, output] for a link."""

    id: str
    kind: str
    title: str
    inputs: Mapping[str, Any]

    def value(self, name: str) -> Any:
        """What is typed or chosen; None for a link."""
        value = self.inputs.get(name)
        return None if isinstance(value, list) else value

    def source(self, name: str) -> PostedNode | None:
        """The node that the input is linked to."""
        link = self.inputs.get(name)
        return node(str(link[0])) if isinstance(link, list) and link else None


def remember_posted_prompts() -> None:
    """From now on ``node`` knows the prompt that is posted and being checked."""
    from server import PromptServer

    server = getattr(PromptServer, "instance", None)
    if server is not None:  # absent when nodes run without a server
        server.add_on_prompt_handler(_remember)


def _remember(posted: dict[str, Any]) -> dict[str, Any]:
    prompt = posted.get("prompt")
    _posted.set(prompt if isinstance(prompt, dict) else {})
    return posted


def node(number: str | None) -> PostedNode | None:
    """The node of that id; None where there is no graph to look at, or it is not in it."""
    found = _posted.get().get(number or "")
    if not isinstance(found, dict) or not isinstance(found.get("inputs"), dict):
        return None
    kind = str(found.get("class_type"))
    title = found.get("_meta", {}).get("title") if isinstance(found.get("_meta"), dict) else None
    return PostedNode(str(number), kind, str(title or kind), found["inputs"])


def nodes(kind: str) -> list[PostedNode]:
    """All nodes of a class."""
    return [found for found in map(node, _posted.get()) if found is not None and found.kind == kind]


def following(number: str) -> Iterator[PostedNode]:
    """The nodes that need this one; past a *FaceID Switch*, on the side that it chose only."""
    seen, waiting = {number}, [number]
    while waiting:
        current = waiting.pop()
        for found in filter(None, map(node, _posted.get())):
            names = {name for name, link in found.inputs.items() if _is_link_to(link, current)}
            if found.id in seen or not names or (found.kind == "FaceIDSwitch" and not names & _chosen(found)):
                continue
            seen.add(found.id)
            waiting.append(found.id)
            yield found


def _is_link_to(value: Any, number: str) -> bool:
    return isinstance(value, list) and bool(value) and str(value[0]) == number


def _chosen(switch: PostedNode) -> set[str]:
    backend = switch.value("backend")
    return {"local", "remote", "backend"} if backend is None else {str(backend), "backend"}


def is_drawn(number: str) -> bool:
    """Whether what the node gives gets past every switch after it."""
    return any(found.kind not in _INNER for found in following(number))


_INNER = ("FaceIDRetouch", "FaceIDCorrectFace", "FaceIDSwapFace", "FaceIDSimilarity")  # they pass pictures on
