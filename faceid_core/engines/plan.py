"""What a local engine is to draw, and with what: the one reading of a prompt that the graph and ``embedded`` carry out.

A new flag of drawing, or a new base model, is written here and nowhere else.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from ..adapter.layers import Base
from ..faces import describe_doubts
from ..prompts import Prompt, Settings, Tag, resolve
from ..prompts.defaults import SD15_RESOLUTION, SDXL_RESOLUTION
from ..prompts.styles import styled
from .lora_tags import lcm_lora, lora_file
from .notes import not_local_note
from .people import TaggedPerson

TRAINED_SIDE = {Base.SD15: SD15_RESOLUTION, Base.SDXL: SDXL_RESOLUTION}  # pixels a side of what a base model learned


@dataclass(frozen=True)
class PlannedLora:
    """A LoRA file, by its name in the LoRA folder, and its strengths on the UNet and on the text encoder."""

    name: str
    strength: float
    text_strength: float


@dataclass(frozen=True, eq=False)
class Plan:
    """A prompt, with nothing left open and everyone found.

    Attributes:
        prompt: what was asked for.
        settings: size, steps, guidance, scheduler and a seed per image.
        positive: the text for the text encoder, in its style.
        negative: what the picture must not show, in its style.
        loras: of the text's tags, in its order.
        lcm_lora: the file for the UNet alone; None where LCM is not asked for, or has no file.
        people: of the text's face tags, in its order.
        who: who is shown, and how strongly.
        drawing_notes: how it is drawn: LCM, the style.
        left_out: what is not drawn here.
    """

    prompt: Prompt
    settings: Settings
    positive: str
    negative: str
    loras: tuple[PlannedLora, ...]
    lcm_lora: str | None
    people: tuple[TaggedPerson, ...]
    who: tuple[str, ...]
    drawing_notes: tuple[str, ...]
    left_out: tuple[str, ...]

    @property
    def doubts(self) -> tuple[str, ...]:
        """Why it is not sure whom the people's photos show, a sentence each."""
        return tuple(doubt for person in self.people for doubt in _doubts(person))


def make_plan(
    prompt: Prompt,
    base: Base,
    lora_names: Callable[[], Iterable[str]],
    find_people: Callable[[], Iterable[TaggedPerson]],
) -> Plan:
    """Settle all that a prompt asks for before sampling, the cheapest first.

    Args:
        prompt: what was asked for.
        base: of the checkpoint.
        lora_names: lists the LoRA folder; called when a LoRA is needed.
        find_people: finds the people that the tags name; called when the text names any.

    Raises:
        PromptError: a parameter cannot be used here, or a tag names no tune or no LoRA; says where in the prompt.
    """
    settings = resolve(prompt, TRAINED_SIDE[base])
    needs_lcm = settings.scheduler.needs_lcm
    names = list(lora_names()) if prompt.parsed.loras or needs_lcm else []
    lcm = lcm_lora(names, sdxl=base is Base.SDXL) if needs_lcm else None
    loras = tuple(_planned(tag, prompt, names) for tag in prompt.parsed.loras)
    positive, negative = styled(prompt.parsed.plain_text, prompt.negative_prompt, prompt.style)
    people = tuple(find_people()) if prompt.has_face else ()
    return Plan(
        prompt=prompt,
        settings=settings,
        positive=positive,
        negative=negative,
        loras=loras,
        lcm_lora=lcm,
        people=people,
        who=tuple(f"{person.title} at {person.tag.strength:g}" for person in people),
        drawing_notes=tuple(_drawing_notes(prompt, needs_lcm, lcm)),
        left_out=tuple(filter(None, [not_local_note(prompt)])),
    )


def _planned(tag: Tag, prompt: Prompt, names: Sequence[str]) -> PlannedLora:
    text_strength = tag.strength if tag.text_strength is None else tag.text_strength
    return PlannedLora(lora_file(tag, prompt, names), tag.strength, text_strength)


def _doubts(person: TaggedPerson) -> Iterator[str]:
    return (f"{person.title}: {doubt}" for doubt in describe_doubts(person.faces))


def _drawing_notes(prompt: Prompt, needs_lcm: bool, lora: str | None) -> Iterator[str]:
    if needs_lcm:
        yield f"LCM with {lora}" if lora else "LCM without its LoRA: put an lcm-lora file into models/loras"
    if prompt.style:
        yield prompt.style
