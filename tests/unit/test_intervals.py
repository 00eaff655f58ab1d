"""The rules of intervals, which series.py and page/ both have: one file of cases holds both to the same.

`tests/unit/page/calendar.test.mjs` and `series.test.mjs` go through the same cases.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from series import Interval, Selection

CASES = json.loads((Path(__file__).parents[1] / "intervals.json").read_text("utf-8"))


@pytest.mark.parametrize("case", CASES["firstDays"], ids=str)
def test_a_row_bears_the_first_day_of_its_interval(case: dict[str, Any]) -> None:
    """A row bears the first calendar day of the interval that its days are in."""
    page = Selection(interval=Interval(case["interval"])).page([{case["day"]: 3}])

    assert {case["first"]: 3} == page.rows


@pytest.mark.parametrize("case", CASES["sums"], ids=lambda case: case["why"])
def test_the_days_of_a_range_become_rows(case: dict[str, Any]) -> None:
    """Each interval of the range has a row with the sum of its counts, or without a count if there is none."""
    counts = {int(day): visits for day, visits in case["counts"].items()}
    selection = Selection(case["start"], case["end"], fill=True, interval=Interval(case["interval"]))

    assert dict(case["rows"]) == selection.page([counts]).rows
