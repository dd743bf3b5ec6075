"""What a person reads as a tag is a tag or an error; what is no tag for anybody stays words."""

from __future__ import annotations

import random

import pytest
from faceid_tunes.faceid_core.prompts import Lint, Prompt, lint
from faceid_tunes.faceid_core.prompts.errors import PromptError
from faceid_tunes.faceid_core.prompts.grammar import parse
from support.tag_mutations import BRACKETS, garbled

_NAMES = (
    "face-id",
    "face id",
    "face_id",
    "Face-ID",
    "FACE ID",
    "face\u2011id",
    "face\u2013id",
    "face.id",
    "face  id",
    "f\u0430ceid",
    "fac\u0435id",
    "f\u0430c\u0435\u0456d",
    "face\u0131d",
    "fa\u200bceid",
    "\ufefffaceid",
    "fac\u00e9id",
    "\uff46\uff41\uff43\uff45\uff49\uff44",
    "\U0001d41f\U0001d41a\U0001d41c\U0001d41e\U0001d422\U0001d41d",
    "face\u00adid",
    "l\u043er\u0430",
    "\u029fora",
    "l\u200dora",
)
_ESCAPED = (
    "&lt;faceid:12:1&gt;",
    "&LT;faceid:12:1&GT;",
    "&#60;faceid:12:1&#62;",
    "&#x3c;faceid:12:1&#x3E;",
    "&amp;lt;faceid:12:1&amp;gt;",
    "&amp;amp;lt;faceid:12:1&gt;",
    "&lt;lora:detail:0.8&gt;",
    "&lt;face-id&colon;12&colon;1&gt;",
    "&lsaquo;faceid:12:1&rsaquo;",
    "&laquo;lora:x:1&raquo;",
    "\\<faceid:12:1\\>",
)
_SIGNS = (
    "<faceid：12：1>",
    "<faceid∶12:1>",
    "<faceid\ua78912\ua7891>",
    "＜faceid：12：1＞",
    "[faceid：12：1]",
    "{lora：x：1}",
    "faceid:12:1 woman",
    "lora:detail:0.8",
    "faceid : 12 : 1",
    "faceid：12：0.8",
    "[faceid:12]",
    "{faceid:Anna}",
    "[lora:detail]",
    "[ faceid:12:1 ]",
    "[faceid:12:,8]",
    "(faceid:12:1.0)",
    "[face id:Anna 2026:1]",
    "\u200b[faceid:12:1]",
    "<\u200bfaceid:12:1>",
    "<faceid\u200b:12:1>",
    "<\u2060lora:x:1>",
    "‹faceid:12:1>",
    "<lora:detail：0.8>",
    "[lora:x:-1]",
    "[faceid:12:1",
    "«faceid:12:1",
    "Faceid:12:1",
    "FACEID:Anna:1",
    "LORA:x:1",
    "{face-id:12:1.2}",
)

_MORE_ESCAPED = (
    "&#60faceid:12:1&#62",
    "&#x3cfaceid:12:1&#x3e",
    "&ltfaceid:12:1&gt",
    "&#8249faceid:12:1&#8250",
    "%3Cfaceid:12:1%3E",
    "%3Cfaceid%3A12%3A1%3E",
    "%253Cfaceid%253A12%253A1%253E",
    "%EF%BC%9Cfaceid:12:1%EF%BC%9E",
    "\\u003cfaceid:12:1\\u003e",
    "\\u{3c}lora:x:1\\u{3e}",
    "\\x3cfaceid\\x3a12\\x3a1\\x3e",
    "\\074faceid:12:1\\076",
    "=3Cfaceid:12:1=3E",
    "&amp;#x3C;faceid:12:1&amp;#x3E;",
    "&amp%3Blt;lora:x:1&gt;",
)
_MORE_LETTERS = (
    "<fa\u115fceid:12:1>",
    "<face\u3164id:12:1>",
    "<fac\uffa0eid:12:1>",
    "<fac\u034feid:12:1>",
    "<fac\ufe0feid:12:1>",
    "<fac\U000e0041eid:12:1>",
    "<f\x01aceid:12:1>",
    "<f\u0336a\u0336ceid:12:1>",
    "\u202e>1:21:diecaf<",
    "\u200f<\u200ffaceid:12:1>",
    "‹ꜰᴀᴄᴇɪᴅ:12:1›",
    "<ʟᴏʀᴀ:x:1>",
    "<🇫🇦🇨🇪🇮🇩:12:1>",
    "<🅵🅰🅲🅴🅸🅳:12:1>",
    "<ⓕⓐⓒⓔⓘⓓ:12:1>",
    "<𝔣𝔞𝔠𝔢𝔦𝔡:12:1>",
    "<ғαсεіԁ:12:1>",
    "<ƒаϲеíɗ:12:1>",
    "<ꓝꓮꓚꓰꓲꓓ:12:1>",
    "<lοrα:x:1>",
    "⟦faceid:12:1⟧",
    "〔faceid:12:1〕",
    "❰faceid:12:1❱",
)
_MORE_NAMES = (
    "<face-id-v2:12:1>",
    "<faceidv2:12:1>",
    "<faceid12:1>",
    "<lo-ra:x:1>",
    "<f a c e i d:12:1>",
    "<f-a-c-e-i-d:12:1>",
    "<l·o·r·a:x:1>",
    "<facid:12:1>",
    "<faceld:12:1>",
    "<faceidd:12:1>",
    "<fcaeid:12:1>",
    "<face1d:12:1>",
    "(faceld:12:1)",
    "<f4ceid:12:1>",
    "<lroa:x:1>",
    "<l0ra:x:1>",
    "<loras:x:1>",
    "<my faceid:12:1>",
    "<faceid:12:1]",
    "[faceid:12:1>",
    "<faceid:12:1",
    "faceid:12:1>",
    "{faceid:12:1>",
)

