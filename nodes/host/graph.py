"""The graph that is about to run."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from comfy_execution.progress import get_progress_state


def digest_of_what_follows(node_id: str) -> str:
    """A digest of the nodes that a node leads to in the prompt that is about to run, and of all that those need.

    The same in the next prompt unless one of them changes: a fingerprint for what has to happen anew with them.
    """
    nodes = _nodes()
    needs = _needs(nodes)
    waiting = list(_following(node_id, needs))
    seen: dict[str, tuple[str, object]] = {}
    while waiting:
        number = waiting.pop()
        if number in nodes and number not in seen:
            seen[number] = (nodes[number]["class_type"], nodes[number]["inputs"])
            waiting += needs[number]
    return hashlib.sha256(json.dumps(seen, sort_keys=True, default=repr).encode()).hexdigest()


def leads_to(node_id: str, class_type: str) -> bool:
    """Whether a node of that class needs this one, in the prompt that is about to run."""
    nodes = _nodes()
    return any(
        nodes[number]["class_type"] == class_type for number in _following(node_id, _needs(nodes)) & nodes.keys()
    )


def _nodes() -> dict[str, dict[str, Any]]:
    prompt = get_progress_state().dynprompt
    return {number: prompt.get_node(number) for number in prompt.all_node_ids()}


def _needs(nodes: Mapping[str, dict[str, Any]]) -> dict[str, set[str]]:
    """Which nodes each node has links from."""
    return {
        number: {value[0] for value in node["inputs"].values() if isinstance(value, list) and value}
        for number, node in nodes.items()
    }


def _following(node_id: str, needs: Mapping[str, set[str]]) -> set[str]:
    """The node, and all that need it."""
    follows = {node_id}
    while found := {number for number in needs if needs[number] & follows} - follows:
        follows |= found
    return follows
