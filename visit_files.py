"""Reading a visit file: text in, sums by event and day out."""

import csv
from collections import Counter
from collections.abc import Iterable

from visits import CSV_HEADER, InvalidValue, parse_count, parse_day, parse_event_id

type Counts = Counter[tuple[str, int]]
"""Visits by (event id, day)."""


class BadFile(ValueError):
    """The file cannot be counted as it is; the message names the line and the rule."""


def read_csv(lines: Iterable[str]) -> Counts:
    """Return the sums by event and day of a CSV file with the header `EventId,EventDay,EventCount`.

    Blank lines are skipped. Raises BadFile at the first row that breaks a rule, and for a file with no row.
    """
    reader = csv.reader(lines, strict=True)
    counts: Counts = Counter()
    try:
        header = ",".join(next(reader, [])).removeprefix("\ufeff")
        if header != CSV_HEADER:
            raise BadFile(f"line 1: the header is {header!r}, not {CSV_HEADER!r}")
        for row in reader:
            if not row:
                continue
            if len(row) != 3:
                raise BadFile(f"line {reader.line_num}: {len(row)} fields, not 3")
            counts[parse_event_id(row[0]), parse_day(row[1])] += parse_count(row[2])
    except (InvalidValue, csv.Error) as error:
        raise BadFile(f"line {reader.line_num}: {error}") from error
    except UnicodeDecodeError as error:
        raise BadFile(f"not UTF-8: {error}") from error
    if not counts:
        raise BadFile("the file has a header and no rows")
    return counts
