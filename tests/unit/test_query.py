"""A query string is understood as a selection of rows, and written back."""

from __future__ import annotations

from urllib.parse import parse_qs, urlencode

import pytest

from http_utils import Request
from query import read_selection, write_selection
from series import Interval, Selection


def request(query: str) -> Request:
    """Return a request for event 324 with this query."""
    return Request("324", parse_qs(query, keep_blank_values=True))


@pytest.mark.parametrize(
    ("query", "selection", "understood"),
    [
        ("", Selection(), ""),
        ("startDate=2017-10-02", Selection(20171002), "startDate=20171002"),
        ("endDate=00010101", Selection(end=10101), "endDate=00010101"),
        ("fill=zero", Selection(fill=True), "fill=zero"),
        ("interval=week&order=desc", Selection(interval=Interval.WEEK, descending=True), "interval=week&order=desc"),
        ("interval=total", Selection(interval=Interval.TOTAL), "interval=total"),
        ("limit=0007", Selection(limit=7), "limit=7"),
        ("limit=10000&order=asc&interval=day&format=json", Selection(), ""),
        ("utm_source=mail&StartDate=20171013&startdate=1", Selection(), ""),
        (
            "format=csv&limit=5&order=desc&interval=month&fill=zero&endDate=20171231&startDate=20170101",
            Selection(20170101, 20171231, fill=True, interval=Interval.MONTH, descending=True, limit=5),
            "startDate=20170101&endDate=20171231&fill=zero&interval=month&order=desc&limit=5",
        ),
    ],
)
def test_a_query_is_understood_and_written_back_without_defaults(
    query: str, selection: Selection, understood: str
) -> None:
    """Asked again as it is written back, a query is understood the same; unknown parameters are ignored."""
    assert selection == read_selection(request(query))
    assert understood == urlencode(write_selection(selection))
    assert selection == read_selection(request(understood))
