"""Downloads over a bad line: the published file arrives, or nothing under its name and a sentence that helps."""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import io
import os
import socket
import zipfile

import pytest
from faceid_tunes.faceid_core.faces.packs import list_packs
from faceid_tunes.faceid_core.weights.errors import DownloadError, StorageError, WeightsError
from faceid_tunes.faceid_core.weights.fetch import fetch_each
from faceid_tunes.faceid_core.weights.folders import ModelFolders
from faceid_tunes.faceid_core.weights.manifest import Download
from faceid_tunes.faceid_core.weights.transfer import Patience
from support.faulty_server import answers, corrupts, drops, ignores_range, resets, says_less, stalls

READ = 1 << 16  # at most this much of an interrupted read is lost

PAGE = b"<!doctype html><html><body>The model is not here.</body></html>"


@pytest.fixture
def get(folders, hurried):
    """get(entry, ...): the entries downloaded, and what was told meanwhile. silence: seconds that are borne."""

    def download(*entries, silence=hurried.timeout):
        told: list[str] = []
        patience = dataclasses.replace(hurried, timeout=silence)
        return list(fetch_each(entries, folders, tell=told.append, patience=patience)), told

    return download


def left(folders, key="ipadapter") -> list[str]:
    return sorted(os.listdir(folders.of(key)[0]))


def starts(server) -> list[int]:
    """Where each request after the first went on."""
    return [int(asked.removeprefix("bytes=").removesuffix("-")) for asked in server.ranges()[1:]]


def test_a_model_is_downloaded_and_nothing_else_is_left(server, model, detector, folders, get):
    [fetched], _ = get(model(server.serve("/model.onnx", detector), detector))
    assert fetched.downloaded and fetched.verified
    assert fetched.path == folders.of("ipadapter")[0] / "model.onnx" and fetched.path.read_bytes() == detector
    assert left(folders) == ["model.onnx"]


def test_what_is_there_is_not_downloaded_again(server, model, detector, get):
    entry = model(server.serve("/model.onnx", detector), detector)
    get(entry)
    [again], _ = get(entry, entry)
    assert not again.downloaded and len(server.requests) == 1


def test_a_redirect_is_followed(server, model, detector, get):
    server.serve("/model.onnx", detector)
    [fetched], _ = get(model(server.url + "/moved//model.onnx", detector))
    assert fetched.path.read_bytes() == detector


@pytest.mark.parametrize("breaks", [drops, resets, stalls], ids=["dropped", "reset", "stalled"])
def test_an_interrupted_download_goes_on_where_it_was(server, model, detector, folders, get, breaks):
    cuts = (100_000, 90_000)
    entry = model(server.serve("/model.onnx", detector, *map(breaks, cuts)), detector)
    [fetched], told = get(entry, silence=0.5 if breaks is stalls else 30)
    assert fetched.verified and fetched.path.read_bytes() == detector
    first, second = starts(server)
    assert 100_000 - READ < first <= 100_000 and first + 90_000 - READ < second <= first + 90_000
    assert sum(request.sent for request in server.requests) <= len(detector) + len(cuts) * READ
    assert len(told) == 2 and "trying again" in told[0]
    assert left(folders) == ["model.onnx"]


def test_a_download_goes_on_as_long_as_every_attempt_brings_something(server, model, detector, hurried, get):
    faults = [drops(70_000)] * (hurried.attempts - 1) + [resets(20_000)]
    [fetched], told = get(model(server.serve("/model.onnx", detector, *faults), detector))
    assert fetched.verified and len(told) == len(faults) == hurried.attempts


def test_a_server_that_states_too_short_a_length_is_asked_for_the_rest(server, model, detector, get):
    [fetched], _ = get(model(server.serve("/model.onnx", detector, says_less(50_000)), detector))
    assert fetched.verified and starts(server) == [50_000]


def test_a_server_that_ignores_ranges_starts_over_and_nothing_is_appended(server, model, detector, get):
    [fetched], _ = get(model(server.serve("/model.onnx", detector, drops(100_000), ignores_range()), detector))
    assert starts(server)[0] > 0 and fetched.verified
    assert server.requests[1].sent == len(detector)


