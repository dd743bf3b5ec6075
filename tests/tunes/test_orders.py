"""What a user says of a tune's photos, as text."""

from __future__ import annotations

import pytest
from faceid_tunes.faceid_core.tunes.errors import TuneError
from faceid_tunes.faceid_core.tunes.orders import PhotoOrder, parse_orders


@pytest.mark.parametrize(
    ("text", "orders"),
    [
        ("", {}),
        (" ; \n", {}),
        ("2 ignore", {2: PhotoOrder(use=False)}),
        ("2: Ignore; 3 = USE", {2: PhotoOrder(use=False), 3: PhotoOrder(use=True)}),
        ("3 face 1\n1 weight 2.5", {3: PhotoOrder(face=1), 1: PhotoOrder(weight=2.5)}),
        ("1 use; 1 weight 2", {1: PhotoOrder(use=True, weight=2.0)}),
        ("1 at 0.25, 0.5", {1: PhotoOrder(at=(0.25, 0.5))}),
        ("4 auto", {4: PhotoOrder(is_auto=True)}),
    ],
)
def test_orders_are_read(text: str, orders: dict) -> None:
    assert parse_orders(text) == orders


@pytest.mark.parametrize(
    "text",
    ["2", "ignore", "2 ignore 3", "2 face", "2 face x", "2 face -1", "2 face 1.5", "1 weight 0", "1 weight nan",
     "1 weight 1e9", "1 at 0.5", "1 at 2 0", "1 use, 2 ignore", "1 delete", "2ignore"],
)  # fmt: skip
def test_words_that_are_not_an_order_are_quoted(text: str) -> None:
    with pytest.raises(TuneError, match=r"says nothing about a photo\..*Write the image number") as caught:
        parse_orders(f"1 use; {text}")
    assert repr(text) in str(caught.value)
