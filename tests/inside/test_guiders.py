"""The identity goes into the rows of the positive prompt, and into no others, whichever guider asks and in which order.

Every conditioning carries a number that tells it apart in the UNet; a recording identity notes for which rows it was
asked to show the person, and both must agree in every layer of every call.
"""

from __future__ import annotations

from dataclasses import replace

import comfy.context_windows
import comfy.samplers
import comfy_extras.nodes_custom_sampler as custom_sampler
import comfy_extras.nodes_pag as pag
import comfy_extras.nodes_perpneg as perpneg
import comfy_extras.nodes_sag as sag
import pytest
import torch
from faceid_tunes.faceid_core.adapter.attention import IdentityAttention
from faceid_tunes.nodes.sampling_run import IDENTITIES
from support.comfy_model import UNetSpy, apply, comfy_model, conditioning, sample
from support.fidelity import adapter_for, random_faces, saved_adapter
from support.unet import sd15_unet

POSITIVE, NEGATIVE, MIDDLE, EMPTY = 1.0, -1.0, 0.5, 0.25
WIDTH = 64
LAYERS = 16


class RecordingIdentity(IdentityAttention):
    """Notes for which rows of a call each layer shows the person."""

    def __init__(self, *args) -> None:
        super().__init__(*args)
        self.asked: list[tuple[bool, ...]] = []
        self._rows: dict[int, tuple[bool, ...]] = {}

    def ready(self, rows, *args):
        ready = super().ready(rows, *args)
        self._rows[id(ready)] = tuple(rows.positive.tolist())
        return ready

    def attend(self, layer, query, ready, *args):
        self.asked.append(self._rows[id(ready)])
        return super().attend(layer, query, ready, *args)


@pytest.fixture(scope="module")
def shown():
    """A tiny SD 1.5 with one person on it."""
    unet = sd15_unet((32, 64, 64, 64), context=WIDTH)
    with saved_adapter(adapter_for(unet, "faceid", "sd15", lora_rank=4), "faceid") as adapter:
        return apply(comfy_model(unet), adapter, random_faces())


def text(value: float, **extra) -> list:
    return conditioning(WIDTH, value, **extra)


def recorded(model) -> tuple[object, RecordingIdentity]:
    """The same model with a recording identity in place of its own."""
    patched = model.clone()
    options = patched.model_options["transformer_options"]
    (identity,) = options[IDENTITIES]
    recording = RecordingIdentity(identity.attention.kv, identity.attention.strength)
    options[IDENTITIES] = (replace(identity, attention=recording),)
    return patched, recording


def rows_of(guider_of, model, **sampling) -> list[tuple[list[float], tuple[bool, ...]]]:
    """Per UNet call: which conditioning each row had, and for which rows the identity was asked."""
    patched, recording = recorded(model)
    with UNetSpy(patched) as spy:
        sample(guider_of(patched), **sampling)
    assert len(recording.asked) == LAYERS * len(spy.calls)
    found = []
    for number, call in enumerate(spy.calls):
        asked = set(recording.asked[number * LAYERS : (number + 1) * LAYERS])
        assert len(asked) == 1, "all layers of one call agree"
        found.append((call.context[:, 0, 0].tolist(), asked.pop()))
    return found


def assert_only_positive_rows_show_the_person(calls) -> None:
    for conditionings, rows in calls:
        assert rows == tuple(value == POSITIVE for value in conditionings)
    assert any(any(rows) for _, rows in calls)


def cfg(scale: float, positive=None, negative=None):
    def guider(model):
        made = comfy.samplers.CFGGuider(model)
        made.set_conds(positive or text(POSITIVE), negative or text(NEGATIVE))
        made.set_cfg(scale)
        return made

    return guider


def test_cfg(shown):
    calls = rows_of(cfg(3.0), shown)
    assert calls == [([NEGATIVE, POSITIVE], (False, True))]


def test_cfg_1_has_positive_rows_only(shown):
    assert rows_of(cfg(1.0), shown) == [([POSITIVE], (True,))]


def test_a_batch_of_latents(shown):
    calls = rows_of(cfg(3.0), shown, batch=3)
    assert calls == [([NEGATIVE] * 3 + [POSITIVE] * 3, (False,) * 3 + (True,) * 3)]


