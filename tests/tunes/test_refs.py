"""From the tags of a prompt to tunes, by id or title, and errors that point at the tag."""

from __future__ import annotations

from datetime import timedelta

import pytest
from faceid_tunes.faceid_core.prompts import PromptError, parse
from faceid_tunes.faceid_core.tunes.refs import double_meanings, named_tune, tunes_by_ref, with_tune
from faceid_tunes.faceid_core.tunes.schema import tunes
from faceid_tunes.faceid_core.tunes.store import open_store


def test_a_tag_names_a_tune_by_id_or_by_title(store, create):
    alice = create("Alice 2026")
    text = f"<faceid:{alice.id}:1> woman beside <faceid:Alice 2026:0.5> woman"
    assert [named_tune(store, tag, text) for tag in parse(text).faces] == [alice, alice]


def test_an_id_wins_over_a_title_that_is_a_number(store, create):
    first = create("alice")
    create(str(first.id))
    (tag,) = parse(f"<faceid:{first.id}:1> woman").faces
    assert named_tune(store, tag, "").title == "alice"


def test_a_number_that_is_no_id_may_be_a_title(store, create):
    create("2026")
    (tag,) = parse("<faceid:2026:1> woman").faces
    assert named_tune(store, tag, "").title == "2026"


def test_a_linked_tune_is_put_in_front_unless_the_text_names_it(create):
    alice = create("Alice 2026")
    assert with_tune("woman", alice) == f"<faceid:{alice.id}:1> woman"
    for named in (f"<faceid:{alice.id}:0.5> woman", "<faceid:Alice 2026:0.5> woman"):
        assert with_tune(named, alice) == named


def test_an_unknown_tune_is_pointed_at(store):
    text = "a photo of <faceid:99:1> woman"
    with pytest.raises(PromptError) as caught:
        named_tune(store, parse(text).faces[0], text)
    assert (caught.value.field, caught.value.column) == ("text", 12)
    assert "There is no tune 99" in str(caught.value)


def test_an_expired_tune_is_pointed_at_and_says_when(tmp_path, analysis):
    text = "a photo of <faceid:alice:1> woman"
    with open_store(tmp_path, lifetime=timedelta(0)) as store:
        store.create(analysis.tune("alice", "woman"), analysis.files)
        with pytest.raises(PromptError, match=r"column 12: Tune 1 \('alice'\) expired on \d{4}-\d\d-\d\d"):
            named_tune(store, parse(text).faces[0], text)


def test_lint_gets_the_tunes_that_exist(store, create):
    alice = create("alice")
    assert tunes_by_ref(store, parse("<faceid:alice:1> woman and <faceid:99:1> man")) == {"alice": alice}


def test_a_number_that_is_also_a_title_in_an_older_store_is_told_of(store, create):
    first, second = create("alice"), create("bob")
    with store.database.writing() as connection:  # as versions did that took any title
        connection.execute(tunes.update().where(tunes.c.id == second.id).values(title=str(first.id)))
    (sentence,) = double_meanings(store, parse(f"<faceid:{first.id}:1> woman and <faceid:{second.id}:1> man"))
    assert f"is tune {first.id} ('alice'); tune {second.id}, whose title is '{first.id}', is not meant" in sentence
    assert not list(double_meanings(store, parse("<faceid:alice:1> woman")))
