"""What is queued in ComfyUI, and what it is read from: no ComfyUI needed."""

from __future__ import annotations

from dataclasses import replace

import pytest
from faceid_tunes.faceid_core.engines.comfyui.client import ComfyUIError, comfyui_url, refusal
from faceid_tunes.faceid_core.engines.comfyui.graph import (
    DrawSettings,
    Job,
    ModelFiles,
    Stage,
    draw_job,
    prompt_inputs,
    text_there,
    title_there,
    tune_job,
)
from faceid_tunes.faceid_core.engines.comfyui.job import raise_failure
from faceid_tunes.faceid_core.engines.comfyui.models import (
    CORE,
    OURS,
    ComfyModels,
    check_nodes,
    check_retouch,
    choose_files,
    nodes_for,
)
from faceid_tunes.faceid_core.engines.notes import undrawn_fields
from faceid_tunes.faceid_core.errors import AdapterError
from faceid_tunes.faceid_core.prompts import Prompt, PromptError
from faceid_tunes.faceid_core.retouch import RetouchError
from faceid_tunes.faceid_core.tunes.tune import Tune, TunePhoto
from support.workflows import api_form, inputs, node_id

ADDRESS = "http://127.0.0.1:8188"
FILES = ModelFiles("photo.safetensors", "ip-adapter-faceid_sd15.bin")


def tune(title: str = "Anna", photo: str = "a", number: int = 1) -> Tune:
    return Tune(title, "woman", id=number, photos=(TunePhoto(photo * 64, "image/jpeg", 640, 480),))


def kinds(job: Job) -> list[str]:
    return sorted(node["class_type"] for node in job.graph.values())


# -- people -----------------------------------------------------------------------------------------------------------


def test_two_people_of_one_title_have_two_titles_in_comfyui():
    assert title_there(tune()) == title_there(tune())
    assert title_there(tune()).startswith("Anna ")
    assert title_there(tune()) != title_there(tune(photo="b"))


@pytest.mark.parametrize("title", ["Anna <3", "a:b", "12", "A" * 255, "<>"])
def test_every_title_becomes_one_that_fits_in_a_tag(title: str):
    prompt = Prompt("<faceid:7:0.8> woman")
    person = tune(title)
    (tag,) = Prompt(text_there(prompt, {"7": person})).parsed.faces
    assert (tag.ref, tag.strength) == (title_there(person), 0.8)
    assert len(tag.ref) <= 255
    assert tag.tune_id is None


def test_only_the_people_of_a_text_are_renamed():
    prompt = Prompt("<lora:grain:0.5> <faceid:Anna:1> woman and <faceid:2:0.5> man --outpaint center")
    people = {"Anna": tune(), "2": tune("Ben", "b", 2)}
    expected = f"<lora:grain:0.5> <faceid:{title_there(people['Anna'])}:1> woman and "
    assert text_there(prompt, people) == expected + f"<faceid:{title_there(people['2'])}:0.5> man --outpaint center"


# -- graphs -----------------------------------------------------------------------------------------------------------


def test_one_photo_goes_straight_into_the_tune():
    job = tune_job(["faceid/a.png [temp]"], "Anna 1", "woman", "x")
    assert kinds(job) == ["FaceIDCreateTune", "LoadImage", "PreviewAny"]
    assert job.stages == (Stage("finding faces", ("tune",), total=1),)


@pytest.mark.parametrize(("photos", "batches"), [(2, 1), (50, 1), (51, 3), (2501, 54)])
def test_every_photo_reaches_the_tune_in_order(photos: int, batches: int):
    names = [f"{number}.png" for number in range(photos)]
    job = tune_job(names, "Anna 1", "woman", "x")

    def leaves(node: str) -> list[str]:
        if job.graph[node]["class_type"] == "LoadImage":
            return [job.graph[node]["inputs"]["image"]]
        members = job.graph[node]["inputs"]
        assert list(members) == [f"images.image{number}" for number in range(len(members))]
        assert len(members) <= 50
        return [leaf for source, _ in members.values() for leaf in leaves(source)]

    assert leaves(job.graph["tune"]["inputs"]["images"][0]) == names
    assert kinds(job).count("BatchImagesNode") == batches


def test_the_drawing_graph_is_the_shipped_workflow_without_its_tune_and_its_output_folder():
    shipped = api_form("prompt_a_tune")
    prompt = Prompt("woman trekking in the alps", seed=42)
    job = draw_job(prompt, prompt.text, 30, DrawSettings(FILES), "x")
    ours = {node["class_type"]: node["inputs"].keys() for node in job.graph.values()}
    theirs = {node["class_type"]: node["inputs"].keys() for node in shipped.values()}
    assert ours.keys() - theirs.keys() == {"PreviewImage"}
    assert theirs.keys() - ours.keys() == {"FaceIDLoadTune", "SaveImage"}
    both = ours.keys() & theirs.keys()
    assert {kind: set(ours[kind]) - {"job"} for kind in both} == {kind: set(theirs[kind]) - {"tune"} for kind in both}


