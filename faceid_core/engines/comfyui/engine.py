"""The engine: photos and prompt over there, pictures back."""

from __future__ import annotations

import asyncio
import hashlib
import io
import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from threading import Event
from typing import TYPE_CHECKING, Any

from ...pictures.png import png_bytes
from ...prompts import Prompt, resolve, resolve_seeds
from ...prompts.defaults import SD15_RESOLUTION, SDXL_RESOLUTION
from ...retouch.resample import partial_steps
from ...said import Said
from ...tunes.refs import named_tune
from ..engine import Drawn, OnProgress, Picture, report
from ..lora_tags import lora_file
from ..notes import flags_note, retouch_note, undrawn_fields
from ..start import StartPicture, with_start
from .client import ComfyUI, ComfyUIError, comfyui_url, connected, new_id
from .client import address as shown_address
from .graph import (
    DrawSettings,
    RetouchSettings,
    StartFiles,
    draw_job,
    retouch_job,
    text_there,
    title_there,
    tune_job,
)
from .job import Tell, run_job
from .models import (
    CORE,
    OURS,
    ComfyModels,
    NodeInfo,
    check_nodes,
    check_retouch,
    choices,
    choose_files,
    find_upscaler,
    nodes_for,
)
from .photos import sendable_photos

if TYPE_CHECKING:
    import numpy as np

    from ...tunes.store import TuneStore
    from ...tunes.tune import Tune

__all__ = ["ComfyModels", "ComfyUIEngine", "ComfyUIError", "find_comfyui"]

DEFAULT_URL = "http://127.0.0.1:8188"
_SUBFOLDER = "faceid"
_FIND_SECONDS = 2
_SIZE = re.compile(r"\d+x\d+")


def find_comfyui(urls: Sequence[str] = (DEFAULT_URL,)) -> str | None:
    """The first of the addresses at which a ComfyUI with our nodes answers; takes two seconds each at most."""

    async def check(url: str) -> None:
        async with connected(comfyui_url(url)) as comfyui:
            check_nodes(await comfyui.node_info((*OURS, *CORE)), comfyui.address)

    for url in urls:
        with suppress(ComfyUIError, asyncio.TimeoutError):
            asyncio.run(asyncio.wait_for(check(url), _FIND_SECONDS))
            return url
    return None


class ComfyUIEngine:
    """Draws in the ComfyUI at a URL.

    People are sent along: a tune that the prompt names is kept in that ComfyUI too, once, under a title of its own
    (``title_there``). The photos go through its temporary folder; pictures are fetched from there, nothing is put into
    its output folder.

    Args:
        models: model files by ComfyUI's names for them.
        preview: allow faces of another embedding space than the adapter's; the likeness is meaningless then.
        lora_strength: of the LoRA inside the adapter.
        structure: PlusV2 only: how much of the face's structure comes along.
        shares_store: that ComfyUI reads the very store that ``draw`` is given: people are there already.
        job_id: the id of the job over there. One that ComfyUI has already is followed, not sent again.
    """

    def __init__(
        self,
        url: str,
        models: ComfyModels = ComfyModels(),  # noqa: B008, a frozen value
        *,
        preview: bool = False,
        lora_strength: float = 1.0,
        structure: float = 1.0,
        shares_store: bool = False,
        job_id: str | None = None,
    ) -> None:
        """Raises ComfyUIError when the URL cannot be used. Nothing is sent yet."""
        self._shares_store, self._job_id = shares_store, job_id
        self._url = comfyui_url(url)
        self._models = models
        self._preview, self._lora_strength, self._structure = preview, lora_strength, structure
        self.name = f"ComfyUI at {shown_address(self._url)}"

    def draw(
        self, prompt: Prompt, store: TuneStore, on_progress: OnProgress | None = None, cancel: Event | None = None
    ) -> Drawn:
        """See ``Engine.draw``. Not to be called from a running event loop: use a thread there.

        Raises:
            ComfyUIError: ComfyUI is not there, lacks nodes or models, or its job failed.
        """
        people = {tag.ref: named_tune(store, tag, prompt.text) for tag in prompt.parsed.faces}
        side = SDXL_RESOLUTION if "sdxl" in (self._models.adapter or "").lower() else SD15_RESOLUTION
        prompt, start = with_start(prompt, side)
        steps = resolve(prompt, side).steps  # and what cannot be drawn is refused before anything is sent
        if start is not None and not prompt.only_retouches:
            steps, run = partial_steps(steps, start.denoise)
            prompt, steps = replace(prompt, steps=steps), run
        return asyncio.run(self._draw(prompt, people, steps, start, store, _teller(on_progress, cancel)))

    async def _draw(
        self,
        prompt: Prompt,
        people: Mapping[str, Tune],
        steps: int,
        start: StartPicture | None,
        store: TuneStore,
        tell: Tell,
    ) -> Drawn:
        tell("looking for ComfyUI", 0, 1)
        async with connected(self._url) as comfyui:
            info = await comfyui.node_info(nodes_for(prompt))
            check_nodes(info, comfyui.address)
            check_retouch(info, prompt, comfyui.address)
            for tag in prompt.parsed.loras:
                lora_file(tag, prompt, choices(info, "LoraLoader", "lora_name"))
            settings = None if prompt.only_retouches else self._settings(info, comfyui.address)
            tell("looking for ComfyUI", 1, 1)
            text = prompt.text
            if not self._shares_store:
                await _bring(comfyui, info, list({tune.id: tune for tune in people.values()}.values()), store, tell)
                text = text_there(prompt, people)
            sent = None if start is None else await _sent(comfyui, start)
            if settings is not None:
                job = draw_job(prompt, text, steps, settings, unique=new_id(), start=sent)
            else:
                assert sent is not None
                how = RetouchSettings(find_upscaler(info), self._preview)
                job = retouch_job(prompt, text, sent.picture, how, unique=new_id())
            record, said = await run_job(comfyui, job, tell, self._job_id)
            pictures = await _fetched(comfyui, record, resolve_seeds(prompt), tell)
        if prompt.only_retouches:
            said = (None, *said)
        return Drawn(pictures, _notes(prompt, people, *said))

    def _settings(self, info: NodeInfo, address: str) -> DrawSettings:
        files = choose_files(info, self._models, address)
        return DrawSettings(files, self._preview, self._lora_strength, self._structure)


