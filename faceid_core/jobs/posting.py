"""From what a client posts to tunes that are kept and prompts that are promised.

The API trains tunes without ``model_type``; here nothing is trained. ``trained_as_faceid`` keeps their photos as an
identity, and reads the words that stand for a trained person (``ohwx woman``) as that person's tag.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from ..astria.wire.callbacks import whole_callback_json
from ..astria.wire.tune_request import TuneRequest
from ..prompts import Prompt
from ..prompts.errors import error_at
from ..prompts.grammar import parse
from ..tunes.analysis import analyse
from ..tunes.errors import QuotaError, TuneError, TuneNotFoundError
from ..tunes.fields import check_name, check_title, checked
from ..tunes.store import TuneStore
from . import api_tunes
from .answers import photo_names, tune_object
from .api_tunes import ApiTune
from .job import Job
from .listing import count_since
from .outbox import add_delivery
from .queue import Jobs
from .rules import Poster, Rules

if TYPE_CHECKING:
    from ..faces import FacePack

FACEID = "faceid"
NOT_A_CHECKPOINT = "model_type=faceid is not supported. Use a checkpoint instead"  # the API's own sentence
_TRIGGERS = ("ohwx", "sks")  # the API's words for a trained person, SDXL and SD 1.5
_TEMPLATE = re.compile(r"\{\{\s*([\w-]+)\s*\}\}")


@dataclass(frozen=True)
class Desk:
    """Where posts arrive. ``base_ids`` are the base models of the table, the default one first."""

    store: TuneStore
    jobs: Jobs
    pack: FacePack
    base_ids: Sequence[int]
    rules: Rules
    clock: Callable[[], datetime]

    def take_tune(self, wanted: TuneRequest, photos: Sequence[bytes], poster: Poster) -> tuple[ApiTune, bool]:
        """Keep a person, and promise the prompts that come along. Returns the tune, and whether it is new.

        Raises:
            TuneError, PromptError: names the field.
        """
        self._check_kind(wanted)
        if self.rules.is_idempotent and (known := api_tunes.tune_titled(self.store, wanted.title, poster.owner)):
            return known, False
        if wanted.prompts:
            self._check_quota(poster.owner)
        if not photos:
            raise TuneError("tune[images] is empty: send at least one photo of the person.", "tune[images]")
        title, name, fields = check_title(wanted.title), check_name(wanted.name), _fields(wanted)
        analysis = analyse(photos, self.pack)
        draft = analysis.tune(title, name, **fields)
        known = ApiTune(draft, wanted.title, wanted.model_type, dict(wanted.characteristics))
        made = api_tunes.keep(self.store, draft, analysis.files, known, poster.owner)
        for prompt in wanted.prompts:
            self.take_prompt(made.tune.id, prompt, poster)
        if wanted.callback:
            self._call_back(made, wanted.callback, poster)
        return made, True

    def take_prompt(self, tune_id: int, prompt: Prompt, poster: Poster) -> Job:
        """Promise a prompt, posted to a base model or to a tune.

        Raises:
            TuneNotFoundError: there is no such base model or tune.
            TuneError: the tune cannot be drawn with.
            PromptError: a tag names no tune of this owner; says where.
            QuotaError: the token has posted as many as it may.
        """
        self._check_quota(poster.owner)
        tune = None if tune_id in self.base_ids else api_tunes.tune_of(self.store, tune_id, poster.owner)
        if tune is None and tune_id not in self.base_ids and self.rules.needs_known_base:
            raise TuneNotFoundError(f"There is no tune or base model {tune_id}.")
        base = tune_id if tune is None else self._base_of(tune)
        return self._promise(prompt, base, tune, poster)

    def _promise(
        self, prompt: Prompt, base: int, tune: ApiTune | None, poster: Poster, orig_prompt_id: int | None = None
    ) -> Job:
        """Post the prompt with its people by number; ``tune`` is the one it is for, if any."""
        text = prompt.text if tune is None else _for_tune(prompt, tune)
        text, people = self._with_ids(text, poster.owner)
        text = filled(text, [tune, *people] if tune else people)
        drawn = prompt if text == prompt.text else replace(prompt, text=text)
        return self.jobs.post(
            drawn,
            tune_id=base,
            base_url=poster.base_url,
            owner=poster.owner,
            text=prompt.text,
            orig_prompt_id=orig_prompt_id,
            may_call_here=poster.may_call_here,
        )

    def take_again(self, job: Job, drawn: Prompt, prompt: Prompt, poster: Poster) -> Job:
        """Promise an earlier prompt once more, with what ``prompt`` changes.

        A prompt for a trained tune means its person without a tag (``ohwx woman``), and is posted to the base model
        now: its tag is taken from what was drawn.

        Args:
            job: the earlier one.
            drawn: what was drawn for it, with every tag by number.
            prompt: what the client asks for now.
        """
        self._check_quota(poster.owner)
        is_implied = drawn.has_face and not parse(job.text).faces and not prompt.has_face
        people = [api_tunes.tune_of(self.store, tag.tune_id or 0, poster.owner) for tag in drawn.parsed.faces]
        person = next(filter(None, people), None) if is_implied else None
        return self._promise(prompt, job.tune_id, person, poster, job.id)

    def _check_quota(self, owner: int) -> None:
        most = self.rules.prompts_per_day
        if most is not None and count_since(self.store.database, owner, self.clock() - timedelta(days=1)) >= most:
            raise QuotaError(f"{most} prompts in 24 hours are posted: wait, or ask who runs the service for more.")

    def _check_kind(self, wanted: TuneRequest) -> None:
        if wanted.model_type != FACEID and not self.rules.trained_as_faceid:
            raise TuneError(
                f"tune[model_type] is {wanted.model_type or 'not set'}: nothing is trained here. Send {FACEID}.",
                "tune[model_type]",
            )

    def _base_of(self, tune: ApiTune) -> int:
        base = tune.tune.base_tune_id
        if tune.model_type != FACEID:
            return base or next(iter(self.base_ids), tune.tune.id)
        if base is None or self.rules.is_strict:
            raise TuneError(NOT_A_CHECKPOINT)
        return base

    def _with_ids(self, text: str, owner: int) -> tuple[str, list[ApiTune]]:
        """The text with every face tag by number, and whom it names; ``<lora:ID:S>`` of a tune names its person."""
        parsed = parse(text)
        people: list[ApiTune] = []
        for tag in sorted((*parsed.faces, *parsed.loras), key=lambda tag: tag.start, reverse=True):
            found = None if tag.tune_id is None else api_tunes.tune_of(self.store, tag.tune_id, owner)
            if tag in parsed.loras and found is None:
                continue
            found = found or api_tunes.tune_titled(self.store, tag.ref, owner)
            if found is None:
                raise error_at(text, tag.start, f"there is no tune {tag.ref!r}", "GET /tunes lists yours.")
            people.append(found)
            text = f"{text[: tag.start]}<faceid:{found.tune.id}:{tag.strength:g}>{text[tag.end :]}"
        return text, people[::-1]

    def _call_back(self, tune: ApiTune, url: str, poster: Poster) -> None:
        names = photo_names(tune.tune)
        body = whole_callback_json(tune_object(tune.tune, poster.base_url, names, tune.title, tune.model_type))
        add_delivery(self.store.database, url, body, is_local=poster.may_call_here, now=self.clock())


def _fields(wanted: TuneRequest) -> dict[str, Any]:
    """The fields of the API that a tune keeps. Raises TuneError."""
    kept = ("token", "base_tune_id", "steps", "face_crop", "training_face_correct", "callback")
    values = {name: getattr(wanted, name) for name in kept}
    return checked(values | {"is_api": True, "branch": wanted.branch or "sd15"})


def _for_tune(prompt: Prompt, tune: ApiTune) -> str:
    """The text of a prompt that is posted to a tune: it means the tune's person where it names nobody."""
    if not prompt.has_face and (prompt.only_retouches or tune.model_type == FACEID):
        return f"<faceid:{tune.tune.id}:1> {prompt.text}".strip()
    return prompt.text if tune.model_type == FACEID else with_person(prompt.text, tune)


def with_person(text: str, tune: ApiTune) -> str:
    """A text for a trained tune as one that names its person: ``ohwx woman`` -> ``<faceid:12:1> woman``.

    A text without the trigger word would draw anybody: the tag goes in front.
    """
    tag = f"<faceid:{tune.tune.id}:1>"
    words = "|".join(map(re.escape, filter(None, (tune.tune.token, *_TRIGGERS))))
    replaced, count = re.subn(rf"(?<![\w<:])(?:{words})(?![\w:>])", tag, text, flags=re.IGNORECASE)
    if count:
        first, _, rest = replaced.partition(tag)
        return first + tag + rest.replace(tag, "").replace("  ", " ")
    return text if any(each.tune_id == tune.tune.id for each in parse(text).faces) else f"{tag} {tune.tune.name} {text}"


def filled(text: str, people: Collection[ApiTune]) -> str:
    """``{{key}}`` from the characteristics of the people; a key that nobody has stays."""
    values: dict[str, str] = {}
    for tune in people:
        values |= {key: value for key, value in tune.characteristics.items() if key not in values}
    return _TEMPLATE.sub(lambda match: values.get(match[1], match[0]), text)