def test_the_image_encoder_is_connected_when_there_is_one():
    prompt = Prompt("woman")
    job = draw_job(prompt, prompt.text, 30, DrawSettings(replace(FILES, clip_vision="h.safetensors")), "x")
    assert inputs(job.graph, "CLIPVisionLoader") == {"clip_name": "h.safetensors"}
    assert inputs(job.graph, "FaceIDApplyPrompt")["clip_vision"] == ["clip_vision", 0]


@pytest.mark.parametrize(
    "flag",
    ["super_resolution", "hires_fix", "face_correct", "face_swap", "inpaint_faces", "color_grading", "film_grain"],
)
def test_a_flag_that_comes_after_sampling_puts_retouching_before_the_pictures(flag: str):
    prompt = Prompt("woman", **{flag: "Ektar" if flag == "color_grading" else True})
    job = draw_job(prompt, prompt.text, 30, DrawSettings(FILES, preview=True), "x")
    assert inputs(job.graph, "FaceIDRetouch") == {
        "images": [node_id(job.graph, "VAEDecode"), 0],
        "prompt": [node_id(job.graph, "FaceIDPrompt"), 0],
        "swap_model": "auto",
        "restore_model": "auto",
        "preview": True,
        "guider": [node_id(job.graph, "FaceIDApplyPrompt"), 1],
        "vae": [node_id(job.graph, "CheckpointLoaderSimple"), 2],
    }
    assert inputs(job.graph, "PreviewImage") == {"images": [node_id(job.graph, "FaceIDRetouch"), 0]}
    assert job.stages[-1] == Stage("retouching", (node_id(job.graph, "FaceIDRetouch"),))


def test_the_drawing_and_retouching_graph_is_the_shipped_workflow_with_its_upscaler():
    prompt = Prompt("woman", super_resolution=True)
    job = draw_job(prompt, prompt.text, 30, DrawSettings(replace(FILES, upscaler="x4.pth")), "x")
    shipped = api_form("retouch")
    assert set(inputs(job.graph, "FaceIDRetouch")) == set(inputs(shipped, "FaceIDRetouch"))
    assert inputs(job.graph, "UpscaleModelLoader") == {"model_name": "x4.pth"}


def test_no_upscaler_is_loaded_for_a_prompt_that_does_not_ask_for_it():
    prompt = Prompt("woman", film_grain=True)
    job = draw_job(prompt, prompt.text, 30, DrawSettings(replace(FILES, upscaler="x4.pth")), "x")
    assert "UpscaleModelLoader" not in kinds(job)


def test_status_lines_are_heard_of_both_nodes_that_no_other_job_has():
    prompt = Prompt("woman", film_grain=True)
    one, other = (draw_job(prompt, prompt.text, 30, DrawSettings(FILES), unique) for unique in ("x", "y"))
    assert [one.graph[node]["class_type"] for node in one.speakers] == ["FaceIDApplyPrompt", "FaceIDRetouch"]
    assert not set(one.speakers) & set(other.speakers)


def test_a_prompt_that_leaves_everything_open_becomes_the_nodes_own_defaults_but_for_the_seed_and_cfg():
    assert prompt_inputs(Prompt("woman"), "woman") == {
        "text": "woman",
        "negative_prompt": "",
        "num_images": 1,
        "seed": 42,
        "cfg_scale": 7.5,  # nobody's face in the text: what a prompt without a face tag gets everywhere
        "aspect_ratio": "1:1",
        "steps": 0,
        "w": 0,
        "h": 0,
        "scheduler": "auto",
        "style": "none",
        "color_grading": "none",
        "face_swap": False,
        "face_correct": False,
        "super_resolution": False,
        "hires_fix": False,
        "inpaint_faces": False,
        "use_lpw": False,
        "film_grain": False,
    }


def test_every_parameter_that_the_node_has_arrives_there():
    given = {
        "negative_prompt": "blurry",
        "num_images": 3,
        "seed": 7,
        "cfg_scale": 2.5,
        "aspect_ratio": "16:9",
        "steps": 12,
        "w": 640,
        "h": 360,
        "scheduler": "euler_a",
        "style": "Cinematic",
        "color_grading": "Ektar",
        "face_swap": True,
        "film_grain": True,
    }
    assert given.items() <= prompt_inputs(Prompt("woman", **given), "woman").items()


