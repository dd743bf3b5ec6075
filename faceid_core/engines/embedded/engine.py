"""The embedded engine: draws here, one thread at a time, with models that stay in memory."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from functools import cache, cached_property, partial
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING

import torch

from ...adapter.layers import Base
from ...adapter.model import Adapter, load_adapter
from ...adapter.tokens import ClipFeatures, IdentityTokens, identity_tokens, preview_note
from ...cache import LRUCache
from ...errors import AdapterError, FaceIDError, MissingDependencyError
from ...faces import Faces
from ...faces.packs import BUFFALO_L_URL
from ...model_files.model_file import ModelFile
from ...prompts import Prompt, resolve_seeds
from ...retouch import changes_faces, retouch_picture, shape_note
from ..engine import Drawn, OnProgress, Picture, Step, report
from ..notes import not_local_note
from ..people import TaggedPerson, tagged_people
from ..plan import TRAINED_SIDE, Plan, make_plan
from ..start import with_start
from .checkpoint import open_checkpoint
from .clip_vision import clip_features, image_encoder_file
from .errors import ReplacedError
from .loras import Lora, lora_files
from .models import EmbeddedModels
from .retouch_tools import retouch_tools
from .text_encoding import textual_inversions

if TYPE_CHECKING:
    import numpy as np

    from ...retouch import Tools
    from ...tunes.store import TuneStore
    from .loaded_model import LoadedModel, Order


class DiffusersEngine:
    """Draws on this machine. The models are read at the first picture and kept; one thread draws at a time."""

    def __init__(
        self,
        models: EmbeddedModels,
        *,
        device: str | None = None,
        dtype: torch.dtype | None = None,
        preview: bool = False,
        lora_strength: float = 1.0,
        structure: float = 1.0,
    ) -> None:
        """An engine that has loaded nothing yet.

        Args:
            device: "cuda", "mps" or "cpu"; the first of them that is there.
            dtype: of the UNet; float16, on the CPU float32.
            preview: allow faces of another embedding space than the adapter's; the likeness is meaningless then.
            lora_strength: of the LoRA inside the adapter (1.0 as trained).
            structure: weight of the CLIP part of PlusV2 (1.0 as trained).

        Raises:
            FaceIDError: this machine has no such device.
            MissingDependencyError: diffusers or something it needs is not installed.
        """
        _check_dependencies()
        self.models = models
        self.device = _device(device)
        self.dtype = dtype or (torch.float32 if self.device.type == "cpu" else torch.float16)
        self.preview, self.lora_strength, self.structure = preview, lora_strength, structure
        self.name = f"diffusers on {self.device}"
        self._checkpoint: ModelFile | None = None
        self._model: LoadedModel | None = None
        # Tokens of 16 people: 25 KB each, 100 KB for Portrait of one photo.
        self._tokens: LRUCache[IdentityTokens] = LRUCache(limit=16)
        self._drawing = threading.Lock()

    def draw(
        self, prompt: Prompt, store: TuneStore, on_progress: OnProgress | None = None, cancel: Event | None = None
    ) -> Drawn:
        """See ``Engine.draw``; a batch is drawn one picture after the other, each as its seed draws it alone.

        Raises:
            CheckpointError: a model file is missing, damaged or something else.
        """
        step = partial(report, on_progress, cancel)
        with self._drawing, torch.no_grad():
            try:
                return self._draw(prompt, store, step)
            except ReplacedError:
                self._checkpoint = self._model = None
                raise

    def _draw(self, prompt: Prompt, store: TuneStore, step: Step) -> Drawn:
        # What can be wrong with the order comes first, then what is cheap to read, gigabytes last.
        prompt, start = with_start(prompt, TRAINED_SIDE[Base.SD15])
        tools = retouch_tools(prompt, self.models, self.device, step)
        if start is not None and prompt.only_retouches:
            return self._retouched(prompt, start.pixels, store, tools, step)
        if self._checkpoint is None:
            self._checkpoint = open_checkpoint(self.models.checkpoint)
        files = cache(partial(lora_files, self.models.loras))
        plan = make_plan(
            prompt,
            Base.SD15,
            lora_names=files,
            find_people=partial(self._find_people, prompt, store, step),
        )
        # CLIP ViT-H, where it is needed, is as large as the other parts; it is released before they are read.
        tokens = tuple(self._identity_tokens(person.faces, step) for person in plan.people)
        from .loaded_model import LoadedModel, Order

        if self._model is None:
            self._model = LoadedModel(self._checkpoint, self.device, self.dtype, partial(step, "loading the model"))
        adapter = self._adapter if plan.people else None
        order = Order(plan, adapter, tokens, self.lora_strength, tuple(_loras(plan, files)), start)
        pictures, retouch_notes = self._pictures(self._model, order, tools, step)
        preview = preview_note(adapter, (person.faces for person in plan.people)) if adapter else ""
        before = [*filter(None, [preview]), *plan.doubts, *plan.who, *plan.drawing_notes, *plan.left_out]
        return Drawn(pictures, (*before, *_inversions_note(plan), *retouch_notes))

    def _retouched(self, prompt: Prompt, pixels: np.ndarray, store: TuneStore, tools: Tools, step: Step) -> Drawn:
        """The prompt's own picture, with nothing drawn: no checkpoint is read."""
        people = tuple(self._find_people(prompt, store, step)) if prompt.has_face else ()
        (seed,) = resolve_seeds(prompt)
        done = retouch_picture(
            pixels,
            prompt,
            [person.faces for person in people],
            tools,
            seed,
            preview=self.preview,
            on_step=lambda flag, done, total: step("retouching", done, total),
        )
        left_out = not_local_note(prompt)
        return Drawn((Picture(done.picture, seed),), (*filter(None, [left_out]), *done.notes))

    def _pictures(
        self, model: LoadedModel, order: Order, tools: Tools, step: Step
    ) -> tuple[tuple[Picture, ...], list[str]]:
        """Each seed's picture, drawn and retouched, and the notes on the retouching."""
        plan, pictures = order.plan, []
        notes = [shape_note(tools.parse)] if changes_faces(plan.prompt, tools) else []
        seeds, people = plan.settings.seeds, [person.faces for person in plan.people]
        with model.drawing(order) as drawing:
            tools = replace(tools, resample=partial(drawing.again, on_step=partial(step, "drawing again")))
            for number, seed in enumerate(seeds):
                drawn = drawing.picture(seed, _counting(step, number, len(seeds)))
                retouched = retouch_picture(
                    drawn,
                    plan.prompt,
                    people,
                    tools,
                    seed,
                    preview=self.preview,
                    on_step=lambda flag, done, total: step("retouching", done, total),
                )
                pictures.append(Picture(retouched.picture, seed))
                notes += [f"image {number + 1}: {note}" if len(seeds) > 1 else note for note in retouched.notes]
        return tuple(pictures), notes

    @cached_property
    def _adapter(self) -> Adapter:
        adapter = load_adapter(self.models.adapter)
        if adapter.spec.base is not Base.SD15:
            raise AdapterError(
                f"{adapter.name} is {adapter.spec.title}; the embedded engine draws SD 1.5 so far. "
                "Use an adapter for SD 1.5, such as ip-adapter-faceid_sd15.bin."
            )
        return adapter

    @cached_property
    def _image_encoder(self) -> ModelFile:
        return image_encoder_file(self.models.image_encoder, f"{self._adapter.name} is {self._adapter.spec.title}")

    def _find_people(self, prompt: Prompt, store: TuneStore, step: Step) -> Iterator[TaggedPerson]:
        pack, spec = self.models.pack, self._adapter.spec
        if pack.space != spec.space and not self.preview:
            raise AdapterError(
                f"The faces would be read with the face pack {pack.name!r} (embedding space {pack.space!r}), but "
                f"{self._adapter.name} was trained on {spec.pack} ({spec.space!r}): the picture would show "
                f"somebody else. Unpack {BUFFALO_L_URL} into models/insightface/models/{spec.pack} (its licence "
                "allows non-commercial research only), or ask for a preview; the likeness is meaningless then."
            )
        if self._adapter.spec.variant.uses_clip:
            _ = self._image_encoder
        on_photo = partial(step, "finding faces")
        return tagged_people(prompt, store, self._adapter, pack, preview=self.preview, on_photo=on_photo)

    def _identity_tokens(self, faces: Faces, step: Step) -> IdentityTokens:
        def compute() -> IdentityTokens:
            clip = self._clip_features(faces, step) if self._adapter.spec.variant.uses_clip else None
            return identity_tokens(self._adapter, faces, clip, self.structure)

        return self._tokens.get_or_make(faces.digest, compute)

    def _clip_features(self, faces: Faces, step: Step) -> ClipFeatures:
        step("looking at the face", 0, 1)
        features = clip_features(self._image_encoder, faces, self.device)
        step("looking at the face", 1, 1)
        return features


