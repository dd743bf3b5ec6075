"""How strongly an adapter's LoRA is merged when several people come from one adapter."""

from __future__ import annotations

import pytest
from faceid_tunes.faceid_core.adapter.lora import strength_to_add


@pytest.mark.parametrize("wanted", [(0.4, 1.0), (1.0, 0.4), (0.7, 0.7, 0.2), (0.0, 0.3), (2.0,)])
def test_all_people_of_an_adapter_together_merge_its_lora_at_the_highest_strength(wanted):
    added = [strength_to_add(strength, wanted[:number]) for number, strength in enumerate(wanted)]
    assert sum(added) == pytest.approx(max(wanted))
    assert min(added) >= 0
