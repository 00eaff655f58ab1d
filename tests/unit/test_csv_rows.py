"""CSV in every dialect that is understood, and what is refused because it is unclear what a row or a column is."""

from __future__ import annotations

import pytest
from reading import HEADER, in_pieces, read, refused

from columns import DAY, Names
from lines import Limits
from sources import Settings

NO_ID = "is not a number (ASCII digits)"
COUNTS = {("324", 20171001): 3, ("300", 20171002): 1}
NAMES = "the `columns` of a source say what other names mean"
NO_FIELDS = "has a header which has no EventId and no EventDay; "
SEVERAL = "a day in several columns is not supported: it must be in one"
LIKE_A_ROW = "its first line looks like a row, not like a header"


@pytest.fixture
def one_column() -> Settings:
    """A source whose files have a row a visit, and need but a day."""
    return Settings(names=Names({DAY: "day"}, "7"))


@pytest.mark.parametrize(
    "text",
    [
        "EventCount,EventDay,EventId\n3,20171001,324\n1,20171002,300\n",
        "UserId,EventDay,Page,EventId,EventCount\n1,20171001,/,324,3\n2,20171002,/,300,1\n",
        "UserId,UserId,,EventDay,EventId,EventCount\n1,1,,20171001,324,3\n2,2,,20171002,300,1\n",
        '"EventId","EventDay","EventCount"\n"324","20171001","3"\n300,"20171002",1\n',
        "\ufeffEventId,EventDay,EventCount\r\n324,20171001,3\r\n300,20171002,1\r\n",
        '\ufeff"EventId","EventDay","EventCount"\r\n324,20171001,3\r\n300,20171002,1\r\n',
        "EventId,EventDay,EventCount\r324,20171001,3\r300,20171002,1",
        "EventId,EventDay,EventCount\r324,20171001,3\r\n300,20171002,1\n",
        "EventId,EventDay,EventCount\n\n324,20171001,3\n\r\n\r300,20171002,1\n\n",
        "EventId,EventDay,EventCount\n324,20171001,+003\n300,20171002,1",
        "EventId,EventDay\n324,20171001\n324,20171001\n300,20171002\n324,20171001\n",
        # delimiters
        "EventId;EventDay;EventCount\n324;20171001;3\n300;20171002;1\n",
        "EventId\tEventDay\tEventCount\n324\t20171001\t3\n300\t20171002\t1\n",
        "EventId|EventDay|EventCount\n324|20171001|3\n300|20171002|1\n",
        '"Note;a,b";EventId;EventDay;EventCount\n"x;,";324;20171001;3\n;300;20171002;1\n',
        # before the header
        "\n\r\n \t\nEventId,EventDay,EventCount\n324,20171001,3\n300,20171002,1\n",
        "sep=;\nEventId;EventDay;EventCount\n324;20171001;3\n300;20171002;1\n",
        'SEP=,\r\n\r\nEventId,EventDay,EventCount\r\n324,20171001,3\r\n300,20171002,1\r\n',
        '"sep=\t"\nEventId\tEventDay\tEventCount\n324\t20171001\t3\n300\t20171002\t1\n',
        ",,\n;;\nEventId,EventDay,EventCount\n324,20171001,3\n300,20171002,1\n",
        "# ----\n# Visits, 2017\n#\nEventId,EventDay,EventCount\n324,20171001,3\n300,20171002,1\n",
        # names
        "EventId,EventDay, EventCount\n324,20171001,3\n300,20171002,1\n",
        "eventid,EVENTDAY,eventcount\n324,20171001,3\n300,20171002,1\n",
        "event_id,Event Day,event-count\n324,20171001,3\n300,20171002,1\n",
        " 'EventId' , \"Event Day\" ,`EventCount`\n324,20171001,3\n300,20171002,1\n",
        "Event\u00a0Id,Event\u200bDay,\ufeffEvent\u00adCount\n324,20171001,3\n300,20171002,1\n",
        # blanks, empty rows, the header again
        "EventId,EventDay,EventCount\n 324 ,\t20171001,3\u00a0\n300,20171002,1\n",
        'EventId,EventDay,EventCount\n "324" , "20171001","3" \n300,20171002,1\n',
        "EventId,EventDay,EventCount\n324,20171001,3\n,,\n , ,\n,\n   \n300,20171002,1\n,,,,\n",
        'EventId,EventDay,EventCount\n324,20171001,3\n"","",""\n300,20171002,1\n',
        "EventId,EventDay,EventCount\n324,20171001,3\nEventId,EventDay,EventCount\n300,20171002,1\n",
        'EventId,EventDay,EventCount\n324,20171001,3\n\ufeff"event id",EVENT_DAY,EventCount\r\n300,20171002,1\n',
        # values
        "EventId,EventDay,EventCount\n324,2017/10/01,3.0\n300,2017.10.02 24:00,0\n300,2017-10-02 12:00 UTC,1.00\n",
    ],
)  # fmt: skip
def test_what_csv_may_look_like_makes_no_difference(text: str) -> None:
    """Whatever is no guess is understood without being told."""
    file = read(text)

    assert COUNTS == {key: count for key, count in file.counts.items() if count}
    assert 0 == file.rows[2]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is empty"),
        ("\ufeff", "is empty"),
        ("\n \r\n", "is empty"),
        (",,\n\n", "has no header"),
        ("# nothing\n", "has no header"),
        (HEADER, "has no row"),
        (f"{HEADER}\n,,\r\n", "has no row"),
        (f"{HEADER}{HEADER}", "has no row"),
        (f"{HEADER}x,20171001,3\n", "has not one good row"),
        ("324,20171001,3\n", f"{NO_FIELDS}between commas, {LIKE_A_ROW}"),
        ("324;2017-10-01T12:00Z;3\n", f"{NO_FIELDS}between semicolons, {LIKE_A_ROW}"),
        ("anna@example.com\tAnna\n", f"{NO_FIELDS}between tabs, {LIKE_A_ROW}"),
        ("20171001\n", f"{NO_FIELDS}{LIKE_A_ROW}"),
        ("id;day;n\n324;20171001;3\n", f"{NO_FIELDS}between semicolons, there is 'id', 'day', 'n'; {NAMES}"),
        ("visits\n3\n", f"{NO_FIELDS}there is 'visits'; {NAMES}"),
        (
            f"{'|'.join('abcdefghijklmno')}\n",
            f"{NO_FIELDS}between bars, there is {', '.join(f"'{c}'" for c in 'abcdefghijkl')} and 3 more; {NAMES}",
        ),
        (
            f"a\x1b[31m,{'x' * 41}\n",
            f"{NO_FIELDS}between commas, there is 'a\\x1b[31m', '{'x' * 40}…'; {NAMES}",
        ),
        (
            "year,month,date_of_month,births\n2000,1,1,9083\n",
            f"{NO_FIELDS}between commas, there is 'year', 'month', 'date_of_month', 'births'; {SEVERAL}",
        ),
        (
            "EventId,Count\n324,3\n",
            f"has a header which has no EventDay; between commas, there is 'EventId', 'Count'; {NAMES}",
        ),
        ("EventId,EventDay,event_id\n1,20171001,1\n", "has a header which has EventId twice"),
        ("EventId,EventDay,Event Day\n1,20171001,1\n", "has a header which has EventDay twice"),
        ("EventId,EventDay,EventCount,EventCount\n1,20171001,1,1\n", "has a header which has EventCount twice"),
        (
            "EventId,EventDay,EventCounts\n1,20171001,5\n",
            "has a header which has 'EventCounts', which is nearly EventCount: rename it",
        ),
        ('"EventId"x,EventDay\n324,20171001\n', "has a header whose quotes do not fit"),
        ('"EventId,EventDay\n324,20171001\n', "has a header whose quotes do not fit"),
        ("sep=^\nEventId^EventDay\n", "says `sep=` with none of commas, semicolons, tabs, bars"),
        (
            "sep=;\nEventId,EventDay\n324,20171001\n",
            f"{NO_FIELDS}there is 'EventId,EventDay'; {NAMES}",
        ),
    ],
)
def test_a_header_that_does_not_show_the_columns_refuses_the_file(text: str, message: str) -> None:
    """The reason says what was found, and what would help; but nothing of what looks like a row."""
    assert message == refused(text)