def test_prompts_of_different_length_run_in_calls_of_their_own(shown):
    calls = rows_of(cfg(3.0, negative=conditioning(WIDTH, NEGATIVE, tokens=78)), shown)
    assert_only_positive_rows_show_the_person(calls)


@pytest.mark.parametrize("nested", [False, True])
def test_dual_cfg(shown, nested):
    def guider(model):
        made = custom_sampler.Guider_DualCFG(model)
        made.set_conds(text(POSITIVE), text(MIDDLE), text(NEGATIVE))
        made.set_cfg(3.0, 2.0, nested=nested)
        return made

    calls = rows_of(guider, shown)
    assert sorted(calls[0][0]) == [NEGATIVE, MIDDLE, POSITIVE]
    assert_only_positive_rows_show_the_person(calls)


def test_perp_neg_guider(shown):
    def guider(model):
        made = perpneg.Guider_PerpNeg(model)
        made.set_conds(text(POSITIVE), text(NEGATIVE), text(EMPTY))
        made.set_cfg(3.0, 1.0)
        return made

    calls = rows_of(guider, shown)
    assert sorted(calls[0][0]) == [NEGATIVE, EMPTY, POSITIVE]
    assert_only_positive_rows_show_the_person(calls)


def test_the_older_perp_neg_node_whose_empty_prompt_the_guider_does_not_know(shown):
    (patched,) = perpneg.PerpNeg.execute(shown, text(EMPTY), 1.0).args
    calls = rows_of(cfg(3.0), patched)
    assert [EMPTY] in [conditionings for conditionings, _ in calls]
    assert_only_positive_rows_show_the_person(calls)


def test_self_attention_guidance_degrades_the_negative_pass(shown):
    (patched,) = sag.SelfAttentionGuidance.execute(shown, 0.5, 2.0).args
    # 32x32, so that SAG's middle block map is large enough for it to act
    calls = rows_of(cfg(3.0), patched, size=(32, 32))
    assert len(calls) == 2 and calls[1] == ([NEGATIVE], (False,))
    assert_only_positive_rows_show_the_person(calls)


def test_perturbed_attention_guidance_repeats_the_positive_pass(shown):
    (patched,) = pag.PerturbedAttentionGuidance.execute(shown, 3.0).args
    calls = rows_of(cfg(3.0), patched)
    assert calls[1] == ([POSITIVE], (True,))
    assert_only_positive_rows_show_the_person(calls)


def test_regional_prompts(shown):
    left = text(POSITIVE, area=(16, 12, 0, 0), strength=1.0, set_area_to_bounds=False)
    right = text(POSITIVE, area=(16, 12, 0, 12), strength=1.0, set_area_to_bounds=False)
    calls = rows_of(cfg(3.0, positive=left + right), shown)
    assert_only_positive_rows_show_the_person(calls)


def test_context_windows_which_rebuild_the_lists_of_conds(shown):
    windows = comfy.context_windows.IndexListContextHandler(
        context_schedule=comfy.context_windows.get_matching_context_schedule("standard_static"),
        fuse_method=comfy.context_windows.get_matching_fuse_method("pyramid"),
        context_length=2,
        context_overlap=1,
        dim=0,
    )
    patched = shown.clone()
    patched.model_options["context_handler"] = windows
    calls = rows_of(cfg(3.0), patched, batch=4)
    assert len(calls) > 1
    assert_only_positive_rows_show_the_person(calls)


def test_multiple_steps_keep_their_roles(shown):
    calls = rows_of(cfg(3.0), shown, steps=3)
    assert len(calls) == 3
    assert_only_positive_rows_show_the_person(calls)


def test_guiders_do_not_leak_into_each_other(shown):
    first, second = rows_of(cfg(3.0), shown), rows_of(cfg(1.0), shown)
    assert first == [([NEGATIVE, POSITIVE], (False, True))]
    assert second == [([POSITIVE], (True,))]
    assert isinstance(shown.model_options["transformer_options"][IDENTITIES], tuple)
    assert not torch.is_inference_mode_enabled()
