"""Names that are nearly right. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable

MAX_SLIPS = 20
"""How many unknown names of a query are looked at, as looking takes time."""

_MAX_LENGTH = 20
"""The longest name that is looked at."""

_SHORT = 4
_LONG = 8
"""Letters of a right name: a short one has other words as neighbours, in a long one two letters may be wrong."""


def right_name(name: str, names: Iterable[str]) -> str | None:
    """Return the name that is meant by one that is not among `names`; None if it is none of them.

    It differs in case, in `_ - . [ ]`, or in a letter or two.
    """
    if len(name) > _MAX_LENGTH:
        return None
    bare = re.sub(r"[-_.\[\]]", "", name).lower()
    return next((right for right in names if _is_near(bare, right.lower())), None)


def _is_near(bare: str, right: str) -> bool:
    distance = _distance(bare, right)
    if len(right) <= _SHORT:
        # With another letter, a short name is another word: `list`, `file`, `pays`.
        return distance == 0 or (distance == 1 and (len(bare) != len(right) or sorted(bare) == sorted(right)))
    return distance <= (1 if len(right) < _LONG else 2)


def _distance(one: str, other: str) -> int:
    """Return how many letters have to be added, left out, replaced, or swapped with a neighbour."""
    rows = [list(range(len(other) + 1))]
    for n, letter in enumerate(one, 1):
        row = [n]
        for m, its in enumerate(other, 1):
            best = min(rows[-1][m] + 1, row[-1] + 1, rows[-1][m - 1] + (letter != its))
            if n > 1 and m > 1 and letter == other[m - 2] and one[n - 2] == its:
                best = min(best, rows[-2][m - 2] + 1)
            row.append(best)
        rows.append(row)
    return rows[-1][-1]
