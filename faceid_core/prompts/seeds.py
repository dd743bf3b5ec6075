"""Which seed draws what. Both local engines draw by these rules, so a seed is one picture in both."""

from __future__ import annotations

from .prompt import MAX_SEED


def seeds_from(first: int, count: int) -> tuple[int, ...]:
    """One seed per image: image i has first + i, modulo 2^32, so each can be written in a prompt to draw it alone."""
    return tuple((first + i) % (MAX_SEED + 1) for i in range(count))


def seed_per_image(seeds: tuple[int, ...], count: int) -> tuple[int, ...]:
    """The seeds of ``count`` images, counted on past the last where there are more images than a prompt asks for."""
    return (*seeds, *seeds_from(seeds[-1] + 1, count - len(seeds)))[:count]


def step_noise_seed(seed: int) -> int:
    """The seed of the noise drawn while an image is sampled: beyond 2^32, where no first noise is drawn from."""
    return seed + MAX_SEED + 1
