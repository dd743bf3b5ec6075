"""What an operator of the service may choose."""

from __future__ import annotations

from dataclasses import dataclass, field

from ..faceid_core.jobs.rules import Rules


@dataclass(frozen=True)
class ServiceSettings:
    """Defaults are those of ``faceid serve``.

    Attributes:
        public_url: how clients reach the service, when it cannot tell from their requests.
        trusted_proxies: addresses whose ``X-Forwarded-*`` headers are believed.
        rules: what the API leaves open about tunes and prompts.
        allowed: address:port or CIDR that may be fetched from although private.
        callback_secret: signs callbacks as Standard Webhooks has it (``whsec_`` and base64); None: not signed.
        closed_ports: of this machine, which no client may have us call: our own, and a ComfyUI's.
    """

    public_url: str | None = None
    trusted_proxies: tuple[str, ...] = ()
    rules: Rules = field(default_factory=Rules)
    allowed: tuple[str, ...] = ()
    closed_ports: tuple[int, ...] = (8188,)
    callback_secret: str | None = field(default=None, repr=False)
