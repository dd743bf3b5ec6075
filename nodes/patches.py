"""What happens to an identity between "sampling starts" and one attention layer.

Identities travel on the model as a plain tuple in ``transformer_options``. Nothing is registered on attention layers
until a call of the model: only then is it known which other extensions patched them, before or after us or with hooks
of a prompt, so that theirs can be called instead of replaced.

An identity belongs to the positive rows of a UNet call, and its mask to the picture a row shows. Counting cannot tell
what a row is: extensions sample tiles, windows, regions, one row at a time. So each member of the guider's conds has
markers (``adapter/rows.py``) as one more conditioning tensor, which everybody cuts and repeats as they do with the
text's. They are read where ComfyUI hands a call to the model, and the layers get tensors that are ready.

    outer_sample      who shows in this sampling
    prepare_sampling  ComfyUI learns how much memory they take
    sampler_sample    the guider's conds get their markers
    calc_cond_batch   conds that somebody made meanwhile get theirs; which identities are active now
    apply_model       the markers of this call become keys, values, biases and weights; the layers are bound to them
    CrossAttentionPatch  (layers.py) adds them

No module of ComfyUI is imported here; ``host.identity`` registers these functions with it. ``docs/neighbours.md``
tells authors of other extensions what this means for them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from torch import Tensor

from .cutout import WHOLE
from .following import Options
from .layers import READY, Attention, LayerPatches, never_past_the_model
from .sampling_run import IDENTITIES, MARKERS, Cond, SamplingRun
from .tiles import cuts_only_the_latent, with_places_in_the_latent
from .windows import retaining_window

_RUN = "faceid_run"  # SamplingRun, while sampling
_ACTIVE = "faceid_active"  # which identities act now, during one evaluation of conds
_MEMORY = "faceid_memory"  # in the conds, while ComfyUI loads the models
_LAYERS = "faceid_layers"  # LayerPatches, while sampling


def outer_sample(
    executor: Any,
    *args: Any,
    text_attention: Attention,
    as_cond: Callable[[Tensor], Any],
    tell: Callable[[str], None],
    **kwargs: Any,
) -> Any:
    """Around a whole sampling: get the identities ready to be bound, and let go of the device afterwards."""
    guider = executor.class_obj
    options = guider.model_options["transformer_options"]
    identities = tuple(identity for identity in options[IDENTITIES] if identity.attention.strength)
    if not identities:
        return executor(*args, **kwargs)
    model_sampling = guider.model_patcher.get_model_object("model_sampling")
    options[_RUN] = SamplingRun(guider, identities, model_sampling.percent_to_sigma, as_cond, tell, options.get(WHOLE))
    options[_LAYERS] = LayerPatches(identities[0].patch_keys, text_attention)
    options.setdefault("patches", {}).setdefault("attn2_patch", []).append(never_past_the_model)
    wrapper = guider.model_options.get("model_function_wrapper")
    if cuts_only_the_latent(wrapper):
        guider.model_options["model_function_wrapper"] = with_places_in_the_latent(wrapper, MARKERS)
    try:
        return executor(*args, **kwargs)
    finally:
        for identity in identities:
            identity.attention.release()


def prepare_sampling(
    executor: Any,
    model: Any,
    noise_shape: Sequence[int],
    conds: dict[str, Any],
    *args: Any,
    reserve: Callable[[int], Any],
    **kwargs: Any,
) -> Any:
    """Around loading the models: what the identities take on the device is part of ComfyUI's estimate.

    A ControlNet may ask for memory of its own while sampling, so the identities ask as one would.
    """
    model_options = kwargs.get("model_options") or (args[0] if args else None) or {}
    run = model_options.get("transformer_options", {}).get(_RUN)
    if run is None:
        return executor(model, noise_shape, conds, *args, **kwargs)
    pictures, size = noise_shape[0], (noise_shape[-2], noise_shape[-1])
    dtype = model.model.get_dtype_inference()
    needed = sum(identity.attention.nbytes(pictures, size, dtype) for identity in run.identities)
    with_memory = {**conds, _MEMORY: [{"control": reserve(needed)}]}
    real_model, returned, models = executor(model, noise_shape, with_memory, *args, **kwargs)
    return real_model, {name: members for name, members in returned.items() if name != _MEMORY}, models


def sampler_sample(
    executor: Any, guider: Any, sigmas: Tensor, extra_args: Options, callback: Any, noise: Tensor, *args: Any
) -> Any:
    """Around the sampler: the guider's conds are complete now, and get their markers."""
    run = extra_args["model_options"]["transformer_options"].get(_RUN)
    if run is not None:
        run.start(noise)
    return executor(guider, sigmas, extra_args, callback, noise, *args)


def calc_cond_batch(
    executor: Any, model: Any, conds: list[Cond | None], x: Tensor, sigmas: Tensor, model_options: Options
) -> Any:
    """Around one evaluation of conds: mark those that are new, and tell the layers who is active."""
    options = model_options["transformer_options"]
    run = options.get(_RUN)
    if run is None:  # no person is shown, or the sampling did not start with a guider
        return executor(model, conds, x, sigmas, model_options)
    run.evaluate(x)
    frames = retaining_window(model_options, len(x))
    if frames is not None:
        conds = [run.of_window(cond, frames) for cond in conds]
    conds = [run.marked(cond, x) for cond in conds]
    options = {**options, _ACTIVE: run.active(sigmas)}
    return executor(model, conds, x, sigmas, {**model_options, "transformer_options": options})


def apply_model(
    executor: Any, x: Tensor, t: Tensor, concat: Any, context: Any, control: Any, options: Options, **conds: Any
) -> Any:
    """Around one call of the model: its markers become what the layers read."""
    markers = conds.pop(MARKERS, None)
    run = options.get(_RUN)
    if run is not None:
        active = options[_ACTIVE] if _ACTIVE in options else run.active(t)
        ready = run.ready(markers, x, executor.class_obj.get_dtype_inference(), active)
        options = {**options[_LAYERS].bound(options), READY: ready}
    return executor(x, t, concat, context, control, options, **conds)
