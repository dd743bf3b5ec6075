"""What a person reads as a tag is a tag or an error; what is no tag for anybody stays words."""

from __future__ import annotations

import pytest
from faceid_tunes.faceid_core.prompts.errors import PromptError
from faceid_tunes.faceid_core.prompts.grammar import parse

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
_BRACKETS = (
    "[]",
    "{}",
    "()",
    "‹›",
    "«»",
    "⟨⟩",
    "〈〉",
    "《》",
    "＜＞",
    "﹤﹥",
    "［］",
    "｛｝",
    "（）",
    "【】",
    "❮❯",
    "≪≫",
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

LOOKALIKES = [
    *(f"<{name}:12:1>" for name in _NAMES),
    *(f"[{name}:12:1]" for name in _NAMES),
    *(f"{left}faceid:12:1{right}" for left, right in _BRACKETS),
    *(f"{left}lora:detail:0.8{right}" for left, right in _BRACKETS),
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
]


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