def test_a_later_download_goes_on_where_an_earlier_one_gave_up(server, model, detector, folders, get):
    entry = model(server.serve("/model.onnx", detector, drops(150_000), *[drops(0)] * 3), detector)
    with pytest.raises(DownloadError, match="3 times in a row"):
        get(entry)
    assert left(folders) == ["model.onnx.part"]
    [fetched], told = get(entry)
    assert fetched.verified and starts(server)[-1] > 150_000 - READ
    assert told == [f"model.onnx.part: continuing after {starts(server)[-1]:,} bytes"]


def test_a_complete_part_is_only_checked(server, model, detector, folders, get):
    entry = model(server.url + "/nowhere", detector)
    folders.of("ipadapter")[0].mkdir(parents=True)
    folders.target(entry).with_name("model.onnx.part").write_bytes(detector)
    [fetched], _ = get(entry)
    assert fetched.verified and not server.requests


def test_a_file_that_is_not_the_published_one_is_deleted_with_both_hashes_named(server, model, detector, folders, get):
    entry = model(server.serve("/model.onnx", detector, corrupts(7)), detector)
    found = hashlib.sha256(detector[:7] + bytes([detector[7] ^ 1]) + detector[8:]).hexdigest()
    with pytest.raises(DownloadError) as refused:
        get(entry)
    message = str(refused.value)
    assert "`faceid weights verify model` then says" in message and ".." not in message
    assert (
        found in message and entry.sha256 in message and entry.url in message and str(folders.target(entry)) in message
    )
    assert left(folders) == []
    assert get(entry)[0][0].verified, "the next download is a new one"


def test_a_damaged_part_of_an_earlier_download_is_thrown_away_and_downloaded_anew(
    server, model, detector, folders, get
):
    entry = model(server.serve("/model.onnx", detector), detector)
    folders.of("ipadapter")[0].mkdir(parents=True)
    folders.target(entry).with_name("model.onnx.part").write_bytes(b"?" * 100_000)
    [fetched], told = get(entry)
    assert fetched.verified and server.ranges() == ["bytes=100000-", None]
    assert "damaged" in told[-1]


def test_a_damaged_part_is_downloaded_again_only_once(server, model, detector, folders, get):
    entry = model(server.serve("/model.onnx", detector, corrupts(7), corrupts(7)), detector)
    folders.of("ipadapter")[0].mkdir(parents=True)
    folders.target(entry).with_name("model.onnx.part").write_bytes(b"?" * 100_000)
    with pytest.raises(DownloadError, match="does not send the published file"):
        get(entry)
    assert server.ranges() == ["bytes=100000-", None] and left(folders) == []


def test_a_part_of_unknown_size_is_asked_about(server, model, detector, folders, get):
    entry = model(server.serve("/model.onnx", detector), detector, size=None)
    folders.of("ipadapter")[0].mkdir(parents=True)
    part = folders.target(entry).with_name("model.onnx.part")
    part.write_bytes(detector)
    assert get(entry)[0][0].verified and server.ranges() == [f"bytes={len(detector)}-"], "it was complete"
    folders.target(entry).rename(part)
    with part.open("ab") as file:
        file.write(b"more")
    [fetched], told = get(entry)
    assert fetched.verified and server.ranges()[-1] is None and "does not match the file on the server" in told[1]


@pytest.mark.parametrize("change", [1, -1], ids=["longer", "shorter"])
def test_another_file_than_the_published_is_noticed_by_its_size(server, model, detector, folders, get, change):
    entry = model(server.serve("/model.onnx", detector), detector, size=len(detector) - change)
    with pytest.raises(DownloadError, match="does not send the published file"):
        get(entry)
    assert left(folders) == []


def test_a_web_page_is_not_a_model(server, model, detector, folders, get):
    with pytest.raises(DownloadError, match="sends a web page instead of a model"):
        get(model(server.serve("/model.onnx", PAGE), detector))
    assert left(folders) == []


def test_a_web_page_saved_under_a_models_name_is_replaced(server, model, detector, folders, get):
    entry = model(server.serve("/model.onnx", detector), detector)
    folders.of("ipadapter")[0].mkdir(parents=True)
    folders.target(entry).write_bytes(PAGE)
    [fetched], _ = get(entry)
    assert fetched.verified and fetched.path.read_bytes() == detector


def test_a_web_page_in_another_folder_is_replaced_where_it_lies(server, model, detector, folders, get):
    entry = model(server.serve("/model.onnx", detector), detector)
    page = folders.of("ipadapter")[0] / "faceid" / "model.onnx"
    page.parent.mkdir(parents=True)
    page.write_bytes(PAGE)
    [fetched], _ = get(entry)
    assert fetched.verified and fetched.path == page and left(folders) == ["faceid"]


