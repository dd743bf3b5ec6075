"""Non-commercial licences are agreed to before a download, once, and remembered."""

from __future__ import annotations

import dataclasses

import pytest
from faceid_tunes.faceid_core.weights.errors import LicenceError
from faceid_tunes.faceid_core.weights.fetch import fetch_each
from faceid_tunes.faceid_core.weights.licences import accepted, remember
from faceid_tunes.faceid_core.weights.manifest import Licence

RESEARCH = Licence("research-only", "For research only.", False, "https://example.org/research-only")


@pytest.fixture
def asked():
    """asked(answer): a way to accept, and the licences it was asked about."""
    questions: list[str] = []

    def answering(answer: bool):
        def accept(licence: Licence) -> bool:
            questions.append(licence.id)
            return answer

        return accept, questions

    return answering


@pytest.fixture
def research(server, model, detector):
    """Two different files under one research-only licence."""
    first = model(server.serve("/a.onnx", detector), detector, id="a", name="a.onnx", licence=RESEARCH)
    return [first, dataclasses.replace(first, id="b", name="b.onnx", url=server.serve("/b.onnx", detector))]


def test_a_licence_is_asked_for_once_and_remembered(research, folders, asked):
    accept, questions = asked(True)
    assert len(list(fetch_each(research, folders, accept))) == 2
    assert questions == ["research-only"] and accepted() == {"research-only"}
    for file in fetch_each(research, folders):
        file.path.unlink()
    assert all(file.downloaded for file in fetch_each(research, folders)), "not asked again"


def test_a_refused_licence_downloads_nothing_at_all(server, model, detector, research, folders, asked):
    free = model(server.serve("/model.onnx", detector), detector)
    accept, questions = asked(False)
    with pytest.raises(LicenceError) as refused:
        list(fetch_each([free, *research], folders, accept))
    assert questions == ["research-only"] and not server.requests and not accepted()
    for part in ("a.onnx, b.onnx", "For research only.", RESEARCH.url, "--accept-license research-only"):
        assert part in str(refused.value)


def test_nothing_is_accepted_by_default(research, folders):
    with pytest.raises(LicenceError):
        list(fetch_each(research, folders))


def test_files_that_are_there_need_no_answer(research, folders, detector):
    for entry in research:
        folders.target(entry).parent.mkdir(parents=True, exist_ok=True)
        folders.target(entry).write_bytes(detector)
    assert not any(file.downloaded for file in fetch_each(research, folders))


def test_a_licence_that_allows_commerce_is_not_asked_for(server, model, detector, folders, asked):
    accept, questions = asked(False)
    list(fetch_each([model(server.serve("/model.onnx", detector), detector)], folders, accept))
    assert not questions


def test_an_answer_counts_although_it_cannot_be_written_down(research, folders, asked, tmp_path, monkeypatch, caplog):
    (tmp_path / "home").mkdir(exist_ok=True)
    (tmp_path / "home" / "config").touch()  # a file where the folder should be
    accept, _ = asked(True)
    assert len(list(fetch_each(research, folders, accept))) == 2
    assert "will be asked for again" in caplog.text and not accepted()


def test_several_processes_may_remember_at_once():
    for id in ("one", "two", "one"):
        remember(dataclasses.replace(RESEARCH, id=id))
    assert accepted() == {"one", "two"}
