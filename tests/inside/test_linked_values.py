"""What another node gives to a number or a text is held to the schema, whatever it is."""

from __future__ import annotations

import pytest
from faceid_tunes.faceid_core.errors import FaceIDError
from faceid_tunes.nodes.mix import FaceIDMixPeople
from faceid_tunes.nodes.prompt import FaceIDPrompt
from faceid_tunes.nodes.regions import FaceIDRegions


@pytest.mark.parametrize(
    ("node", "name", "value", "says"),
    [
        (FaceIDRegions, "people", None, "people: nothing comes over the link. Link a value"),
        (FaceIDRegions, "people", 10**5000, "people: a number of thousands of digits is not a whole number"),
        (FaceIDMixPeople, "share", 10**400, "share: 1000.* is not a number"),
        (FaceIDMixPeople, "share", float("nan"), "share: nan is not a number"),
        (FaceIDPrompt, "text", b"bytes", "text: a bytes is linked here. Link a text"),
    ],
    ids=["nothing", "thousands of digits", "hundreds of digits", "NaN", "bytes"],
)
def test_a_linked_value_that_no_widget_could_have_is_a_sentence(node, name, value, says):
    schema = node.define_schema()
    given = {one.id: getattr(one, "default", None) for one in schema.inputs if not one.optional}
    with pytest.raises(FaceIDError, match=says):
        node.execute(**given | {name: value})
