"""What is in front of a face stays: the mask that a face parser makes, in swaps and corrections.

The parser is a function that returns a known map of labels, so that each pixel's part can be said exactly; the network
itself has the published key set with random values.
"""

from __future__ import annotations

import numpy as np
import pytest
import torch
from faceid_tunes.faceid_core.faces import find_faces
from faceid_tunes.faceid_core.prompts import Prompt
from faceid_tunes.faceid_core.retouch import (
    RetouchError,
    Tools,
    changes_faces,
    face_parser,
    load_parser,
    load_restorer,
    load_swapper,
    load_tools,
    restore_faces,
    retouch_picture,
    shape_note,
    swap_faces,
)
from faceid_tunes.faceid_core.retouch.bisenet import CLASSES, BiSeNet
from faceid_tunes.faceid_core.retouch.crop import crop_face, crop_matrix
from faceid_tunes.faceid_core.retouch.face_mask import OWN, Part, face_masks, own_share
from faceid_tunes.faceid_core.retouch.face_parser import parse_crops
from faceid_tunes.faceid_core.retouch.paste import make_patch
from faceid_tunes.faceid_core.retouch.preferred import preferred_parsers
from support import photos
from support.retouch_models import parser_tensors, write_parser, write_restorer, write_swapper


@pytest.fixture(scope="module")
def redder(tmp_path_factory):
    """Adds a third to red, everywhere in the face."""
    file = tmp_path_factory.mktemp("red") / "inswapper_red.onnx"
    return load_swapper(write_swapper(file, gain=(0.5, 0.5, 0.5), offset=(0.5, 0, 0), emap=np.eye(512)))


@pytest.fixture(scope="module")
def brighter(tmp_path_factory):
    return load_restorer(write_restorer(tmp_path_factory.mktemp("b") / "bright_512.onnx", offset=(0.4, 0.4, 0.4)))


def face_with(part: Part, columns: slice):
    """A parser that sees a face all over, and ``part`` in some columns of every crop."""

    def parse(crops: np.ndarray) -> np.ndarray:
        labels = np.full(crops.shape[:3], Part.SKIN, np.uint8)
        labels[:, 230:250, 180:340] = Part.LEFT_EYE
        labels[:, 260:320, 240:270] = Part.NOSE
        labels[:, 350:390, 200:310] = Part.MOUTH
        labels[:, :, columns] = part
        return labels

    return parse


def labels_in_picture(parse, face, shape) -> np.ndarray:
    """[H, W]: the label of the parsed pixel nearest to each pixel of the picture; 255 outside the crop."""
    matrix = crop_matrix(face.landmarks, "ffhq_512", 512)
    y, x = np.mgrid[: shape[0], : shape[1]]
    u, v = (np.rint(row[0] * x + row[1] * y + row[2]).astype(int) for row in matrix)
    there = (u >= 0) & (u < 512) & (v >= 0) & (v < 512)
    labels = parse(np.zeros((1, 512, 512, 3), np.uint8))[0]
    return np.where(there, labels[v.clip(0, 511), u.clip(0, 511)], 255)


def swapped(picture, six, swapper, pack, parse=None, **options):
    return swap_faces(picture, six[:1], swapper, pack, preview=True, parse=parse, **options)


def restored(picture, found, restorer, parse=None):
    return restore_faces(picture, found, restorer, visibility=1.0, parse=parse)


@pytest.mark.parametrize("part", [Part.BACKGROUND, Part.GLASSES, Part.HAIR, Part.HAT])
def test_what_is_in_front_of_a_face_keeps_every_pixel_in_a_swap(t1, found, six, redder, pack, part):
    parse = face_with(part, slice(220, 290))
    plain, masked = swapped(t1, six, redder, pack).picture, swapped(t1, six, redder, pack, parse).picture
    labels = labels_in_picture(parse, found[0], t1.shape)
    in_front = labels == part
    assert (plain != t1)[in_front].any()
    np.testing.assert_array_equal(masked[in_front], t1[in_front])
    beside = np.isin(labels, OWN) & (plain != t1).any(axis=-1)
    assert ((masked != t1).any(axis=-1) & beside).sum() > 0.7 * beside.sum()


@pytest.mark.slow
def test_what_is_in_front_of_a_face_keeps_every_pixel_in_a_correction(t1, found, brighter):
    parse = face_with(Part.BACKGROUND, slice(220, 290))
    plain, masked = restored(t1, found[:1], brighter).picture, restored(t1, found[:1], brighter, parse).picture
    in_front = labels_in_picture(parse, found[0], t1.shape) == Part.BACKGROUND
    assert (plain != t1)[in_front].any()
    np.testing.assert_array_equal(masked[in_front], t1[in_front])
    assert (masked != t1).any(axis=-1).sum() > 0.6 * (plain != t1).any(axis=-1).sum()


def test_skin_and_every_feature_are_painted(t1, six, redder, pack):
    def parse(crops):
        own = np.resize([1, 2, 3, 4, 5, 10, 11, 12, 13], 512).astype(np.uint8)
        return np.broadcast_to(own, crops.shape[:3])

    np.testing.assert_array_equal(swapped(t1, six, redder, pack, parse).picture, swapped(t1, six, redder, pack).picture)