LOOKALIKES = [
    *_MORE_ESCAPED,
    *_MORE_LETTERS,
    *_MORE_NAMES,
    *(f"<{name}:12:1>" for name in _NAMES),
    *(f"[{name}:12:1]" for name in _NAMES),
    *(f"{left}faceid:12:1{right}" for left, right in BRACKETS),
    *(f"{left}lora:detail:0.8{right}" for left, right in BRACKETS),
    *_ESCAPED,
    *_SIGNS,
]

INNOCENT = [
    text
    for template in (
        "{} in the alps",
        "a woman, {}",
        "{}",
        "portrait ({}:1.2)",
        "{} & friends",
    )
    for text in (
        template.format(words)
        for words in (
            "faceid",
            "face id",
            "a faceid badge",
            "FaceID",
            "face-id lock screen",
            "faceid & touch id",
            "<3",
            "1 < 2 > 0",
            "a > b",
            "a <- b",
            "x < y",
            "R&D",
            "&lt;3",
            "&amp;",
            "Tom &amp; Jerry",
            "lora",
            "flora and fauna",
            "explora: a boat",
            "[faceid]",
            "{faceid|portrait}",
            "[cat:dog:0.5]",
            "(cat:1.2)",
            "«hello»",
            "‹small›",
            "【lens】",
            "лора",
            "лицо: 12",
            "16:9",
            "3:4:5 ratios",
            "http://example.org/a:b",
            "time 12:30:45",
            "ｆｕｌｌ ｗｉｄｔｈ",
            "{{template}}",
        )
    )
] + [
    "faceid: a study in light",
    "face id: the phone unlocks",
    "lora: the name of a parrot",
    "(faceid:1.2)",
    "(lora:0.8)",
    "(face id:1.1), neon",
    "[faceid:]",
    "surface id:12 on a plate",
    "flora:12:1 is a shelf mark",
    "\\(faceid\\)",
    "lora:12:30 pm",
    "lora:9:05",
    "faceid:1:1 aspect ratio",
    "faceid:16:9 and 3:2",
    "[faceid: the movie:0.5]",
    "[lora:a parrot]",
    "[lora:the parrot:0.5]",
    "[faceid:0.5]",
    "[faceid:old phone:8]",
    "{lora: the parrot|a cat}",
    "{faceid|lora|cat}",
    "(lora: parrot:1.2)",
    "(faceid: a study:1.1)",
    "if a<b:c>d",
    "std::map<key:value>",
    "a<b && c>d",
    "x<=y, y>=z, x<>z",
    "1<2:3>2",
    ">_<",
    ">:(",
    "<:3 )~",
    "o_O <o/ \\o>",
    "<3 <3 </3",
    "-> => <- <= <-> ⇒ ←",
    "<b>bold</b> and <i>italic</i>",
    '<a href="https://example.org:80/a">link</a>',
    '<svg:rect width="3">',
    "<!-- a comment: faceid -->",
    "<lorem ipsum>",
    "&nbsp;&mdash;&hellip;",
    "100%, 50%25 grey, a%20b",
    "C:\\\\users\\\\lora",
    "\\\\u00e9t\\\\u00e9",
    "[[cat]], ((dog)), {{bird}}",
    "[cat|dog|bird]",
    "[a cat::0.5] [:a dog:0.5]",
    "L'ora: 12",
    "Nora: a portrait, 3:2",
    "flora: roses, 2:3",
    "lord: the ring:1",
    "[flora:fauna:0.5]",
    "the lore: old tales",
    "place id: 12",
    "face, id card: new",
    "face to face: idyll",
    "a < faceid, b > lora",
    "faceid > lora",
    "<- faceid",
    "ℓora ♡ ☺ ™ ½",
    "été à la plage : 1",
    "שלום <3 مرحبا",
]


