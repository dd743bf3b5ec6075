"""The graph that is about to run."""

from __future__ import annotations

import hashlib
import json

from comfy_execution.progress import get_progress_state


def digest_of_what_follows(node_id: str) -> str:
    """A digest of the nodes that a node leads to in the prompt that is about to run, and of all that those need.

    The same in the next prompt unless one of them changes: a fingerprint for what has to happen anew with them.
    """
    prompt = get_progress_state().dynprompt
    nodes = {number: prompt.get_node(number) for number in prompt.all_node_ids()}
    needs = {
        number: {value[0] for value in node["inputs"].values() if isinstance(value, list) and value}
        for number, node in nodes.items()
    }
    follows = {node_id}
    while found := {number for number in nodes if needs[number] & follows} - follows:
        follows |= found
    waiting: list[str] = list(follows)
    seen: dict[str, tuple[str, object]] = {}
    while waiting:
        number = waiting.pop()
        if number in nodes and number not in seen:
            seen[number] = (nodes[number]["class_type"], nodes[number]["inputs"])
            waiting += needs[number]
    return hashlib.sha256(json.dumps(seen, sort_keys=True, default=repr).encode()).hexdigest()
