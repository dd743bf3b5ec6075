"""Face swap: who is painted over whom, and that nothing else of the picture changes."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from faceid_tunes.faceid_core.faces import Faces, extract_faces, find_faces
from faceid_tunes.faceid_core.faces.extract import FoundFaces, PhotoFaces
from faceid_tunes.faceid_core.retouch import RetouchError, load_swapper, swap_faces
from faceid_tunes.faceid_core.retouch.crop import crop_matrix, warp
from faceid_tunes.faceid_core.retouch.paste import face_rectangle
from faceid_tunes.faceid_core.retouch.swapper import source_latent, swap_crop
from support import photos
from support.retouch_models import COLOURS, write_swapper


def swapped(picture, people, swapper, pack, **options):
    return swap_faces(picture, people, swapper, pack, preview=True, match_colour=False, **options)


def painted(picture, found):
    """Who was painted over each face (an index into COLOURS), by the colour of its nose; None: nobody."""
    noses = [picture[int(y), int(x)].astype(int) for x, y in (face.landmarks[2] for face in found)]
    distances = [np.abs(COLOURS - nose).max(axis=1) for nose in noses]
    return [int(distance.argmin()) if distance.min() <= 3 else None for distance in distances]


def outside_of(found, picture, faces):
    keep = np.ones(picture.shape[:2], bool)
    for number in faces:
        left, top, right, bottom = face_rectangle(
            crop_matrix(found[number].landmarks, "arcface_128", 128), 128, picture.shape
        )
        keep[top - 1 : bottom + 1, left - 1 : right + 1] = False
    return keep


@pytest.mark.slow
@pytest.mark.parametrize("boost", [None, 128, 512])
def test_a_swapper_that_returns_its_input_returns_the_picture(t1, six, same_face, pack, boost):
    for match_colour in (False, True):
        result = swap_faces(
            t1, six[:1], same_face, pack, choice="all", boost=boost, match_colour=match_colour, preview=True
        )
        np.testing.assert_array_equal(result.picture, t1)
        assert result.notes == ()


@pytest.mark.parametrize("boost", [128, 256])
def test_values_and_channels_arrive_and_return_as_they_are(t1, six, pack, tmp_path, boost):
    """A model of 0 to 1, RGB, that halves red, turns green around and adds to blue."""
    gain, offset = (0.5, -1.0, 0.5), (0.0, 1.0, 0.25)
    swapper = load_swapper(write_swapper(tmp_path / "a.onnx", gain=gain, offset=offset, emap=np.eye(512)))
    latent = source_latent(six[0].mean_embedding(), swapper)
    crop = warp(t1, crop_matrix(six[0].faces[0].landmarks, "arcface_128", boost), boost)
    ours = swap_crop(crop, latent, swapper)
    np.testing.assert_allclose(ours, crop * np.array(gain) + 255 * np.array(offset), atol=0.01)


def test_hyperswap_works_on_minus_one_to_one(t1, six, pack, tmp_path):
    swapper = load_swapper(
        write_swapper(tmp_path / "hyperswap_1a_256.onnx", 256, offset=(0.2, 0, -0.2), with_mask=True)
    )
    crop = warp(t1, crop_matrix(six[0].faces[0].landmarks, "arcface_128", 256), 256)
    ours = swap_crop(crop, source_latent(six[0].mean_embedding(), swapper), swapper)
    np.testing.assert_allclose(ours, np.clip(crop + np.array([25.5, 0, -25.5]), 0, 255), atol=0.01)


@pytest.mark.slow
def test_reswapper_256_is_shown_its_own_framing(t1, six, pack, tmp_path):
    swapper = load_swapper(write_swapper(tmp_path / "reswapper_256.onnx", 256, emap=np.eye(512)))
    recorder = Recorder(swapper.session)
    swapped(t1, six[2:3], replace(swapper, session=recorder), pack, boost=256)
    expected = warp(t1, crop_matrix(six[2].faces[0].landmarks, "arcface_128", 256, shift=0.5), 256)
    np.testing.assert_allclose(recorder.seen[0]["target"][0].transpose(1, 2, 0) * 255, expected, atol=0.01)


class Recorder:
    """A session that keeps what it is fed."""

    def __init__(self, session):
        self.session, self.seen = session, []

    def get_inputs(self):
        return self.session.get_inputs()

    def run(self, names, feed):
        self.seen.append(feed)
        return self.session.run(names, feed)


@pytest.mark.filterwarnings("ignore::FutureWarning")  # insightface's own norm_crop2, scikit-image 0.26
def test_the_face_is_insightfaces_own(t1, found, six, swapper_stub):
    from insightface.app.common import Face as InsightFace
    from insightface.model_zoo.inswapper import INSwapper

    theirs, ours = INSwapper(str(swapper_stub)), load_swapper(swapper_stub)
    bgr = np.ascontiguousarray(t1[..., ::-1])
    latent = source_latent(six[3].mean_embedding(), ours)
    for face in found:
        source = InsightFace(embedding=six[3].faces[0].embedding)
        their_crop, their_matrix = theirs.get(bgr, InsightFace(kps=face.landmarks), source, paste_back=False)
        matrix = crop_matrix(face.landmarks, "arcface_128", 128)
        np.testing.assert_allclose(matrix, their_matrix, atol=1e-9)
        mine = swap_crop(warp(t1, matrix, 128), latent, ours)
        reached = _inside(matrix, t1.shape)
        assert reached.mean() > 0.6
        assert np.abs(mine - their_crop[..., ::-1])[reached].max() <= 1.0


def _inside(matrix, shape):
    """[128, 128] bool: which of the crop's pixels lie in the picture (insightface paints the others black)."""
    x, y = np.meshgrid(np.arange(128), np.arange(128))
    back = np.linalg.inv(matrix[:, :2])
    points = (np.stack([x, y], axis=-1) - matrix[:, 2]) @ back.T
    return ((points >= 1) & (points <= np.array([shape[1], shape[0]]) - 2)).all(axis=-1)