def test_a_file_the_user_put_there_stays_whatever_it_is(server, model, detector, recogniser, folders, get):
    entry = model(server.serve("/model.onnx", detector), detector)
    folders.of("ipadapter")[0].mkdir(parents=True)
    folders.target(entry).write_bytes(recogniser)
    [fetched], _ = get(entry)
    assert not fetched.downloaded and "another revision" in fetched.check.detail
    assert folders.target(entry).read_bytes() == recogniser and not server.requests


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        (answers(401), "restricts access to"),
        (answers(403), "restricts access to"),
        (answers(404), "no longer exists"),
        (answers(410), "no longer exists"),
        (answers(451), "HTTP 451"),
    ],
    ids=lambda value: str(getattr(value, "status", "")),
)
def test_a_refusal_is_final_and_says_which(server, model, detector, folders, get, answer, says):
    entry = model(server.serve("/model.onnx", detector, answer), detector)
    with pytest.raises(DownloadError, match=says) as refused:
        get(entry)
    assert entry.url in str(refused.value) and len(server.requests) == 1
    assert left(folders) == []


def test_a_gated_file_says_where_to_accept_its_conditions(server, model, detector, get, monkeypatch):
    monkeypatch.setenv("HF_ENDPOINT", server.url)
    path = "/owner/repo/resolve/main/model.onnx"
    server.serve(path, detector, answers(403, X_Error_Code="GatedRepo"), answers(401, X_Error_Code="RepoNotFound"))
    entry = model("https://huggingface.co" + path, detector)
    with pytest.raises(DownloadError, match=f"accept the conditions on {server.url}/owner/repo, and set HF_TOKEN"):
        get(entry)
    with pytest.raises(DownloadError, match=f"{server.url}/owner/repo was deleted or made private"):
        get(entry)


@pytest.mark.parametrize("status", [408, 425, 429, 500, 502, 503, 504])
@pytest.mark.parametrize("again", ["0", "Wed, 21 Oct 2026 07:28:00 GMT"], ids=["seconds", "a date"])
def test_a_busy_server_is_asked_again(server, model, detector, get, status, again):
    entry = model(server.serve("/model.onnx", detector, answers(status), answers(status, Retry_After=again)), detector)
    [fetched], told = get(entry)
    assert fetched.verified and f"HTTP {status}" in told[0]


@pytest.mark.parametrize("wait", ["²", "9" * 5000, "-1", "٣", "1e9", ""], ids=lambda wait: wait[:5])
def test_a_wait_that_is_no_number_is_none(server, model, detector, get, wait):
    busy = answers(503, Retry_After=wait.encode().decode("latin-1"))
    [fetched], told = get(model(server.serve("/model.onnx", detector, busy), detector))
    assert fetched.verified and "HTTP 503" in told[0]


@pytest.mark.parametrize("length", ["9" * 5000, "²", "-5"], ids=lambda length: length[:5])
def test_a_length_that_is_no_number_of_bytes_is_a_sentence_or_nothing(server, model, detector, get, length):
    entry = model(server.serve("/model.onnx", detector, answers(206, Content_Range=f"bytes 0-1/{length}")), detector)
    with contextlib.suppress(DownloadError):  # never another error
        get(entry)


def test_waits_double_and_are_as_long_as_the_server_asks_for_up_to_a_minute(
    server, model, detector, folders, monkeypatch
):
    waits: list[float] = []
    monkeypatch.setattr("faceid_tunes.faceid_core.weights.transfer.time.sleep", waits.append)
    busy = [answers(503), answers(503), answers(503, Retry_After="7"), answers(503, Retry_After="3600")]
    list(fetch_each([model(server.serve("/model.onnx", detector, *busy), detector)], folders, patience=Patience()))
    assert waits == [1, 2, 7, 60]


def test_a_server_that_stays_busy_is_given_up_on(server, model, detector, get):
    with pytest.raises(DownloadError, match=r"too many requests \(HTTP 429\), 3 times in a row"):
        get(model(server.serve("/model.onnx", detector, *[answers(429)] * 3), detector))


