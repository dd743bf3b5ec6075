"""What waits for the end of a graph happens when its pictures are saved, and not before."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from comfy_execution.utils import CurrentNodeContext
from execution import PromptQueue
from faceid_tunes.nodes.host import graphs
from server import PromptServer

ENDS = {"success": True, "error": False, None: True}


@pytest.fixture
def queue(monkeypatch):
    server = SimpleNamespace(queue_updated=lambda: None)
    server.prompt_queue = PromptQueue(server)
    monkeypatch.setattr(PromptServer, "instance", server, raising=False)
    monkeypatch.setattr(graphs, "_LOOK", 0.01)
    return server.prompt_queue


def begun(queue: PromptQueue, name: str) -> int:
    queue.put((0, name, {}, {}, [], {}))
    return queue.get(timeout=1)[1]


def ended(queue: PromptQueue, item: int, how: str | None) -> None:
    status = None if how is None else PromptQueue.ExecutionStatus(how, how == "success", [])
    queue.task_done(item, {}, status=status)


@pytest.mark.parametrize("how", ENDS, ids=str)
def test_a_graph_that_succeeds_is_waited_for_and_one_that_fails_leaves_it_undone(queue, how):
    done: list[str] = []
    item = begun(queue, "a graph")
    with CurrentNodeContext("a graph", "7"):
        graphs.when_done(lambda: done.append("forgotten"))
    graphs.settle()
    assert not done, "the pictures are not saved yet"
    ended(queue, item, how)
    graphs.settle()
    assert bool(done) is ENDS[how]


def test_the_next_graph_settles_the_one_before(queue):
    done: list[str] = []
    first = begun(queue, "first")
    with CurrentNodeContext("first", "7"):
        graphs.when_done(lambda: done.append("first"))
    ended(queue, first, "success")
    begun(queue, "second")
    with CurrentNodeContext("second", "7"):
        graphs.settle()
        assert done == ["first"]


def test_without_a_server_nothing_is_waited_for(monkeypatch):
    monkeypatch.setattr(PromptServer, "instance", None, raising=False)
    done: list[str] = []
    graphs.when_done(lambda: done.append("forgotten"))
    assert done