# What may be words, and may be meant as a tag: drawn as words, and said.
ADVISED = [
    "faceid:12",
    "faceid: Anna",
    "lora:detail",
    "(faceid:Anna)",
    "(faceid:12)",
    "(lora:detail)",
    "[faceid 12 1]",
    "(face id 12)",
    "{faceid;12;1}",
    "[faceid=12]",
    "<face-id 12>",
    "<face id>",
    "<face–id;12;1>",
    "faceid 12 1",
    "faceid Anna 1>",
    "facid:12:1",
    "[facid:12:1]",
    "[lroa:detail:0.8]",
    "faceidv2:12",
    "lora:12:30 pm",
    "faceid:1:1 aspect ratio",
    "[faceid: the movie:0.5]",
    "[lora:a parrot]",
    "{lora: the parrot|a cat}",
    "if a<b:c>d",
    "<person:Anna>",
    "< hypernet: x: 1>",
    "<<faceid:12:1>>",
    "<<faceid:12:1>",
    "<lora:x:1>>",
]


def told(text: str) -> list[Lint]:
    """The advice about words that read as tags."""
    codes = ("looks-like-a-tag", "unknown-tag", "doubled-bracket")
    return [found for found in lint(Prompt(text)) if found.code in codes]


def test_the_tables_are_as_long_as_promised():
    assert len(set(LOOKALIKES)) >= 100 and len(set(INNOCENT)) >= 100


@pytest.mark.parametrize("lookalike", LOOKALIKES)
@pytest.mark.parametrize("template", ["{} woman", "photo of {} in the alps", "{}"])
def test_a_lookalike_is_never_silent(template, lookalike):
    with pytest.raises(PromptError) as raised:
        parse(template.format(lookalike))
    assert raised.value.position is not None and "^" in str(raised.value)


@pytest.mark.parametrize("text", INNOCENT)
def test_an_innocent_text_is_never_refused(text):
    assert not parse(text).tags


@pytest.mark.parametrize("lookalike", ADVISED)
@pytest.mark.parametrize("template", ["{}", "a woman, {}", "{}, (smiling:1.1)"])
def test_what_may_be_a_tag_and_may_be_words_gets_advice_with_its_place(template, lookalike):
    text = template.format(lookalike)
    (advice,) = told(text)
    assert text[advice.start : advice.end] in lookalike and text[advice.start : advice.end] in advice.message


@pytest.mark.parametrize("seed", range(4))
def test_a_garbled_tag_is_never_silent(seed):
    chance = random.Random(seed)
    silent = []
    for _ in range(500):
        text = chance.choice(("{}", "photo of {} woman", "a, {}, b")).format(garbled(chance))
        try:
            heard = told(text) or parse(text).tags
        except PromptError:
            continue
        silent += [] if heard else [text]
    assert silent == []


def test_a_tag_in_the_negative_prompt_is_told_of_however_it_is_written():
    for negative in ("<faceid:12:1>", "&lt;faceid:12:1&gt;", "[face-id:12:1]", "faceid:12"):
        assert "tag-in-negative-prompt" in [found.code for found in lint(Prompt("a cat", negative))]


def test_the_error_points_at_the_tag_and_says_what_to_write():
    with pytest.raises(PromptError) as raised:
        parse("photo of &lt;face-id:Anna 2026:0.8&gt; smiling")
    assert raised.value.position == 9
    assert str(raised.value).endswith("Write <faceid:Anna 2026:0.8>, with plain signs and letters, or other words.")


def test_real_tags_stay_tags_beside_words_that_need_folding():
    found = parse("＜3 <faceid:12:1> é <lora:detail:0.8> &amp; «лето»")
    assert [tag.ref for tag in found.tags] == ["12", "detail"]


@pytest.mark.parametrize("title", ["Анна", "Zoë", "Straße", "Anna 2026"])
def test_the_advice_names_the_person_as_written(title):
    with pytest.raises(PromptError, match=f"Write <faceid:{title}:1>"):
        parse(f"[faceid:{title}:1] woman")