@pytest.mark.slow
def test_a_server_that_stays_silent_is_given_up_on(server, model, detector, folders, get):
    entry = model(server.serve("/model.onnx", detector, stalls(100_000), *[stalls(0)] * 3), detector)
    with pytest.raises(DownloadError, match=r"no data for 0.5 seconds, 3 times in a row"):
        get(entry, silence=0.5)
    assert left(folders) == ["model.onnx.part"]


def test_without_a_network_the_url_and_the_path_are_named(model, detector, folders, get):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]  # nobody listens there once it is closed
    entry = model(f"http://127.0.0.1:{port}/model.onnx", detector)
    with pytest.raises(DownloadError) as offline:
        get(entry)
    assert f"127.0.0.1:{port} cannot be reached" in str(offline.value) and "refused" in str(offline.value)
    assert f"Download {entry.url} in another way and save it as {folders.target(entry)}." in str(offline.value)


def test_a_name_that_cannot_be_resolved_is_the_same(model, detector, get):
    with pytest.raises(DownloadError, match=r"models\.invalid cannot be reached"):
        get(model("http://models.invalid/model.onnx", detector))


def test_an_address_that_is_not_one_is_refused(model, detector, get):
    with pytest.raises(DownloadError, match=r"models\.example/model\.onnx cannot be followed"):
        get(model("models.example/model.onnx", detector))


def test_a_connection_that_is_not_secure_is_not_used(server, model, detector, get):
    url = server.serve("/model.onnx", detector).replace("http:", "https:")  # where nobody speaks TLS
    with pytest.raises(DownloadError, match="is not secure"):
        get(model(url, detector))


@pytest.mark.parametrize("said", ["1", "on", "True", "YES"])
def test_hf_hub_offline_is_obeyed(server, model, detector, get, monkeypatch, said):
    monkeypatch.setenv("HF_HUB_OFFLINE", said)
    entry = model(server.serve("/model.onnx", detector), detector)
    with pytest.raises(DownloadError, match="HF_HUB_OFFLINE forbids it"):
        get(entry)
    assert not server.requests


def test_hf_endpoint_names_a_mirror(server, model, detector, get, monkeypatch):
    server.serve("/owner/repo/resolve/main/model.onnx", detector)
    monkeypatch.setenv("HF_ENDPOINT", server.url + "/")
    [fetched], _ = get(model("https://huggingface.co/owner/repo/resolve/main/model.onnx", detector))
    assert fetched.verified


def test_a_token_goes_to_the_hub_and_nowhere_else(server, model, detector, get, monkeypatch):
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    monkeypatch.setenv("HF_ENDPOINT", server.url)
    url = server.serve("/model.onnx", detector)
    get(model("https://huggingface.co/model.onnx", detector, name="hub.onnx"))
    elsewhere = f"/moved/{url.replace('127.0.0.1', 'localhost')}"
    get(model("https://huggingface.co" + elsewhere, detector, name="redirected.onnx"))
    monkeypatch.setenv("HF_ENDPOINT", "https://hub.invalid")
    get(model(url, detector, name="another_host.onnx"))
    monkeypatch.setenv("HF_ENDPOINT", server.url[:-1])
    get(model(url, detector, name="another_port.onnx"))
    assert [request.authorization for request in server.requests] == ["Bearer hf_secret", None, None, None]


def test_an_unknown_hash_is_reported_not_invented(server, model, detector, get):
    [fetched], _ = get(model(server.serve("/model.onnx", detector), detector, sha256=None, size=None))
    assert not fetched.verified and fetched.sha256 == hashlib.sha256(detector).hexdigest()


def test_without_a_hash_a_download_goes_on_within_a_call_but_not_from_an_earlier_one(
    server, model, detector, folders, get
):
    entry = model(server.serve("/model.onnx", detector, drops(100_000)), detector, sha256=None, size=None)
    folders.of("ipadapter")[0].mkdir(parents=True)
    folders.target(entry).with_name("model.onnx.part").write_bytes(b"?" * 100_000)
    [fetched], _ = get(entry)
    assert server.ranges()[0] is None and starts(server)[0] > 0 and fetched.path.read_bytes() == detector


def test_a_disk_too_small_is_noticed_before_the_first_byte(server, model, detector, folders, get):
    with pytest.raises(StorageError, match=r"the disk is full: model\.onnx needs 1,000,000,000,000,000,000 more bytes"):
        get(model(server.serve("/model.onnx", detector), detector, size=10**18))
    assert not server.requests and left(folders) == []


