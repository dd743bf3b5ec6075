"""Whether a set of photos ever stands for somebody else without a word: python benchmarks/groups.py

Eight people of the bundled photos, every two of them, in eight kinds of sets (tests/support/groups.py): alone, small
beside a large stranger, with a stranger first or in most photos, one photo of each, in groups only.

Target: another person kept silently: 0 of more than 200 composed pictures.
"""

from __future__ import annotations

import _setup  # noqa: F401
from faceid_tunes.faceid_core.faces import EMBEDDED_PACK, find_pack
from support.groups import given_photos, table

OUTCOMES = ("right", "right, told", "refused", "another person, told", "ANOTHER PERSON, SILENT")


def main() -> None:
    pack = find_pack(EMBEDDED_PACK, [])
    sets = list(given_photos(pack))
    print(f"{len(sets)} sets, {sum(len(given.photos) for given in sets)} composed pictures, pack {pack.name}")
    counted = table(iter(sets), pack)
    print(f"{'':20}" + "".join(f"{name:>24}" for name in OUTCOMES))
    for kind, counts in counted.items():
        print(f"{kind:20}" + "".join(f"{counts[name]:>24}" for name in OUTCOMES))
    silent = sum(counts[OUTCOMES[-1]] for counts in counted.values())
    print(f"another person kept silently: {silent}")
    if silent:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