@pytest.mark.parametrize("name", ["EventCoun", "EventCountt", "EventCounx", "EvntCount", "Event_Cnt", "event-counts"])
def test_a_slip_in_the_name_of_the_count_refuses_the_file(name: str) -> None:
    """Each row would be one visit."""
    assert "nearly EventCount" in refused(f"EventId,EventDay,{name}\n1,20171001,5\n")
    assert "nearly EventCount" in refused(f"{HEADER}1,20171001,5\n".replace("EventCount", name))


@pytest.mark.parametrize("name", ["Count", "Visits", "EventCost", "EventCode", "Event", "Day Event Count of Visitors"])
def test_other_columns_are_ignored(name: str) -> None:
    """That each row was one visit is told."""
    found = read(f"EventId,EventDay,{name}\n1,20171001,5\n1,20171001,x\n")

    assert {("1", 20171001): 2} == found.counts
    assert 2 == found.rows_without_count


@pytest.mark.parametrize(
    "text",
    ["EventId,EventDay,Event\nCount\n1,20171001,3\n", "EventId,EventDay,\nEventCount\n1,20171001,3\n"],
)
def test_a_header_in_two_lines_refuses_the_file(text: str) -> None:
    """The column of counts went with the second, and each row would be one visit."""
    assert "has a header without EventCount, and a first row that does not fit it" == refused(text)


