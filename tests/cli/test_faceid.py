"""The command line: real photos, a real store in a folder of its own. One test starts it as a user does."""

from __future__ import annotations

import contextlib
import io
import os
import re
import sqlite3
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import skimage.data
from faceid_tunes.cli import main
from PIL import Image
from support.photos import INSIGHTFACE

FACEID = [sys.executable, "-c", "import sys; from faceid_tunes.cli import main; sys.exit(main())"]


@pytest.fixture
def faceid(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        home = ("--home", str(tmp_path / "home"))
        where = 2 if arguments[0] == "prompt" else 1  # after `prompt check`, after `tunes`
        status = main([*arguments[:where], *home, *arguments[where:]])
        return subprocess.CompletedProcess(arguments, status, *capsys.readouterr())

    return run


@pytest.fixture
def photo(tmp_path):
    def write(pixels, name: str) -> str:
        file = io.BytesIO()
        Image.fromarray(pixels).save(file, "PNG")
        (tmp_path / name).write_bytes(file.getvalue())
        return name

    return write


TOM = str(INSIGHTFACE / "Tom_Hanks_54745.png")


@pytest.mark.slow
def test_a_tune_is_created_listed_shown_and_found_again_by_its_title(faceid, photo):
    astronaut = photo(skimage.data.astronaut(), "eileen.png")
    created = faceid("tunes", "create", astronaut, "--title", "Eileen", "--name", "woman")
    assert created.returncode == 0, created.stderr
    assert created.stdout == "     1  Eileen  (woman, 1 photo)  <faceid:1:1>\n"
    faceid("tunes", "create", TOM, "--title", "Tom", "--name", "man")
    listed = faceid("tunes", "list")
    assert [line.split()[1] for line in listed.stdout.splitlines()] == ["Tom", "Eileen"]
    assert re.fullmatch(r"These are in .*tunes\.sqlite3\.\n", listed.stderr)
    assert "No older ones" in faceid("tunes", "list", "--before-id", "1").stderr
    shown = faceid("tunes", "show", "Eileen").stdout
    assert "expires      never" in shown and "512x512 image/png, face, score 0.9" in shown
    again = faceid("tunes", "create", astronaut, "--title", "Eileen")
    assert again.stdout == created.stdout, "same title and photos, same tune"


def test_an_empty_store_says_where_it_is_and_what_to_do(faceid):
    listed = faceid("tunes", "list")
    assert listed.stdout == "" and re.match(r"No tunes yet in .*tunes\.sqlite3\. `faceid tunes create`", listed.stderr)


def test_the_version_is_told(capsys):
    with pytest.raises(SystemExit):
        main(["--version"])
    assert re.fullmatch(r"faceid-tunes \d+\.\d+\.\d+\n", capsys.readouterr().out)


@pytest.mark.slow
def test_other_photos_under_a_title_that_exists_are_refused(faceid, photo):
    astronaut, cat = photo(skimage.data.astronaut(), "eileen.png"), photo(skimage.data.chelsea(), "cat.png")
    faceid("tunes", "create", astronaut, cat, "--title", "Eileen")
    for other in ((TOM,), (astronaut,), (astronaut, TOM), (TOM, astronaut, cat)):
        refused = faceid("tunes", "create", *other, "--title", "Eileen")
        assert (refused.returncode, refused.stdout) == (1, "")
        assert refused.stderr.startswith("faceid: There already is a tune 'Eileen', made from other photos (")
        assert "another title" in refused.stderr and refused.stderr.count("\n") == 1
    swapped = faceid("tunes", "create", cat, astronaut, "--title", "Eileen")
    assert swapped.returncode == 0 and "no face was found in photo 2 (cat.png)" in swapped.stdout


@pytest.mark.slow
def test_check_finds_a_flipped_bit_and_the_same_photo_heals_it(faceid, tmp_path):
    faceid("tunes", "create", TOM, "--title", "Tom")
    assert faceid("tunes", "check").stdout.endswith("nothing is damaged\n")
    data = bytearray(Path(TOM).read_bytes())
    (kept,) = [
        path for path in (tmp_path / "home" / "blobs").rglob("*") if path.is_file() and path.read_bytes() == data
    ]
    data[1000] ^= 1
    kept.write_bytes(data)
    found = faceid("tunes", "check")
    assert (
        found.returncode == 1
        and "tune 1 ('Tom'), photo 1: " in found.stdout
        and "tunes add-photo 1 PHOTO" in found.stdout
    )
    assert faceid("tunes", "add-photo", "Tom", TOM).returncode == 0
    assert faceid("tunes", "check").returncode == 0


@pytest.mark.slow
def test_a_person_is_renamed_and_deleted_to_the_last_byte(faceid, tmp_path):
    faceid("tunes", "create", TOM, "--title", "A rare title")
    faceid("tunes", "create", TOM, "--title", "Tom")
    assert "<faceid:1:1>" in faceid("tunes", "rename", "A rare title", "Another rare title").stdout
    assert "the number of a tune already" in faceid("tunes", "rename", "1", "2").stderr
    deleted = faceid("tunes", "delete", "Another rare title")
    assert deleted.returncode == 0 and "tune 1 ('Another rare title') is deleted: 0 files" in deleted.stdout
    assert "another tune has" in deleted.stdout
    faceid("tunes", "delete", "Tom")
    files = [path for path in (tmp_path / "home").rglob("*") if path.is_file()]
    assert files and not [path for path in files if path.parent.parent.name == "blobs"]
    assert not [path for path in files if b"rare title" in path.read_bytes()]
    assert "There is no tune" in faceid("tunes", "delete", "Tom").stderr


@pytest.mark.slow
def test_a_person_is_exported_and_imported_elsewhere(faceid, tmp_path):
    faceid("tunes", "create", TOM, "--title", "Tom", "--name", "man")
    assert "1 photos and what was found" in faceid("tunes", "export", "Tom", "tom.zip").stdout
    assert "cannot be written" in faceid("tunes", "export", "Tom", "tom.zip").stderr, "nothing is overwritten"
    faceid("tunes", "delete", "Tom")
    assert "Thomas  (man, 1 photo)" in faceid("tunes", "import", "tom.zip", "--title", "Thomas").stdout
    assert "not a whole tune" in faceid("tunes", "import", TOM).stderr
    assert "cannot be read" in faceid("tunes", "import", "nowhere.zip").stderr


@pytest.mark.slow
def test_a_lost_database_is_told_and_a_new_one_begins_when_the_user_says_so(faceid, tmp_path):
    faceid("tunes", "create", TOM, "--title", "Tom")
    for file in (tmp_path / "home").glob("tunes.sqlite3*"):
        file.unlink()
    lost = faceid("tunes", "list")
    assert lost.returncode == 1 and "tunes.sqlite3 is missing" in lost.stderr and "faceid tunes accept" in lost.stderr
    assert "nothing there is deleted by either" in faceid("tunes", "accept").stdout
    assert faceid("tunes", "list").returncode == 0
    faceid("tunes", "create", TOM, "--title", "Tom")
    assert "its files stay in" in faceid("tunes", "delete", "Tom").stdout


@pytest.mark.slow
def test_a_damaged_person_is_named_left_out_and_deleted(faceid, tmp_path):
    for title in ("Tom", "Tom again"):
        faceid("tunes", "create", TOM, "--title", title)
    with contextlib.closing(sqlite3.connect(tmp_path / "home" / "tunes.sqlite3")) as rows, rows:
        rows.execute("UPDATE faceid_tune_faces SET box = '[1]' WHERE tune_id = 1")
    assert faceid("tunes", "list").stdout.count("\n") == 1
    assert "Tune 1: its box (faceid_tune_faces) is damaged" in faceid("tunes", "show", "Tom").stderr
    assert "box (faceid_tune_faces) is damaged" in faceid("tunes", "check").stdout
    assert "tune 1, which was damaged, is deleted" in faceid("tunes", "delete", "1").stdout
    assert "nothing is damaged" in faceid("tunes", "check").stdout


@pytest.mark.slow
def test_everything_is_backed_up_and_restored_into_an_empty_folder(faceid, tmp_path):
    faceid("tunes", "create", TOM, "--title", "Tom")
    assert "1 tunes, 0 prompts of the service and 2 files are in all.zip" in faceid("tunes", "backup", "all.zip").stdout
    assert (tmp_path / "all.zip").stat().st_mode & 0o077 == 0, "photos of people are the user's own"
    assert "cannot be written" in faceid("tunes", "backup", "all.zip").stderr, "nothing is overwritten"
    assert "is not empty" in faceid("tunes", "restore", "all.zip").stderr
    (tmp_path / "home").rename(tmp_path / "before")
    assert "1 tunes, 0 prompts of the service and 2 files are in" in faceid("tunes", "restore", "all.zip").stdout
    assert "Tom  (person, 1 photo)" in faceid("tunes", "list").stdout
    assert "nothing is damaged" in faceid("tunes", "check").stdout
    assert "not a whole backup" in faceid("tunes", "restore", TOM).stderr


@pytest.mark.slow
def test_strangers_are_named_when_created_and_shown_and_the_user_overrules(faceid, photo):
    eileen = photo(skimage.data.astronaut(), "eileen.png")
    mirrored = photo(skimage.data.astronaut()[:, ::-1], "mirrored.png")
    refused = faceid("tunes", "create", eileen, TOM, "--title", "Eileen")
    assert refused.returncode == 1 and "person A: image 1; person B: image 2" in refused.stderr
    assert "--ignore 2" in refused.stderr and not faceid("tunes", "list").stdout

    created = faceid("tunes", "create", TOM, eileen, mirrored, "--title", "Eileen")
    assert created.returncode == 0, created.stderr
    assert f"photo 1 ({TOM}): left out, seems to be someone else" in created.stdout
    assert "left out, seems to be someone else" in faceid("tunes", "show", "Eileen").stdout
    used = faceid("tunes", "photo", "Eileen", "1", "--use", "--weight", "2")
    assert "photo 1: used as chosen" in used.stdout and "weight 2" in faceid("tunes", "show", "Eileen").stdout
    assert "nothing about a photo" in faceid("tunes", "photo", "Eileen", "1", "--weight", "-2").stderr
    assert "Say what to do" in faceid("tunes", "photo", "Eileen", "1").stderr
    assert "2 photos" in faceid("tunes", "drop-photo", "Eileen", "1").stdout
    added = faceid("tunes", "add-photo", "Eileen", TOM)
    assert f"photo 3 ({TOM}): left out" in added.stdout
    chosen = faceid("tunes", "create", eileen, TOM, "--title", "Both", "--face", "2=0")
    assert f"photo 1 ({eileen}): left out" in chosen.stdout
    assert "write the photo's number" in faceid("tunes", "create", TOM, "--title", "X", "--face", "2").stderr


@pytest.mark.slow
def test_who_may_be_meant_is_shown_where_it_is_not_clear_and_no_picture_is_overwritten(faceid, photo, tmp_path):
    eileen = photo(skimage.data.astronaut(), "eileen.png")
    for name in ("candidates.png", "candidates_2.png"):
        told = faceid("tunes", "create", eileen, TOM, "--title", "Two")
        assert told.returncode == 1
        assert "person A: image 1; person B: image 2" in told.stderr and f"Their faces are in {name}." in told.stderr
        sheet = np.asarray(Image.open(tmp_path / name))
        assert min(np.ptp(sheet[12:332, left : left + 320]) for left in (12, 344)) > 200, "two faces side by side"
    assert faceid("tunes", "list").stdout == ""


@pytest.mark.slow
def test_photos_without_a_face_are_named(faceid, photo):
    cat, astronaut = photo(skimage.data.chelsea(), "cat.png"), photo(skimage.data.astronaut(), "eileen.png")
    mixed = faceid("tunes", "create", cat, astronaut, "--title", "Mixed")
    assert mixed.returncode == 0 and "no face was found in photo 1 (cat.png)" in mixed.stdout
    none = faceid("tunes", "create", cat, "--title", "Cat")
    assert none.returncode == 1 and "image 1" in none.stderr.lower() and not none.stdout


def test_purge_says_what_it_freed(faceid):
    assert faceid("tunes", "purge").stdout == "0 expired tunes and 0 files deleted, 0.0 MB freed\n"


def test_a_prompt_is_checked_against_the_tunes_there_are(faceid):
    faceid("tunes", "create", TOM, "--title", "Tom", "--name", "man")
    good = faceid("prompt", "check", "<faceid:Tom:1> man trekking in the alps")
    assert good.returncode == 0 and "text: man trekking in the alps" in good.stdout
    unknown = faceid("prompt", "check", "a <faceid:99:1> man")
    assert unknown.returncode == 1
    assert unknown.stderr.splitlines()[:3] == [
        "faceid: prompt[text], column 3: There is no tune 99.",
        "    a <faceid:99:1> man",
        "      ^",
    ]


@pytest.mark.slow
def test_a_missing_photo_is_one_sentence(tmp_path):
    command = [*FACEID, "tunes", "create", "nowhere.jpg", "--title", "X"]
    own = os.environ | {"FACEID_TUNES_HOME": str(tmp_path / "home")}
    missing = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, env=own)
    assert (missing.returncode, missing.stderr) == (
        1,
        "faceid: nowhere.jpg: cannot be read (No such file or directory).\n",
    )


@pytest.mark.slow
def test_a_tune_of_a_photo_that_tells_too_little_says_so(faceid, photo):
    dark = photo((skimage.data.astronaut() * 0.06).astype("uint8"), "dark.png")
    created = faceid("tunes", "create", dark, "--title", "Dark")
    assert "cannot vouch" in created.stdout and "very dark" in created.stdout