@pytest.mark.slow
def test_six_people_get_a_face_each_and_it_is_their_own(t1, found, six, painter, pack):
    result = swapped(t1, six, painter, pack)
    assert painted(result.picture, found) == [0, 1, 2, 3, 4, 5]
    assert result.notes == ()
    turned = swapped(t1, six[::-1], painter, pack)
    np.testing.assert_array_equal(turned.picture, result.picture)
    keep = outside_of(found, t1, range(6))
    np.testing.assert_array_equal(result.picture[keep], t1[keep])


def test_one_person_gets_the_face_most_like_them(t1, found, six, painter, pack):
    result = swapped(t1, [six[3]], painter, pack)
    assert painted(result.picture, found) == [None, None, None, 3, None, None]
    keep = outside_of(found, t1, [3])
    np.testing.assert_array_equal(result.picture[keep], t1[keep])


def test_the_match_is_the_best_for_all_together(six, pack, t1, found, painter):
    """Two people alike compete for one face: the sum decides, not who comes first."""
    between = replace(six[1].faces[0], embedding=six[1].faces[0].unit_embedding + 0.9 * six[4].faces[0].unit_embedding)
    both = Faces((between,), pack.space, pack.name, "")
    from faceid_tunes.faceid_core.retouch.targets import one_each

    faces = {1: found[1], 4: found[4]}
    assert one_each(faces, [both, six[1]]) == {1: 1, 4: 0}


def test_everybody_becomes_one_person(t1, found, six, painter, pack):
    assert painted(swapped(t1, [six[2]], painter, pack, choice="all").picture, found) == [2] * 6


def test_everybody_becomes_the_one_they_are_most_like(t1, found, six, painter, pack):
    who = painted(swapped(t1, [six[5], six[0]], painter, pack, choice="all").picture, found)
    assert set(who) == {0, 5}
    assert (who[0], who[5]) == (0, 5)


def test_a_face_is_chosen_by_its_number_from_the_left(t1, found, six, painter, pack):
    result = swapped(t1, [six[0]], painter, pack, choice="index", index=4)
    assert painted(result.picture, found) == [None, None, None, None, 0, None]
    two = swapped(t1, six[:2], painter, pack, choice="index", index=5)
    assert painted(two.picture, found) == [None, None, None, None, None, 0]
    assert two.notes == ("there is no face number 6 for person 2",)


def test_the_second_of_two_people_is_missed_in_a_picture_of_one(six, painter, pack):
    astronaut = photos.single_faces()["astronaut"]
    result = swapped(astronaut, six[:2], painter, pack)
    assert result.notes in [(f"there is no face for person {n} in a picture of one face",) for n in (1, 2)]
    assert (result.picture != astronaut).any()


@pytest.mark.slow
def test_a_picture_without_a_face_comes_back_as_it_was(cat, six, painter, pack):
    before = cat.copy()
    result = swapped(cat, six, painter, pack)
    np.testing.assert_array_equal(result.picture, before)
    assert result.notes == ("no face to swap: the picture is not changed",)


def test_faces_that_are_too_small_stay_as_they_are(t1, six, painter, pack):
    result = swapped(t1, six[:1], painter, pack, min_side=1000)
    np.testing.assert_array_equal(result.picture, t1)
    assert result.notes[0].startswith("face number 0 is 118 pixels small (1000 are needed)")
    assert len(result.notes) == 7