@pytest.mark.slow
def test_a_face_turned_and_shrunk_keeps_what_is_in_front_of_it_too(six, redder, pack):
    turned = np.ascontiguousarray(np.rot90(photos.single_faces()["astronaut"][::2, ::2]))
    (face,) = find_faces([turned], pack).photos[0].faces
    parse = face_with(Part.BACKGROUND, slice(220, 290))
    masked = swapped(turned, six, redder, pack, parse).picture
    in_front = labels_in_picture(parse, face, turned.shape) == Part.BACKGROUND
    assert (masked != turned).any() and np.ptp(np.argwhere(in_front)[:, 1]) > 2 * np.ptp(np.argwhere(in_front)[:, 0])
    np.testing.assert_array_equal(masked[in_front], turned[in_front])


def test_the_edge_is_soft_towards_the_inside_only():
    labels = np.full((512, 512), Part.SKIN, np.uint8)
    labels[:, :200] = Part.HAIR
    share = own_share(labels)
    assert share[:, :201].max() == 0.0  # the face's first column, too, so that no interpolation leaves the face
    assert share[:, 212:].min() == 1.0
    assert (np.diff(share[256, 200:213]) >= 0).all() and 0.3 < share[256, 205] < 0.7


def test_the_colours_of_what_is_in_front_are_not_counted(t1, six, redder, pack):
    """A green hand over half the face would otherwise turn the other half green."""
    parse = face_with(Part.BACKGROUND, slice(256, 512))
    behind = labels_in_picture(parse, six[0].faces[0], t1.shape) == Part.BACKGROUND
    green = np.where(behind[..., None], np.array([0, 255, 0], np.uint8), t1)
    faces = {0: six[0].faces[0]}
    masks, _ = face_masks(green, faces, parse)
    crop, matrix = crop_face(green, faces[0].landmarks, "arcface_128", 128)
    after = np.clip(crop_face(t1, faces[0].landmarks, "arcface_128", 128)[0].astype(np.float32) * 0.9 + 20, 0, 255)
    patch = make_patch(green, crop, after, matrix, face_mask=masks[0], match_colour=True)
    shown = patch.weight[..., 0] > 0.9
    drift = np.abs(patch.blended().astype(float)[shown].mean(axis=0) - patch.before[shown].mean(axis=0))
    assert drift.max() < 4.0


def test_all_faces_of_a_picture_are_parsed_at_once(t1, six, redder, pack):
    calls = []

    def parse(crops):
        calls.append(crops.shape)
        return np.full(crops.shape[:3], Part.SKIN, np.uint8)

    swapped(t1, six, redder, pack, parse, choice="all")
    assert calls == [(6, 512, 512, 3)]


def test_faces_that_are_not_swapped_are_not_parsed(t1, six, redder, pack):
    calls = []

    def parse(crops):
        calls.append(len(crops))
        return np.full(crops.shape[:3], Part.SKIN, np.uint8)

    swapped(t1, six, redder, pack, parse, choice="index", index=3)
    swapped(t1, six, redder, pack, parse, choice="index", index=30)
    assert calls == [1]


def test_a_face_the_parser_does_not_see_is_swapped_in_the_plain_shape_and_said_so(t1, six, redder, pack):
    def blind(crops):
        return np.zeros(crops.shape[:3], np.uint8)

    result = swapped(t1, six, redder, pack, blind)
    np.testing.assert_array_equal(result.picture, swapped(t1, six, redder, pack).picture)
    assert result.notes == ("face number 0: the face parser sees none; what is in front of it may be lost",)


def test_eyes_behind_glasses_stay_the_pictures_and_that_is_said(t1, six, redder, pack):
    result = swapped(t1, six, redder, pack, face_with(Part.GLASSES, slice(220, 290)))
    assert result.notes == ("face number 0 wears glasses: they stay as they are, and so do the eyes behind them",)


@pytest.mark.slow
def test_the_parser_serves_both_steps_of_a_prompt(t1, found, six, redder, brighter, pack):
    parse = face_with(Part.HAIR, slice(220, 290))
    prompt = Prompt("<faceid:1:1> woman", face_swap=True, face_correct=True)
    tools = Tools(pack, swapper=redder, restorer=brighter, parse=parse)
    done = retouch_picture(t1, prompt, six[:1], tools, 1, preview=True)
    in_front = labels_in_picture(parse, found[0], t1.shape) == Part.HAIR
    np.testing.assert_array_equal(done.picture[in_front], t1[in_front])
    assert changes_faces(prompt, tools)
    assert "plain shape" in shape_note(None) and "plain shape" not in shape_note(parse)


# ------------------------------------------------------------------------------------------------------ the network