def test_a_header_that_two_delimiters_make_show_the_columns_refuses_the_file(one_column: Settings) -> None:
    """Either may be meant; but where there is one column, none stands between."""
    assert "has a header that can be read with commas or others between columns" == refused(
        "day,x;day\n20171001,x;20171002\n", settings=one_column
    )
    assert {("7", 20171001): 1} == read("day\n20171001\n", settings=one_column).counts


@pytest.mark.parametrize(
    "second",
    [
        "EventDay,EventId,EventCount\n20171001,4,900610\n",
        "EventId,EventDay,EventCount,Note\n4,20171001,5,x\n",
        "EventId,EventDay\n4,20171001\n",
        "EventId;EventDay;EventCount\n4;20171001;5\n",
        '\ufeff"Event Day"\tEvent Id\n20171001\t4\n',
        "EventId,EventDay,EventId\n4,20171001,4\n",
    ],
)
def test_a_second_header_that_is_not_the_first_refuses_the_file(second: str) -> None:
    """Two files after each other: the columns of the second are others."""
    assert "has a second header, which is not the first" == refused(f"{HEADER}324,20171001,3\n{second}")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        # A quote that is left open swallows rows, until the next one closes it in a place where none may.
        (
            '1,20171001,"3\n2,20171001,4\n3,20171001,5\n"4",20171001,6\n5,20171001,7\n',
            "has a quoted field that does not end as it should, line 2",
        ),
        ('1,20171001,3\n2,20171001,"3\n3,20171001,4\n', "has a quoted field that does not end, line 3"),
        ('1,20171001,3\n2,20171001,"3', "has a quoted field that does not end, line 3"),
        # It closes where one may, by chance; then what it swallowed, or the next quote, gives it away.
        ('1,20171001,"3\n2,20171001,4\n3,20171001,",5"\n', "has a quoted field that does not end as it should, line 2"),
        (
            '1,20171001,"3\n2,20171001,"\n3,20171001,x"\n4,20171001,5\n',
            "has a row with a quote too many or too few, line 4",
        ),
        ('1,20171001,"3",x\n2,20171001,4"\n', "has a row with a quote too many or too few, line 3"),
        ('1,20171001,3,4"\n2,20171001,"4"\n', "has a row with a quote too many or too few, line 2"),
        ('1,20171001,"3,"4"\n', "has a row with a quote too many or too few, line 2"),
    ],
)
def test_a_quote_too_many_or_too_few_refuses_the_file(text: str, message: str) -> None:
    """Which rows it swallowed cannot be told; never are they lost without a word."""
    assert message == refused(f"{HEADER}{text}")


def test_a_quote_is_a_character_in_a_file_that_quotes_nothing() -> None:
    """As inches are written."""
    found = read(f'Note,{HEADER}5" disk,324,20171001,3\na "b" c,324,20171001,4\n')

    assert {("324", 20171001): 7} == found.counts