@pytest.mark.parametrize(("ar", "ratio"), [("portrait", "2:3"), ("landscape", "3:2"), ("16:9", "16:9"), ("1:1", "1:1")])
def test_the_older_names_of_aspect_ratios_arrive_as_the_newer(ar: str, ratio: str):
    assert prompt_inputs(Prompt("woman", ar=ar), "woman")["aspect_ratio"] == ratio


def test_parameters_the_nodes_do_not_have_are_told():
    assert undrawn_fields(Prompt("woman")) == []
    prompt = Prompt("woman", controlnet="pose", input_image="https://example.com/a.png", denoising_strength=0.0)
    assert undrawn_fields(prompt) == ["input_image", "denoising_strength", "controlnet"]


# -- choosing models --------------------------------------------------------------------------------------------------


def node_info(checkpoints=("photo.safetensors",), adapters=("ip-adapter-faceid_sd15.bin",), encoders=()) -> dict:
    """As ComfyUI answers: nodes of the older kind list their options directly, newer ones in a map."""
    kinds = ("FaceIDPrompt", "FaceIDApplyPrompt", "FaceIDCreateTune", "FaceIDLoadTune", "LoraLoader")
    older = {"CheckpointLoaderSimple": ("ckpt_name", checkpoints), "CLIPVisionLoader": ("clip_name", encoders)}
    found = {kind: {} for kind in (*kinds, "SamplerCustomAdvanced", "BatchImagesNode")}
    found |= {kind: {"input": {"required": {name: [list(files)]}}} for kind, (name, files) in older.items()}
    newer = {"adapter_name": ["COMBO", {"options": list(adapters)}]}
    return found | {"FaceIDLoadAdapter": {"input": {"required": newer}}}


def test_the_only_file_of_a_kind_is_taken():
    assert choose_files(node_info(), ComfyModels(), ADDRESS) == FILES


def test_adapters_that_are_not_for_faces_are_not_in_question():
    info = node_info(adapters=("ip-adapter_sd15.bin", "sub/ip-adapter-FaceID_sd15.bin"))
    assert choose_files(info, ComfyModels(), ADDRESS).adapter == "sub/ip-adapter-FaceID_sd15.bin"


@pytest.mark.parametrize("name", ["sub/photo.safetensors", "photo.safetensors", "photo"])
def test_a_file_is_named_with_or_without_folder_and_ending(name: str):
    info = node_info(checkpoints=("a.safetensors", "sub/photo.safetensors"))
    assert choose_files(info, ComfyModels(checkpoint=name), ADDRESS).checkpoint == "sub/photo.safetensors"


@pytest.mark.parametrize(
    ("there", "chosen"),
    [
        ((), None),
        (("4x-UltraSharp.pth", "sub/RealESRGAN_x4plus.safetensors"), "sub/RealESRGAN_x4plus.safetensors"),
        (("4x-UltraSharp.pth", "RealESRGAN_x4plus_anime_6B.pth"), "4x-UltraSharp.pth"),
    ],
)
def test_pictures_are_enlarged_with_the_model_of_the_manifest_or_else_the_first(there: tuple, chosen: str | None):
    info = node_info() | {"UpscaleModelLoader": {"input": {"required": {"model_name": [list(there)]}}}}
    assert choose_files(info, ComfyModels(), ADDRESS).upscaler == chosen


def test_several_files_are_listed_to_choose_from():
    info = node_info(checkpoints=("a.safetensors", "b.safetensors"))
    with pytest.raises(ComfyUIError, match=r"checkpoint: .* several\. Choose one of a\.safetensors, b\.safetensors"):
        choose_files(info, ComfyModels(), ADDRESS)


def test_a_file_that_is_not_there_is_answered_with_those_that_are():
    with pytest.raises(ComfyUIError, match=r"no 'photos' in models/checkpoints\. Did you mean 'photo'\?"):
        choose_files(node_info(), ComfyModels(checkpoint="photos"), ADDRESS)


def test_an_empty_folder_says_where_to_put_the_file():
    with pytest.raises(ComfyUIError, match=r"adapter: .* has no file in models/ipadapter"):
        choose_files(node_info(adapters=()), ComfyModels(), ADDRESS)


ENCODERS = ("clip_g.safetensors", "CLIP-ViT-H-14-laion2B-s32B-b79K.safetensors")


