"""What is refused before anything is loaded: checks of a posted graph, in sentences for this graph.

Each raises the ``FaceIDError`` that the user reads at the node. What cannot be known yet, because it is linked, is
checked when the node runs.
"""

from __future__ import annotations

from ..faceid_core.adapter.layers import Base
from ..faceid_core.adapter.model import READER
from ..faceid_core.adapter.variants import AdapterSpec, Variant, detect
from ..faceid_core.engines.lora_tags import lora_file
from ..faceid_core.errors import AdapterError, FaceIDError
from ..faceid_core.faces import find_pack
from ..faceid_core.model_files.kinds import Kind
from ..faceid_core.model_files.model_file import open_model_file
from ..faceid_core.prompts import Prompt
from ..faceid_core.prompts.errors import error_at, suggestion
from ..faceid_core.tunes.refs import named_tune, tunes_by_ref
from .host import folders, posted, storage
from .host.posted import PostedNode

_BASES = {Kind.SD15: Base.SD15, Kind.SDXL: Base.SDXL}


def check_prompt(text: str, node_id: str) -> None:
    """Everyone and every LoRA that a typed text names is there.

    Raises:
        PromptError: points at the tag.
    """
    prompt = Prompt(text)
    if not any(found.kind == "FaceIDApplyPrompt" for found in posted.following(node_id)):
        return  # the remote API has people and LoRAs of its own
    if prompt.parsed.faces and not posted.nodes("FaceIDCreateTune"):  # it may make who is named
        store = storage.tune_store()
        known = tunes_by_ref(store, prompt.parsed)
        for tag in prompt.parsed.faces:
            if tag.ref not in known:
                if meant := suggestion(tag.ref, storage.tune_titles()):
                    raise error_at(text, tag.start, f"there is no tune {tag.ref!r}", f"{meant.strip()} {_TUNES}")
                named_tune(store, tag, text)  # which says whether it has expired
    names = folders.lora_names() if prompt.parsed.loras else []
    for tag in prompt.parsed.loras:
        lora_file(tag, prompt, names)


_TUNES = "Keep a person with FaceID Create Tune, or choose one in FaceID Load Tune."


def check_apply(node_id: str, *, of_tunes: bool) -> None:
    """Adapter, face pack and checkpoint fit together, as far as they are chosen and not linked.

    Args:
        node_id: of FaceID Apply, or with ``of_tunes`` of FaceID Apply Prompt.

    Raises:
        AdapterError: they do not; names the nodes by their titles in this graph.
    """
    here = posted.node(node_id)
    loader = here.source("adapter") if here else None
    if here is None or loader is None or loader.kind != "FaceIDLoadAdapter":
        return
    spec = _spec(loader)
    if spec is None:
        return
    _check_base(here, loader, spec)
    if here.value("preview") is False and (of_tunes or here.source("faces") is not None):
        _check_pack(here, spec, of_tunes)


def _spec(loader: PostedNode) -> AdapterSpec | None:
    """Of the chosen file, from its header; None where it cannot be read, which the loader says."""
    name, variant = loader.value("adapter_name"), loader.value("variant") or "auto"
    try:
        path = folders.adapter_path(str(name))
        return detect(open_model_file(path, READER), None if variant == "auto" else Variant(variant))
    except (FaceIDError, ValueError):
        return None


def _check_base(here: PostedNode, loader: PostedNode, spec: AdapterSpec) -> None:
    checkpoint = here.source("model")
    while checkpoint is not None and checkpoint.kind != "CheckpointLoaderSimple":
        checkpoint = checkpoint.source("model")
    name = checkpoint.value("ckpt_name") if checkpoint is not None else None
    if checkpoint is None or name not in folders.checkpoint_names():
        return
    try:
        base = _BASES.get(open_model_file(folders.checkpoint_path(name), READER).kind)
    except FaceIDError:
        return  # ComfyUI's loader says what is wrong with it
    if base is not None and base is not spec.base:
        raise AdapterError(
            f"{loader.title!r} has an adapter for {spec.base.family} ({loader.value('adapter_name')}), "
            f"{checkpoint.title!r} a checkpoint of {base.family} ({name}). Choose two of the same base model."
        )


def _check_pack(here: PostedNode, spec: AdapterSpec, of_tunes: bool) -> None:
    extract = None if of_tunes else here.source("faces")
    if of_tunes and not any(found.kind == "FaceIDPrompt" for found in [here.source("prompt")] if found):
        return
    if not of_tunes and (extract is None or extract.kind != "FaceIDExtractFace" or extract.value("face_pack") is None):
        return
    roots = folders.insightface_roots()
    chosen = str(extract.value("face_pack")) if extract else "auto"
    pack = find_pack(chosen, roots)
    if pack.space == spec.space:
        return
    if of_tunes and not _names_somebody(here.source("prompt")):
        return
    is_there = find_pack("auto", roots).space == spec.space
    where = f"models/insightface/models/{spec.pack}"
    remedy = f"Choose {spec.pack} there." if extract and is_there else f"Put {spec.pack} into {where}."
    read = f"{extract.title!r} reads faces with {pack.name}" if extract else f"people are read with {pack.name} here"
    raise AdapterError(
        f"The picture would show somebody else: {read}, the adapter understands {spec.pack} only. {remedy} "
        f"To try the workflow without it, switch on 'preview' in {here.title!r}."
    )


def _names_somebody(prompt: PostedNode | None) -> bool:
    """Whether the text surely names a person."""
    if prompt is None or prompt.source("tune") is not None:
        return prompt is not None
    try:
        return Prompt(str(prompt.value("text") or "")).has_face
    except FaceIDError:
        return False  # which the node of the text says


def check_key(node_id: str) -> None:
    """There is a key, where the pictures of a remote node are wanted. Raises AstriaSettingsError."""
    if posted.node(node_id) is not None and posted.is_drawn(node_id):
        storage.astria_settings()
