"""Prompts: what to draw, as text with tags and flags and the API's parameters.

prompt.py      the value: Prompt, checked at construction
text.py        a parsed text: Tag, Flag, PromptText
grammar.py     string -> PromptText and back
flags.py       the known --flags and their values
defaults.py    the local engines' defaults for what a prompt leaves open
seeds.py       which seed draws what
schedulers.py  the API's scheduler names, in ComfyUI's and diffusers' terms
styles.py      the API's styles, as words around a text
lint.py        advice
lookalikes.py  words that a person reads as a tag
seen.py        text as a person sees it, in plain signs
notations.py   notations of other programs that are plain words here
errors.py      PromptError
"""

from .defaults import Settings, resolve, resolve_cfg_scale, resolve_seeds, resolve_size
from .errors import PromptError
from .grammar import format, parse, rewrite_refs, with_tag
from .lint import Lint, TuneFacts, lint
from .prompt import RETOUCH_FLAGS, RETOUCH_SWITCHES, SWITCHES, Prompt
from .schedulers import SCHEDULERS, Scheduler, local_scheduler
from .text import Flag, PromptText, Tag

__all__ = [
    "RETOUCH_FLAGS",
    "RETOUCH_SWITCHES",
    "SCHEDULERS",
    "SWITCHES",
    "Flag",
    "Lint",
    "Prompt",
    "PromptError",
    "PromptText",
    "Scheduler",
    "Settings",
    "Tag",
    "TuneFacts",
    "format",
    "lint",
    "local_scheduler",
    "parse",
    "resolve",
    "resolve_cfg_scale",
    "resolve_seeds",
    "resolve_size",
    "rewrite_refs",
    "with_tag",
]