@pytest.mark.slow
def test_the_network_has_the_published_tensors_and_no_other():
    tensors = parser_tensors()
    assert (len(tensors), sum(tensor.numel() for tensor in tensors.values())) == (191, 13_313_119)
    assert {key: value.shape for key, value in BiSeNet().state_dict().items()} == {
        key: value.shape for key, value in tensors.items()
    }


@pytest.mark.slow
def test_the_network_gives_the_numbers_of_facexlibs_own_module():
    """Golden values: facexlib 0.3.0's BiSeNet with the same tensors, on the same picture."""
    network = BiSeNet().eval()
    network.load_state_dict(parser_tensors(), strict=True)
    line = torch.linspace(-2, 2, 128)
    picture = torch.stack([line[:, None] * line, (3 * line[:, None] + line).sin(), line.abs()[:, None] - line])
    with torch.no_grad():
        (logits,) = network(picture[None])
    expected = torch.tensor([2.48576, 4.52063, 2.11583, 2.07035, -1.71376, 0.38869, 0.10178, 2.5364])
    found = [*logits[[0, 1, 10, 18], 40, 70], *logits[17, [0, 63, 127], [127, 5, 64]], logits.std()]
    torch.testing.assert_close(torch.stack(found), expected, rtol=0, atol=1e-3)


@pytest.fixture(scope="module")
def parser(tmp_path_factory):
    return load_parser(write_parser(tmp_path_factory.mktemp("parser") / "parsing_bisenet.pth"))


@pytest.mark.slow
def test_every_pixel_of_every_crop_gets_a_label(parser, monkeypatch):
    monkeypatch.setattr(face_parser, "_BATCH", 2)
    crops = np.random.default_rng(0).integers(0, 256, (3, 512, 512, 3)).astype(np.uint8)
    crops[:, :256] = 30
    labels = parse_crops(crops, parser)
    assert (labels.shape, labels.dtype) == ((3, 512, 512), np.uint8)
    assert labels.max() < CLASSES and len(np.unique(labels)) > 1
    np.testing.assert_array_equal(labels[2], parse_crops(crops[2:], parser)[0])


@pytest.mark.slow
def test_the_network_sees_colours_as_imagenet_has_them(parser, monkeypatch):
    seen = []
    monkeypatch.setattr(parser.module, "forward", lambda batch: seen.append(batch) or torch.zeros(1, 19, 512, 512))
    parse_crops(np.full((1, 512, 512, 3), (255, 0, 128), np.uint8), parser)
    expected = [(1 - 0.485) / 0.229, -0.456 / 0.224, (128 / 255 - 0.406) / 0.225]
    torch.testing.assert_close(seen[0][0, :, 7, 9], torch.tensor(expected))


@pytest.mark.slow
def test_it_runs_where_the_host_puts_it(parser):
    crops = np.full((1, 512, 512, 3), 90, np.uint8)
    runs = []

    def run(forward, batch):
        runs.append(batch.shape)
        return forward(batch)

    np.testing.assert_array_equal(parse_crops(crops, parser, run), parse_crops(crops, parser))
    assert runs == [(1, 3, 512, 512)]


@pytest.mark.slow
@pytest.mark.parametrize("change", ["missing", "more", "wider"])
def test_a_file_with_other_tensors_is_refused(tmp_path, change):
    tensors = parser_tensors()
    if change == "missing":
        del tensors["ffm.conv2.weight"]
    elif change == "more":
        tensors["ffm.conv3.weight"] = torch.zeros(3)
    else:
        tensors["ffm.conv2.weight"] = torch.zeros(256, 65, 1, 1)
    with pytest.raises(RetouchError, match=r"bisenet\.pth: its tensors are not those of .* as published .*ffm\.conv"):
        load_parser(write_parser(tmp_path / "bisenet.pth", tensors))


def test_another_model_is_refused_by_what_it_is(tmp_path, swapper_stub):
    with pytest.raises(RetouchError, match=r"a face parser \(BiSeNet\) is needed here; this is a face swapper"):
        load_parser(swapper_stub)


def test_facexlibs_other_parser_in_the_same_folder_is_passed_over():
    names = ["parsing_parsenet.pth", "detection_Resnet50_Final.pth", "79999_iter.pth", "sub/parsing_bisenet.pth"]
    assert preferred_parsers(names) == ["sub/parsing_bisenet.pth", "79999_iter.pth"]
    assert preferred_parsers(["parsing_parsenet.pth", "bisenet.onnx"]) == []


def test_a_parser_is_read_only_where_a_face_is_changed(tmp_path, pack, swapper_stub):
    def tools(**flags):
        prompt = Prompt("<faceid:1:1> woman", **flags)
        models = {"swapper": swapper_stub, "restorer": None, "run_restorer": lambda one: None, "trained_side": 512}
        return load_tools(prompt, pack, **models, parser=tmp_path / "there_is_none.pth")

    assert tools(face_correct=True).parse is None
    with pytest.raises(RetouchError, match=r"there_is_none\.pth"):
        tools(face_swap=True)


def test_without_a_parser_there_is_no_mask_and_no_note(t1, found):
    assert face_masks(t1, dict(enumerate(found)), None) == ({}, [])