async def _sent(comfyui: ComfyUI, start: StartPicture) -> StartFiles:
    """The picture to draw on, and its mask, in ComfyUI's temporary folder."""

    async def upload(pixels: np.ndarray) -> str:
        png = png_bytes(pixels)
        return await comfyui.upload(f"{hashlib.sha256(png).hexdigest()}.png", png, _SUBFOLDER)

    mask = None if start.mask is None else await upload(start.mask)
    return StartFiles(await upload(start.pixels), mask, start.denoise)


async def _bring(comfyui: ComfyUI, info: NodeInfo, people: Sequence[Tune], store: TuneStore, tell: Tell) -> None:
    """Keep those people in ComfyUI that it does not have yet."""
    there = set(choices(info, "FaceIDLoadTune", "tune"))
    new = [tune for tune in people if title_there(tune) not in there]
    total = sum(len(tune.used_photos) for tune in new)
    names = choices(info, "FaceIDCreateTune", "name")
    sent = 0
    for tune in new:
        photos = []
        for name, png in sendable_photos(tune, store):
            tell("sending photos", sent, total)
            photos.append(await comfyui.upload(name, png, _SUBFOLDER))
            sent += 1
        tell("sending photos", sent, total)
        name = tune.name if tune.name in names else names[0]
        await run_job(comfyui, tune_job(photos, title_there(tune), name, unique=new_id()), tell)


async def _fetched(
    comfyui: ComfyUI, record: Mapping[str, Any], seeds: Sequence[int], tell: Tell
) -> tuple[Picture, ...]:
    places = record["images"]
    if len(places) != len(seeds):
        raise ComfyUIError(
            f"{comfyui.address} drew {len(places)} pictures, not {len(seeds)}. Is it of another version?"
        )
    pictures = []
    for number, (place, seed) in enumerate(zip(places, seeds, strict=True), 1):
        try:
            pixels = _pixels(await comfyui.view(place))
        except (ComfyUIError, OSError, SyntaxError) as error:
            raise ComfyUIError(f"Picture {number} of {len(seeds)} was drawn but cannot be fetched: {error}") from error
        pictures.append(Picture(pixels, seed))
        tell("fetching pictures", number, len(seeds))
    return tuple(pictures)


def _pixels(png: bytes) -> np.ndarray:
    import numpy as np
    from PIL import Image

    with Image.open(io.BytesIO(png)) as picture:
        return np.array(picture.convert("RGB"))


def _notes(
    prompt: Prompt, people: Mapping[str, Tune], drawing: Said | None, retouching: Said | None = None
) -> tuple[str, ...]:
    """What the nodes that drew and retouched said, with people called as they are called here."""
    notes = [*_notes_of_drawing(prompt, drawing), *_notes_of_retouching(prompt, retouching)]
    if ignored := undrawn_fields(prompt):
        notes.append("ComfyUI's FaceID nodes do not take: " + ", ".join(ignored))
    for tune in people.values():
        notes = [note.replace(title_there(tune), tune.title) for note in notes]
    return tuple(notes)


def _notes_of_drawing(prompt: Prompt, said: Said | None) -> list[str]:
    """What the node says, but for what it leaves to the node after it."""
    if said is not None:
        return [*said.warnings, *(line for line in said.lines if line != retouch_note(prompt))]
    left_out = flags_note(prompt)  # a ComfyUI with FaceID nodes of another version
    return [left_out] if left_out else []


def _notes_of_retouching(prompt: Prompt, said: Said | None) -> list[str]:
    """What was done and what could not be: it comes beside the size of the finished pictures."""
    if said is not None:
        return [*said.warnings, *(line for line in said.lines if not _SIZE.fullmatch(line))]
    flags = prompt.retouch_flags
    return [f"retouched, as far as ComfyUI's log does not say otherwise: {', '.join(flags)}"] if flags else []


def _teller(on_progress: OnProgress | None, cancel: Event | None) -> Tell:
    """``report`` that does not repeat what it said last."""
    told: tuple[str, int, int] | None = None

    def tell(stage: str, done: int, total: int) -> None:
        nonlocal told
        is_new, told = told != (stage, done, total), (stage, done, total)
        report(on_progress if is_new else None, cancel, stage, done, total)

    return tell