def test_a_folder_that_cannot_be_written_to_is_named(server, model, detector, tmp_path, hurried):
    (tmp_path / "file").touch()
    folders = ModelFolders({"ipadapter": [tmp_path / "file" / "ipadapter"]})  # fails for root too
    with pytest.raises(StorageError, match=r"file/ipadapter cannot be written to: .*FACEID_MODELS"):
        list(fetch_each([model(server.serve("/model.onnx", detector), detector)], folders, patience=hurried))
    assert not server.requests


def test_a_file_that_cannot_get_its_name_is_kept_and_named(server, model, detector, folders, get):
    entry = model(server.serve("/model.onnx", detector), detector)
    folders.target(entry).mkdir(parents=True)
    with pytest.raises(StorageError, match=r"model\.onnx\.part is complete but cannot be renamed to .*model\.onnx"):
        get(entry)
    assert left(folders) == ["model.onnx", "model.onnx.part"]


@pytest.fixture
def zipped(detector, recogniser) -> bytes:
    """As buffalo_l.zip: two files that are wanted, one that is not."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        archive.writestr("1k3d68.onnx", b"not wanted")
        archive.writestr("det_10g.onnx", detector)
        archive.writestr("w600k_r50.onnx", recogniser)
    return content.getvalue()


@pytest.fixture
def pack(server, model, detector, recogniser, zipped):
    """The manifest's two entries for that zip."""
    url = server.url + "/buffalo_l.zip"
    archive = Download(url, len(zipped), hashlib.sha256(zipped).hexdigest())
    place = {"folder": "insightface", "subfolder": "models/buffalo_l", "archive": archive}
    files = {"det_10g.onnx": detector, "w600k_r50.onnx": recogniser}
    return [model(url, files[name], id=name, name=name, member=name, **place) for name in files]


def pack_files(folders) -> list[str]:
    return sorted(os.listdir(folders.of("insightface")[0] / "models" / "buffalo_l"))


def test_a_face_pack_is_one_download_and_two_files(server, pack, zipped, folders, get):
    server.serve("/buffalo_l.zip", zipped)
    fetched, _ = get(*pack)
    assert [file.path.name for file in fetched if file.verified] == ["det_10g.onnx", "w600k_r50.onnx"]
    assert len(server.requests) == 1 and pack_files(folders) == ["det_10g.onnx", "w600k_r50.onnx"]
    assert "buffalo_l" in {found.name for found in list_packs(folders.of("insightface"))}


def test_a_dropped_zip_goes_on(server, pack, zipped, folders, get):
    server.serve("/buffalo_l.zip", zipped, drops(3_000_000))
    assert all(file.verified for file in get(*pack)[0])
    assert 3_000_000 - READ < starts(server)[0] <= 3_000_000


def test_only_the_file_of_a_pack_that_is_missing_is_brought(server, pack, zipped, folders, get):
    server.serve("/buffalo_l.zip", zipped)
    get(pack[1])
    assert pack_files(folders) == ["w600k_r50.onnx"]
    fetched, _ = get(*pack)
    assert {file.entry.name: file.downloaded for file in fetched} == {"det_10g.onnx": True, "w600k_r50.onnx": False}


def test_a_zip_that_is_not_the_published_one_leaves_nothing(server, pack, zipped, folders, get):
    server.serve("/buffalo_l.zip", zipped, corrupts(5_000_000))
    with pytest.raises(DownloadError, match=r"save w600k_r50\.onnx from it as"):
        get(*pack)
    assert pack_files(folders) == []


@pytest.mark.slow
def test_a_zip_of_unknown_hash_has_its_members_checked(server, model, recogniser, zipped, folders, get):
    url = server.serve("/pack.zip", zipped)
    entry = model(url, recogniser, name="det_10g.onnx", member="det_10g.onnx", archive=Download(url))
    with pytest.raises(DownloadError, match=f"contains no det_10g.onnx of {len(recogniser)} bytes"):
        get(entry)
    with pytest.raises(DownloadError, match=r"det_10g\.onnx .* is not the published file: its sha256 is"):
        get(dataclasses.replace(entry, size=None))
    assert left(folders) == ["pack.zip.part"], "the zip may be the right one"
    with pytest.raises(DownloadError, match=r"contains no scrfd\.onnx"):
        get(dataclasses.replace(entry, size=None, member="scrfd.onnx"))
    with pytest.raises(DownloadError, match="is not a zip file"):
        get(dataclasses.replace(entry, archive=Download(server.serve("/pack.zip", recogniser))))
    assert left(folders) == []