def test_swapping_all_says_which_face_it_leaves(t1, found, six, painter, pack):
    sides = [float(min(face.box[2:] - face.box[:2])) for face in found]
    smallest, second = sorted(sides)[:2]
    left = sides.index(smallest)
    needed = round((smallest + second) / 2)
    result = swapped(t1, six[:1], painter, pack, choice="all", min_side=needed)
    assert painted(result.picture, found) == [None if number == left else 0 for number in range(6)]
    assert result.notes == (f"face number {left} is {smallest:.0f} pixels small ({needed} are needed): not changed",)


@pytest.mark.slow
def test_a_face_cut_by_the_border_is_left_alone_and_said_so(six, painter, pack):
    astronaut = photos.single_faces()["astronaut"]
    mouth = extract_faces([astronaut], pack).faces[0].landmarks[3, 1]
    cut = astronaut[: int(mouth) - 8]
    result = swapped(cut, six[:1], painter, pack)
    np.testing.assert_array_equal(result.picture, cut)
    assert result.notes == (
        "a face is cut by the border: not changed",
        "no face to swap: the picture is not changed",
    )


@pytest.fixture
def nowhere(found):
    """Faces no detector of ours lets through: of no size at the border, of one point, and beyond the picture."""
    flat = replace(found[0], box=np.array([0, 300, 0, 380], np.float32))
    point = replace(found[0], landmarks=np.full((5, 2), (0, 340), np.float32))
    beyond = replace(found[0], landmarks=found[0].landmarks - np.float32([900, 0]))
    return flat, point, beyond


def test_faces_of_no_size_and_outside_the_picture_are_left_alone_and_said_so(
    t1, six, nowhere, painter, pack, monkeypatch
):
    def hand_out(photos, pack):
        return FoundFaces((PhotoFaces(0, (1280, 886), nowhere, (), "CPUExecutionProvider"),), pack)

    monkeypatch.setattr("faceid_tunes.faceid_core.retouch.swap.find_faces", hand_out)
    result = swapped(t1, six[:1], painter, pack, choice="all")
    np.testing.assert_array_equal(result.picture, t1)
    assert len(result.notes) == 3
    assert result.notes[0].startswith("face number 0 is 0 pixels small")
    assert result.notes[1].startswith("face number 1 is ")
    assert result.notes[2] == "face number 2 lies outside the picture: not changed"


@pytest.mark.slow
def test_a_face_at_the_very_border_is_swapped_as_far_as_the_picture_goes(t1, six, painter, pack):
    face = find_faces([t1], pack).photos[0].faces[0]
    cut = np.ascontiguousarray(t1[:, int(face.landmarks[:, 0].min()) - 2 :])
    assert find_faces([cut], pack).photos[0].faces[0].box[0] <= 1
    result = swapped(cut, [six[0]], painter, pack, choice="index", index=0)
    assert result.notes == ()
    changed = (result.picture != cut).any(axis=-1)
    assert changed[:, 0].any(), "up to the border"
    assert not changed[:, 300:].any()


