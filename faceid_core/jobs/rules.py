"""What an operator chooses about tunes and prompts that are posted, and who posts. Imports nothing."""

from __future__ import annotations

from dataclasses import dataclass

LOCAL = 0  # the owner of what is made on this machine, without a token, by whatever skin


@dataclass(frozen=True)
class Rules:
    """Where the API leaves a choice, or clients expect more than its page says.

    Attributes:
        is_strict: a prompt posted to a FaceID tune's own id is refused, as the API's page documents it.
        trained_as_faceid: tunes that the API would train are kept as identities; else they are refused.
        needs_known_base: a base model that is not in the table is unknown, not the default model.
        is_idempotent: the same title again is the same tune.
        prompts_per_day: how many prompts one token may post in 24 hours; None: any number.
    """

    is_strict: bool = False
    trained_as_faceid: bool = True
    needs_known_base: bool = False
    is_idempotent: bool = False
    prompts_per_day: int | None = None


@dataclass(frozen=True)
class Poster:
    """Who posts, how they call the service, and whether from this machine itself."""

    owner: int
    base_url: str
    is_here: bool = False

    @property
    def may_call_here(self) -> bool:
        """Whether callbacks may go to other servers of this machine."""
        return self.is_here or self.owner == LOCAL