def test_a_plus_adapter_gets_the_vit_h_encoder_and_a_plain_one_none():
    plus = node_info(adapters=("ip-adapter-faceid-plusv2_sd15.bin",), encoders=ENCODERS)
    assert choose_files(plus, ComfyModels(), ADDRESS).clip_vision == ENCODERS[1]
    assert choose_files(node_info(encoders=ENCODERS), ComfyModels(), ADDRESS).clip_vision is None
    named = ComfyModels(clip_vision="clip_g")
    assert choose_files(node_info(encoders=ENCODERS), named, ADDRESS).clip_vision == ENCODERS[0]


def test_a_plus_adapter_without_its_encoder_is_refused_at_once():
    info = node_info(adapters=("ip-adapter-faceid-plusv2_sd15.bin",), encoders=ENCODERS[:1])
    with pytest.raises(ComfyUIError, match="ViT-H/14, which this adapter needs"):
        choose_files(info, ComfyModels(), ADDRESS)


def test_missing_nodes_are_named_and_how_to_get_them():
    info = node_info()
    check_nodes(info, ADDRESS)
    with pytest.raises(ComfyUIError, match=r"\(FaceIDPrompt\).*comfy node install"):
        check_nodes({kind: info[kind] for kind in info if kind != "FaceIDPrompt"}, ADDRESS)
    with pytest.raises(ComfyUIError, match="BatchImagesNode: update"):
        check_nodes({kind: info[kind] for kind in info if kind != "BatchImagesNode"}, ADDRESS)


def test_older_nodes_are_good_enough_for_a_prompt_that_asks_for_no_retouching():
    older = node_info()
    check_retouch(older, Prompt("woman"), ADDRESS)
    check_retouch(older | {"FaceIDRetouch": {}}, Prompt("woman", face_swap=True), ADDRESS)
    with pytest.raises(
        ComfyUIError, match=r"without FaceIDRetouch, which face_swap, film_grain need\. .*comfy node update"
    ):
        check_retouch(older, Prompt("woman", face_swap=True, film_grain=True), ADDRESS)


def test_only_nodes_that_the_prompt_needs_are_asked_for():
    assert nodes_for(Prompt("woman")) == (*OURS, *CORE)
    assert nodes_for(Prompt("woman", film_grain=True)) == (*OURS, *CORE, "FaceIDRetouch")
    assert nodes_for(Prompt("woman", super_resolution=True))[-2:] == ("FaceIDRetouch", "UpscaleModelLoader")


# -- addresses and answers --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("127.0.0.1:8188", "http://127.0.0.1:8188"),
        (" http://localhost:8188/ ", "http://localhost:8188"),
        ("https://host/comfy/", "https://host/comfy"),
        ("[::1]:8188", "http://[::1]:8188"),
    ],
)
def test_an_address_may_be_written_as_people_do(written: str, read: str):
    assert str(comfyui_url(written)).rstrip("/") == read


@pytest.mark.parametrize("written", ["", "ftp://host", "http://", "http://host:port", "http://host:99999"])
def test_a_text_that_is_not_an_address_is_refused(written: str):
    with pytest.raises(ComfyUIError, match=r"is not ComfyUI's address\. Write it as in"):
        comfyui_url(written)


def test_a_refusal_names_each_node_and_its_reason():
    error = {"message": "Value 9 bigger than max of 8", "details": "num_images"}
    whole = {"message": "Prompt outputs failed validation", "details": ""}
    nodes = {"prompt": {"class_type": "FaceIDPrompt", "errors": [error]}}
    assert refusal({"error": whole, "node_errors": nodes}) == "FaceIDPrompt: Value 9 bigger than max of 8, num_images"
    assert refusal({"error": whole, "node_errors": {}}) == "Prompt outputs failed validation"


def failure(node: str, kind: str, message: str) -> dict:
    failed = {"node_type": node, "exception_type": kind, "exception_message": message}
    return {"status_str": "error", "messages": [["execution_start", {}], ["execution_error", failed]]}


def test_an_error_of_our_nodes_is_the_same_error_here():
    for kind in (PromptError, AdapterError, RetouchError):
        exception_type = f"custom_nodes.faceid.faceid_core.errors.{kind.__name__}"
        with pytest.raises(kind) as error:
            raise_failure(failure("FaceIDApplyPrompt", exception_type, "Word for word.\n"), ADDRESS)
        assert str(error.value) == "Word for word."


def test_running_out_of_memory_is_told_in_comfyuis_words_and_where():
    status = failure("SamplerCustomAdvanced", "torch.OutOfMemoryError", "Allocation on device 0 would exceed memory.\n")
    with pytest.raises(ComfyUIError) as error:
        raise_failure(status, ADDRESS)
    said = "OutOfMemoryError: Allocation on device 0 would exceed memory."
    assert str(error.value) == f"{ADDRESS} failed in SamplerCustomAdvanced: {said}"