def test_a_zip_of_unknown_hash_that_is_damaged_inside_is_deleted(server, model, detector, folders, get):
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("det_10g.onnx", detector)
    start = 30 + len("det_10g.onnx")  # behind the file's own header
    damaged = content.getvalue()[:start] + b"\xff" * 9 + content.getvalue()[start + 9 :]
    url = server.serve("/pack.zip", damaged)
    with pytest.raises(DownloadError, match="is not a zip file that can be read"):
        get(model(url, detector, name="det_10g.onnx", member="det_10g.onnx", archive=Download(url)))
    assert left(folders) == []


def test_a_pack_may_be_zipped_with_its_folder(server, model, detector, folders, get):
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        archive.writestr("buffalo_l/", b"")
        archive.writestr("buffalo_l/det_10g.onnx", detector)
    url = server.serve("/pack.zip", content.getvalue())
    [fetched], _ = get(model(url, detector, name="det_10g.onnx", member="det_10g.onnx", archive=Download(url)))
    assert fetched.verified and left(folders) == ["det_10g.onnx"]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no FIFOs here")
def test_what_is_in_the_place_of_a_part_is_not_written_through_or_waited_for(server, model, detector, folders, get):
    entry = model(server.serve("/model.onnx", detector), detector)
    target = folders.target(entry)
    target.parent.mkdir(parents=True, exist_ok=True)
    part, precious = target.with_name("model.onnx.part"), target.with_name("precious")
    precious.write_bytes(b"do not touch")
    links = ((lambda: part.symlink_to(precious), "a link"), (lambda: os.link(precious, part), "a link"))
    for put, what in (*links, (lambda: os.mkfifo(part), "a pipe")):
        put()
        with pytest.raises(StorageError, match=rf"model\.onnx\.part is .*{what}.* Remove it and fetch again"):
            get(entry)
        part.unlink()
    assert precious.read_bytes() == b"do not touch" and not server.requests
    os.mkfifo(target)
    with pytest.raises(WeightsError, match=r"model\.onnx cannot be read: it is a device or a pipe"):
        get(entry)


def test_members_of_a_zip_are_not_written_through_links_either(server, model, detector, folders, get, zipped):
    url = server.serve("/pack.zip", zipped)
    entry = model(url, detector, name="det_10g.onnx", member="det_10g.onnx", archive=Download(url))
    target = folders.target(entry)
    target.parent.mkdir(parents=True, exist_ok=True)
    precious = target.with_name("precious")
    precious.write_bytes(b"do not touch")
    target.with_name("det_10g.onnx.part").symlink_to(precious)
    with pytest.raises(StorageError, match=r"det_10g\.onnx\.part is a link"):
        get(entry)
    assert precious.read_bytes() == b"do not touch"


@pytest.mark.parametrize(("place", "value"), [(6, b"\x01\0"), (8, b"\x63\0")], ids=["a password", "compression 99"])
def test_a_zip_with_a_password_or_an_exotic_compression_is_a_sentence(
    server, model, detector, folders, get, place, value
):
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        archive.writestr("det_10g.onnx", detector)
    data = bytearray(content.getvalue())
    central = data.rindex(b"PK\x01\x02")
    for start in (place, central + place + 2):  # the file's own header, and the directory's
        data[start : start + 2] = value
    url = server.serve("/pack.zip", bytes(data))
    with pytest.raises(DownloadError, match="is not a zip file that can be read"):
        get(model(url, detector, name="det_10g.onnx", member="det_10g.onnx", archive=Download(url)))
    assert left(folders) == []


def test_a_zip_with_a_file_of_no_name_is_damaged(server, model, detector, folders, get):
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        archive.writestr(zipfile.ZipInfo(""), b"nobody asked for it")
        archive.writestr("det_10g.onnx", detector)
    url = server.serve("/pack.zip", content.getvalue())
    with pytest.raises(DownloadError, match="is not a zip file that can be read"):
        get(model(url, detector, name="det_10g.onnx", member="det_10g.onnx", archive=Download(url)))
    assert left(folders) == []
