"""Reading prompt texts: seconds for a megabyte of the worst we know, and strings tried.

    python benchmarks/grammar.py [--strings 100000] [--seed 0]

A text is parsed at 0.25, 0.5 and 1 MB (processor time, best of 5); a ratio is the time of one size over that of half
the size: 2 is linear time, 4 is quadratic. The texts are those a backtracking reader chokes on, plus real tags, flags
and one real sentence. Then random strings of grammar fragments and Unicode are parsed; anything but PromptError would
end the program.

Target: ratios near 2, no other error.
"""

from __future__ import annotations

import argparse
import itertools
import random
import statistics
import time
from collections.abc import Callable

from faceid_tunes.faceid_core.prompts import Prompt, PromptError, format, lint, parse

SIZES = (250_000, 500_000, 1_000_000)  # characters

REPEATED = (
    *("<", "(", "-", "--", "<<(", "< ", "<a", "<3:", ":", '"', "'", "\\", "\n"),
    *("a-", "a--", "\u2014a", "a--b ", "(a:1", "(:1", "16:9)", "((word:1.2) "),
    *("<faceid:12:1>", "<faceid:12:1> woman ", "woman trekking in the alps, "),
)
# One construct that never ends: (head, body).
ENDLESS = (
    *(("<faceid:", "a"), ("<faceid:1:", "9"), ("<faceid:1:", ":"), ("< ", " "), ("--", "a"), ("--", "a-")),
    *(("--mask_prompt ", "hat "), ("--mask_prompt ", "a"), ('--mask_prompt "', "a"), ('--mask_prompt "', '\\"')),
    *(("--resemblance ", "9"), ("--fill ", " "), ("--controlnets ", "pose ")),
)

FRAGMENTS = (
    *("<", ">", ":", "<faceid:", "<lora:", "<faceid:12:1>", "<FaceID:1:1>", "<faceid:1>", "<3", "--", "-", "\u2014"),
    *("--fill", "--mask_prompt ", "--mask_dilate ", "--input_faceid", "--nothing", "=", '"', "'", "\\", "(word:1.2)"),
    *(" ", "\n", "\0", "\ud800", "\x85", "é", "山", "woman", "0.5", "-20%", "nan", "1e9"),
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--strings", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    print("processor time to parse (ms), by size, and the ratio of each size to half of it")
    print(f"{'text':34}{'0.25 MB':>9}{'0.5 MB':>9}{'1 MB':>9}{'ratio':>7}{'ratio':>7}")
    texts: list[tuple[str, Callable[[int], str]]] = []
    for unit in REPEATED:
        texts.append((f"{unit!r} * n", lambda size, unit=unit: unit * (size // len(unit))))
    for head, body in ENDLESS:
        texts.append((f"{head!r} + {body!r} * n", lambda size, h=head, b=body: h + b * (size // len(b))))
    ratios = [report(name, make, attempt_parse) for name, make in texts]
    worst, median = max(ratios), statistics.median(ratios)
    print(f"from 0.5 to 1 MB: worst ratio {worst:.2f}, median {median:.2f} over {len(ratios)} texts")
    print("the same with parse, format, Prompt and lint")
    for unit in ("<faceid:12:1> woman ", "<faceid:12:1>", "(word:1.2) "):
        report(f"{unit!r} * n", lambda size, unit=unit: unit * (size // len(unit)), attempt_all)
    random_strings(arguments.strings, arguments.seed)


def report(name: str, make: Callable[[int], str], attempt: Callable[[str], None]) -> float:
    seconds = [fastest(attempt, make(size)) for size in SIZES]
    ratios = [longer / shorter for shorter, longer in itertools.pairwise(seconds)]
    shown = name if len(name) < 33 else name[:31] + "…"
    times = "".join(f"{1000 * second:9.1f}" for second in seconds)
    print(f"{shown:34}{times}{ratios[0]:7.2f}{ratios[1]:7.2f}")
    return ratios[-1]


def fastest(attempt: Callable[[str], None], text: str, repeats: int = 5) -> float:
    """Processor time of the shortest of a few runs: the one least disturbed by the rest of the machine."""
    seconds = []
    for _ in range(repeats):
        start = time.process_time()
        attempt(text)
        seconds.append(time.process_time() - start)
    return min(seconds)


def attempt_parse(text: str) -> None:
    try:
        _ = parse(text).plain_text
    except PromptError:
        pass


def attempt_all(text: str) -> None:
    prompt = Prompt(text)
    format(prompt.parsed)
    lint(prompt)


def random_strings(count: int, seed: int) -> None:
    chance = random.Random(seed)
    read = refused = 0
    start = time.perf_counter()
    for _ in range(count):
        parts = [
            chance.choice(FRAGMENTS) if chance.random() < 0.8 else chr(chance.randrange(0x110000))
            for _ in range(chance.randrange(12))
        ]
        try:
            parse("".join(parts))
            read += 1
        except PromptError:
            refused += 1
    seconds = time.perf_counter() - start
    print(f"{count} random strings: {read} read, {refused} refused with PromptError, 0 other errors ({seconds:.1f} s)")


if __name__ == "__main__":
    main()
