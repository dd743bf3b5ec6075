"""Which seed draws what, where there are more or fewer images than a prompt asks for."""

from __future__ import annotations

import pytest
from faceid_tunes.faceid_core.prompts.prompt import MAX_SEED
from faceid_tunes.faceid_core.prompts.seeds import seed_per_image, seeds_from, step_noise_seed


def test_seeds_are_counted_on_from_the_last_where_there_are_more_images():
    assert seed_per_image((7, 100), 4) == (7, 100, 101, 102)
    assert seed_per_image((7, 100), 1) == (7,)


def test_a_seed_that_is_counted_on_can_still_be_asked_for():
    assert seed_per_image((MAX_SEED - 1,), 3) == (MAX_SEED - 1, MAX_SEED, 0) == seeds_from(MAX_SEED - 1, 3)


@pytest.mark.parametrize("seed", [0, 42, MAX_SEED])
def test_no_first_noise_is_drawn_from_the_seed_of_step_noise(seed):
    assert step_noise_seed(seed) == seed + 2**32
    assert step_noise_seed(seed) not in range(MAX_SEED + 1)
