"""Names that are nearly right."""

from __future__ import annotations

import pytest

from query import SERIES_PARAMETERS
from slips import right_name


@pytest.mark.parametrize(
    ("name", "right"),
    [
        *(
            (name, "startDate")
            for name in ("startdate", "start_date", "StartDate", "startDate[]", "start-date", "start.date")
        ),
        *((name, "startDate") for name in ("STARTDATE", "startDates", "starDate", "strtDate", "satrtDate", "startDay")),
        *((name, "endDate") for name in ("enddate", "end_date", "EndDate", "endDat", "endDate[0]")),
        *((name, "interval") for name in ("intervall", "Interval", "intervals", "intreval", "intervalo")),
        *((name, "last") for name in ("Last", "LAST", "lasts", "lsat", "las")),
        *((name, "fill") for name in ("Fill", "fil", "filll", "fill[]")),
        *((name, "compare") for name in ("Compare", "comapre", "compares", "compar")),
        *((name, "order") for name in ("Order", "oder", "order[]")),
        *((name, "limit") for name in ("Limit", "limits", "limt")),
        *((name, "format") for name in ("Format", "formats", "fromat")),
        *((name, "layout") for name in ("Layout", "lay_out", "layuot")),
        *((name, "days") for name in ("Days", "day", "dyas")),
    ],
)
def test_a_name_that_is_nearly_right_is_recognised(name: str, right: str) -> None:
    """Case, signs between, and a letter or two do not make another name."""
    assert right == right_name(name, SERIES_PARAMETERS)


@pytest.mark.parametrize(
    "name", ["list", "file", "past", "key", "id", "q", "v", "", "_", "from", "to", "start", "border_width", "map"]
)
def test_a_name_that_only_looks_alike_is_none(name: str) -> None:
    """Other programs add parameters of their own to an address."""
    assert right_name(name, SERIES_PARAMETERS) is None


def test_long_names_are_not_looked_at() -> None:
    """Comparing takes time that grows with the length."""
    assert "startDate" == right_name(f"startDate{'_' * 11}", SERIES_PARAMETERS)
    assert right_name(f"startDate{'_' * 12}", SERIES_PARAMETERS) is None
