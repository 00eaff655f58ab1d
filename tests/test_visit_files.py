"""Reading visit files."""

import pytest

from visit_files import BadFile, read_csv

HEADER = "EventId,EventDay,EventCount\n"


def test_rows_are_summed_by_event_and_day() -> None:
    """Both notations of a day are the same day."""
    lines = [HEADER, "324,20171001,3\n", "324,2017-10-01,4\n", "300,20171001,1\n", "324,20171002,0\n"]

    assert {("324", 20171001): 7, ("300", 20171001): 1, ("324", 20171002): 0} == read_csv(lines)


def test_blank_lines_are_skipped() -> None:
    """Editors leave one at the end."""
    assert {("324", 20171001): 3} == read_csv([HEADER, "\n", "324,20171001,3\n", "\n"])


def test_byte_order_mark_and_crlf_are_tolerated() -> None:
    """Spreadsheets write both."""
    assert {("324", 20171001): 3} == read_csv(["\ufeffEventId,EventDay,EventCount\r\n", "324,20171001,3\r\n"])


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ([], "line 1: the header is '', not 'EventId,EventDay,EventCount'"),
        (["324,20171001,3\n"], "line 1: the header is '324,20171001,3', not 'EventId,EventDay,EventCount'"),
        ([HEADER], "the file has a header and no rows"),
        ([HEADER, "324,20171001\n"], "line 2: 2 fields, not 3"),
        ([HEADER, "\n"], "the file has a header and no rows"),
        ([HEADER, "324,20171001,3,4\n"], "line 2: 4 fields, not 3"),
        ([HEADER, "324,20171001,3\n", "3x,20171001,3\n"], "line 3: '3x' is not a number (ASCII digits)"),
        ([HEADER, "all,20171001,3\n"], "line 2: 'all' is not a number (ASCII digits)"),
        ([HEADER, "324,20171399,3\n"], "line 2: '20171399' is not a calendar date (YYYYMMDD)"),
        ([HEADER, "324,20171001,-3\n"], "line 2: '-3' is not a whole number from 0 to 1,000,000,000,000"),
        ([HEADER, "324,20171001,1.5\n"], "line 2: '1.5' is not a whole number from 0 to 1,000,000,000,000"),
        ([HEADER, '324,20171001,"3\n'], "line 2: unexpected end of data"),
    ],
)
def test_a_file_that_breaks_a_rule_names_the_line_and_the_rule(lines: list[str], message: str) -> None:
    """One bad row, and nothing of the file is returned."""
    with pytest.raises(BadFile) as raised:
        read_csv(lines)

    assert message == str(raised.value)