def test_an_ignored_field_may_have_line_ends_in_quotes() -> None:
    """The row is good, and the lines after it are counted from its end."""
    file = read('EventId,Note,EventDay\n324,"one\ntwo\r\nthree, ""four""",20171001\nx,,20171001\n')

    assert {("324", 20171001): 1} == file.counts
    assert [(5, f"EventId 'x' {NO_ID}", "x,,20171001")] == file.rejected


def test_a_bad_row_over_several_lines_is_rejected_whole() -> None:
    """With the number of its first line; the row after it is read as such."""
    file = read(f'Note,{HEADER}a,1,20171001,1\n"b\nc\r\n\rd",2,2017-13-01,1\n"e\nf",3,20171001,1,\ng,4,20171001,1\n')

    assert {("1", 20171001): 1, ("4", 20171001): 1} == file.counts
    assert [
        (3, "EventDay '2017-13-01' is not a calendar date (YYYYMMDD)", '"b\nc\r\n\rd",2,2017-13-01,1'),
        (7, "has 5 fields, the header has 4", '"e\nf",3,20171001,1,'),
    ] == file.rejected


def test_blanks_behind_a_quote_do_no_harm_over_several_lines_either() -> None:
    """Programs that align columns write them."""
    file = read(f'Note,{HEADER}"a\nb" , "324" ,20171001,3\nx,300,20171002,1\n')

    assert COUNTS == file.counts


def test_an_id_with_a_line_end_is_none() -> None:
    """Blanks around a value are nothing, line ends are not."""
    file = read(f'{HEADER}"324\n",20171001,3\n300,20171001,1\n')

    assert [(2, f"EventId '324\\n' {NO_ID}", '"324\n",20171001,3')] == file.rejected


def test_a_row_is_bounded_as_a_line_is() -> None:
    """Or all of a file may be one, and its fields take all memory."""
    fits, limits = f'{HEADER}1,20171001,"{"a\n" * 40}"\n2,20171001,3\n', Limits(max_line_bytes=93)

    assert 1 == read(fits, limits=limits).rows[1]
    for size in (1, 7, 92, 93):
        message = "has a row of more than 92 bytes, line 2"
        assert message == refused(in_pieces(fits.encode(), size), limits=Limits(max_line_bytes=92))


@pytest.mark.parametrize("header", ['"EventId","EventDay","EventCount"', f"{HEADER}1,20171001,3"])
def test_millions_of_fields_are_not_held_in_memory(header: str) -> None:
    """No line is too long, and no field."""
    data = in_pieces(header.encode() + b',"a\n"' * 1_000_000, 65_536)

    assert refused(data).startswith(
        "has a header whose quotes do not fit" if header[0] == '"' else "has a row of more "
    )
    assert data.given <= 6 * 65_536


def test_a_quote_left_open_in_a_large_file_is_refused_early() -> None:
    """What follows cannot be told apart."""
    data = in_pieces(f'{HEADER}324,20171001,3\n324,20171001,"3\n{"324,20171001,3\n" * 100_000}'.encode(), 65_536)

    assert "has a row of more than 65,536 bytes, line 3" == refused(data)
    assert data.given <= 4 * 65_536


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (f"{HEADER}1,20171001,1\n2\n", "has a row that seems to go on in line 3"),
        (f"{HEADER}1,20171001,3\n2,20171001,1\n.0\n", "has a row that seems to go on in line 4"),
        ("EventCount,EventId,EventDay\n1,2,2017-10-01\n 23:30-01:00\n", "has a row that seems to go on in line 3"),
    ],
)
def test_a_value_that_a_line_end_cuts_in_two_refuses_the_file(text: str, message: str) -> None:
    """What is left of it may be a value, too."""
    assert message == refused(text)


def test_other_rows_of_one_field_are_bad_rows() -> None:
    """As programs write below a table; where the last column is not read, a line end in it does no harm."""
    assert 2 == read(f"{HEADER}1,20171001,1\n(1 row)\nTotal: 1\n").rows[2]
    assert 1 == read(f"{HEADER.strip()},Note\n1,20171001,1,7\n7\n").rows[2]