def _counting(step: Step, number: int, count: int) -> Callable[[int, int], None]:
    """Steps of one picture of several, counted through."""
    return lambda done, total: step("drawing", number * total + done, count * total)


def _loras(plan: Plan, files: Callable[[], Mapping[str, Path]]) -> Iterator[Lora]:
    """The LoRA files of the tags and of LCM."""
    for lora in plan.loras:
        yield Lora(files()[lora.name], lora.strength, lora.text_strength)
    if plan.lcm_lora is not None:
        yield Lora(files()[plan.lcm_lora], 1.0, 0.0)


def _inversions_note(plan: Plan) -> list[str]:
    inversions = textual_inversions(f"{plan.prompt.parsed.plain_text} {plan.prompt.negative_prompt}")
    return ["textual inversions are read as words: " + ", ".join(inversions)] if inversions else []


def _device(name: str | None) -> torch.device:
    there = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    if name is None:
        return torch.device(next(kind for kind, is_there in there.items() if is_there))
    if not there.get(name.partition(":")[0]):
        raise FaceIDError(f"There is no device {name!r} here. There is {', '.join(k for k, v in there.items() if v)}.")
    return torch.device(name)


def _check_dependencies() -> None:
    from importlib.util import find_spec

    missing = [name for name in ("accelerate", "diffusers", "torchsde", "transformers") if not find_spec(name)]
    if missing:
        raise MissingDependencyError(
            f"The embedded engine needs {', '.join(missing)}: pip install 'faceid-tunes[standalone]'."
        )