def test_the_mask_keeps_what_is_black(t1, found, six, painter, pack):
    mask = np.zeros(t1.shape[:2], np.float32)
    mask[:, t1.shape[1] // 2 :] = 1
    result = swapped(t1, six, painter, pack, mask=mask)
    assert painted(result.picture, found) == [None, None, None, 3, 4, 5]
    np.testing.assert_array_equal(result.picture[mask == 0], t1[mask == 0])


def test_a_mask_of_another_size_is_refused_with_both_sizes(t1, six, painter, pack):
    with pytest.raises(RetouchError, match="mask: 512x512 pixels, but the picture has 1280x886"):
        swapped(t1, six, painter, pack, mask=np.ones((512, 512)))


@pytest.mark.slow
def test_boosted_crops_keep_the_detail_of_a_large_face(six, pack, tmp_path):
    """A model that only adds to the colours: at 128 a face of 400 pixels is blurred, at 512 it is not."""
    astronaut = np.repeat(np.repeat(photos.single_faces()["astronaut"], 3, axis=0), 3, axis=1)
    swapper = load_swapper(write_swapper(tmp_path / "inswapper.onnx", offset=(0.1, 0.1, 0.1), emap=np.eye(512)))
    brighter = np.clip(astronaut.astype(int) + 25.5, 0, 255)
    face = extract_faces([astronaut], pack).faces[0]
    left, top, right, bottom = face.box.astype(int) + np.array([60, 60, -60, -60])
    off = {}
    for boost in (128, 512, None):
        result = swapped(astronaut, six[:1], swapper, pack, boost=boost).picture
        off[boost] = np.abs(result - brighter)[top:bottom, left:right].mean()
    assert off[512] < 0.6 * off[128]
    assert off[None] == off[512], "left to itself it takes as many pixels as the face has"


def test_the_phases_of_a_boosted_crop_do_not_shift_the_face(t1, six, same_face, pack):
    """Through a model that changes nothing, a boosted crop comes back as it is, pixel by pixel."""
    crop = np.random.default_rng(0).integers(0, 256, (512, 512, 3), np.uint8)
    ours = swap_crop(crop, source_latent(six[0].mean_embedding(), same_face), same_face)
    np.testing.assert_allclose(ours, crop, atol=0.01)


def test_the_same_call_gives_the_same_picture(t1, six, swapper_stub, pack):
    swapper = load_swapper(swapper_stub)
    one, two = (swap_faces(t1, six, swapper, pack, preview=True).picture for _ in range(2))
    np.testing.assert_array_equal(one, two)


def test_the_stub_swaps_and_the_input_is_left_alone(t1, six, swapper_stub, pack):
    before = t1.copy()
    result = swap_faces(t1, six, load_swapper(swapper_stub), pack, preview=True, match_colour=False)
    np.testing.assert_array_equal(t1, before)
    assert (result.picture != t1).any()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"choice": "largest"}, 'choice: "largest" is not one of best match, all, index'),
        ({"choice": "index", "index": -1}, "index: -1 is negative"),
        ({"boost": 300}, "boost: 300 pixels; .* works on 128 and can be boosted to 128, 256, 512, 1024"),
    ],
)
def test_an_argument_that_makes_no_sense_is_named(t1, six, painter, pack, options, message):
    with pytest.raises(RetouchError, match=message):
        swapped(t1, six[:1], painter, pack, **options)


def test_people_of_another_embedding_space_are_refused_unless_it_is_a_preview(t1, six, painter, pack):
    with pytest.raises(RetouchError, match=r"trained on buffalo_l .'w600k_r50'.: the picture would show somebody else"):
        swap_faces(t1, six[:1], painter, pack)


def test_people_and_picture_have_to_be_read_with_one_pack(t1, six, painter, pack):
    stranger = replace(six[0], space="w600k_r50", pack="buffalo_l")
    with pytest.raises(
        RetouchError, match="read with the face pack 'buffalo_l', the picture would be with 'yunet_sface'"
    ):
        swap_faces(t1, [stranger], painter, pack)
    by_number = swap_faces(t1, [stranger], painter, pack, choice="index", match_colour=False)
    assert (by_number.picture != t1).any(), "nothing is compared, so it works"


@pytest.mark.parametrize("bad", [np.full((886, 1280), 255.0), np.full((886, 1280), np.nan), np.ones((886, 1280, 3))])
def test_a_mask_that_is_not_one_is_refused(t1, six, painter, pack, bad):
    with pytest.raises(RetouchError, match=r"mask: (its values must go from 0|one number per pixel)"):
        swapped(t1, six, painter, pack, mask=bad)


def test_a_neighbour_swapped_before_stays_swapped(six, found, t1, painter, pack):
    """Two faces so close that the crop of each holds the other's nose."""
    from faceid_tunes.faceid_core.retouch.swap import _swap_face

    one = found[2]
    beside = replace(one, landmarks=one.landmarks + np.float32([45, 0]))
    canvas = t1.copy()
    for face, person in ((one, 2), (beside, 3)):
        _swap_face(canvas, face, source_latent(six[person].mean_embedding(), painter), painter, 128, None, False)
    left = one.landmarks[0].astype(int) - (20, 0)
    assert painted_at(canvas, left) == 2
    assert painted_at(canvas, beside.landmarks[2].astype(int)) == 3


def painted_at(picture, point):
    distances = np.abs(COLOURS - picture[point[1], point[0]].astype(int)).max(axis=1)
    return int(distances.argmin()) if distances.min() <= 3 else None


def test_nobody_to_swap_in_is_an_error(t1, painter, pack):
    with pytest.raises(RetouchError, match="people: give at least one"):
        swap_faces(t1, [], painter, pack)


@pytest.mark.parametrize(
    "picture", [np.zeros((64, 64), np.uint8), np.zeros((64, 64, 3), np.float32), np.zeros((0, 64, 3), np.uint8)]
)
def test_only_pictures_are_taken(picture, six, painter, pack):
    with pytest.raises(RetouchError, match=r"picture: \[height, width, 3\] uint8 RGB is expected"):
        swapped(picture, six, painter, pack)
