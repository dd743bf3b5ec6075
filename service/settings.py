"""What an operator of the service may choose."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta


@dataclass(frozen=True)
class ServiceSettings:
    """Defaults are those of ``faceid serve``.

    Attributes:
        public_url: how clients reach the service, when it cannot tell from their requests.
        trusted_proxies: addresses whose ``X-Forwarded-*`` headers are believed.
        is_strict: a prompt posted to a FaceID tune's own id is refused, as the API's page documents it.
        trained_as_faceid: tunes that the API would train (no ``model_type``) are kept as identities.
        needs_known_base: a base model that ``base_models.toml`` does not list is a 404, not the default model.
        is_idempotent: the same title again is the same tune.
        lifetime: how long tunes and pictures are kept; None for ever.
        allowed: host:port or CIDR that may be fetched from although private.
    """

    public_url: str | None = None
    trusted_proxies: tuple[str, ...] = ()
    is_strict: bool = False
    trained_as_faceid: bool = True
    needs_known_base: bool = False
    is_idempotent: bool = False
    lifetime: timedelta | None = None
    allowed: tuple[str, ...] = ()
