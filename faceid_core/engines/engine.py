"""What every engine is: a Prompt and the tunes it names in, pictures out.

engine.py          the protocol, and the values that cross it
plan.py            the one reading of a prompt that both local engines carry out
people.py          the people a prompt's tags name, with the faces an adapter understands
lora_tags.py       the LoRA files a prompt's tags name
start.py           the picture and the mask that come with a prompt
notes.py           what a person is told of what cannot be drawn here
embedded/          draws here, over a single-file checkpoint
comfyui/           draws in a running ComfyUI, through its queue
remote/            has the remote API draw
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from threading import Event
from typing import TYPE_CHECKING, Protocol

from ..errors import FaceIDError
from ..prompts import Prompt

if TYPE_CHECKING:
    import numpy as np

    from ..tunes.store import TuneStore

OnProgress = Callable[[str, int, int], None]  # (stage, done, total): ("loading the model", 1, 3), ("drawing", 7, 60)
Step = Callable[[str, int, int], None]  # OnProgress that looks at the cancel event first, and raises if it is set


class Cancelled(FaceIDError):  # noqa: N818, it is not an error of anybody
    """Somebody asked the engine to stop, and it has."""


class AwayError(FaceIDError):
    """What an engine draws with does not answer: through no fault of the prompt, which another machine may draw."""


@dataclass(frozen=True, eq=False)
class Picture:
    """One finished picture.

    Attributes:
        pixels: [H, W, 3] uint8 RGB.
        seed: draws it again, alone, with the same engine; None where that seed is unknown.
    """

    pixels: np.ndarray = field(repr=False)
    seed: int | None


@dataclass(frozen=True)
class Drawn:
    """The pictures in the order in which they were asked for, and what a person should know of how they were drawn.

    delivered: to be called once the pictures are where they stay. What was paid for them is not paid again before.
    """

    pictures: tuple[Picture, ...]
    notes: tuple[str, ...] = ()
    delivered: Callable[[], None] = field(default=lambda: None, repr=False, compare=False)


class Engine(Protocol):
    """Something that draws."""

    @property
    def name(self) -> str:
        """For people: "diffusers on cuda", "ComfyUI at http://127.0.0.1:8188"."""

    def draw(
        self, prompt: Prompt, store: TuneStore, on_progress: OnProgress | None = None, cancel: Event | None = None
    ) -> Drawn:
        """Draw ``prompt.num_images`` pictures of the people its tags name in ``store``.

        ``cancel`` is looked at between steps. An exception out of ``on_progress`` stops the work as well, and Ctrl-C
        does; whatever runs elsewhere for this call is stopped with it.

        Raises:
            PromptError: a tag names no tune or LoRA, or a parameter is not available here; says where in the prompt.
            FaceIDError: a model is missing or does not fit.
            Cancelled: ``cancel`` was set.
        """
        ...


def report(on_progress: OnProgress | None, cancel: Event | None, stage: str, done: int, total: int) -> None:
    """Tell that one step of an engine's work is done, and stop here when the work was cancelled.

    Raises:
        Cancelled: ``cancel`` is set.
    """
    if cancel is not None and cancel.is_set():
        raise Cancelled(f"Stopped while {stage} ({done} of {total}).")
    if on_progress is not None:
        on_progress(stage, done, total)
