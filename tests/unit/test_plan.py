"""A plan's chunks and its digest: what every run that works on one file has to agree on."""

from __future__ import annotations

import math
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plan import MAX_CHUNK_SIZE, cut, digest
from visits import ALL_EVENTS

type CountsByPair = dict[tuple[str, int], int]

COUNTS: CountsByPair = {
    ("324", 20171002): 5,
    ("9", 20171001): 2,
    ("324", 20171001): 3,
    ("10", 20171001): 0,
    ("007", 20171002): 1_000_000_000_000,
    ("325", 20171003): 7,
}

counts = st.dictionaries(
    st.tuples(st.integers(0, 30).map(str), st.integers(20171001, 20171020)), st.integers(0, 5), max_size=200
)


def test_the_digest_of_a_plan_never_changes() -> None:
    """Receipts in the field have it: a run that resumes a file of another version must come to the same one."""
    # printf '%s\n' 10,20171001,0 324,20171001,3 9,20171001,2 007,20171002,1000000000000 324,20171002,5 \
    #     325,20171003,7 | sha256sum
    assert "6118941a1cbdf4417f52181e2e9200a79364c5c10bce88acade5a1ceeed345be" == digest(COUNTS)
    assert "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855" == digest({})


def test_the_chunks_of_a_plan_never_change() -> None:
    """Receipts in the field say how many of them are applied: oldest day first, then by the id as text."""
    assert [
        [("10", 20171001, 0), ("324", 20171001, 3), ("9", 20171001, 2), ("all", 20171001, 5)],
        [
            ("007", 20171002, 1_000_000_000_000),
            ("324", 20171002, 5),
            ("all", 20171002, 1_000_000_000_005),
        ],
        [("325", 20171003, 7), ("all", 20171003, 7)],
    ] == cut(COUNTS, 4)
    assert [
        [("10", 20171001, 0), ("324", 20171001, 3), ("all", 20171001, 3)],
        [("9", 20171001, 2), ("all", 20171001, 2)],
        [("007", 20171002, 1_000_000_000_000), ("324", 20171002, 5), ("all", 20171002, 1_000_000_000_005)],
        [("325", 20171003, 7), ("all", 20171003, 7)],
    ] == cut(COUNTS, 3)
    assert [
        [
            ("10", 20171001, 0),
            ("324", 20171001, 3),
            ("9", 20171001, 2),
            ("007", 20171002, 1_000_000_000_000),
            ("324", 20171002, 5),
            ("325", 20171003, 7),
            ("all", 20171001, 5),
            ("all", 20171002, 1_000_000_000_005),
            ("all", 20171003, 7),
        ]
    ] == cut(COUNTS, 99)


@pytest.mark.parametrize(
    ("pair", "visits"),
    [
        (("324", 20171002), 6),
        (("324", 20171004), 1),
        (("32", 20171002), 0),
        (("10", 20171002), 0),
    ],
)
def test_another_plan_has_another_digest(pair: tuple[str, int], visits: int) -> None:
    """A count, a day or an event makes the difference, even where nothing is added by it."""
    assert digest(COUNTS) != digest({**COUNTS, pair: visits})


@pytest.mark.parametrize("pair", COUNTS)
def test_a_plan_without_one_of_its_counts_has_another_digest(pair: tuple[str, int]) -> None:
    """Whichever it is."""
    assert digest(COUNTS) != digest({other: visits for other, visits in COUNTS.items() if other != pair})


@given(counts.flatmap(lambda drawn: st.tuples(st.just(drawn), st.permutations(list(drawn)))), st.integers(2, 100))
def test_the_order_in_which_counts_came_makes_no_difference(
    drawn: tuple[CountsByPair, list[tuple[str, int]]], chunk_size: int
) -> None:
    """Neither to the digest nor to the chunks."""
    plan, order = drawn
    shuffled = {pair: plan[pair] for pair in order}

    assert digest(plan) == digest(shuffled)
    assert cut(plan, chunk_size) == cut(shuffled, chunk_size)


@given(counts, st.integers(2, 100))
def test_chunks_carry_every_count_once_and_keep_all_in_step(counts: CountsByPair, chunk_size: int) -> None:
    """Wherever a writer stops between two chunks, `all` is the sum over the events."""
    sums: Counter[tuple[str, int]] = Counter()
    carried: Counter[tuple[str, int]] = Counter()
    for rows in cut(counts, chunk_size):
        assert 2 <= len(rows) <= chunk_size
        # DynamoDB takes an item once in a transaction.
        assert len(rows) == len({(row.event_id, row.day) for row in rows})
        for row in rows:
            sums[row.event_id, row.day] += int(row.visits)
            carried[row.event_id, row.day] += 1
        for day in {row.day for row in rows}:
            events = sum(visits for (event_id, on), visits in sums.items() if on == day and event_id != ALL_EVENTS)
            assert events == sums[ALL_EVENTS, day]

    assert counts == {key: visits for key, visits in sums.items() if key[0] != ALL_EVENTS}
    assert all(1 == times for (event_id, _), times in carried.items() if event_id != ALL_EVENTS)


@given(counts, st.integers(2, 100))
def test_a_chunk_ends_with_the_all_of_just_its_own_rows(counts: CountsByPair, chunk_size: int) -> None:
    """One for each of its days, the oldest first."""
    for rows in cut(counts, chunk_size):
        totals: Counter[int] = Counter()
        events = [row for row in rows if row.event_id != ALL_EVENTS]
        for row in events:
            totals[row.day] += int(row.visits)

        assert [*events, *((ALL_EVENTS, day, totals[day]) for day in sorted(totals))] == rows


@pytest.mark.parametrize(("events", "days"), [(1, 10_000), (1_000, 10), (4, 2_167), (1, 1), (98, 1), (10_000, 1)])
def test_chunks_are_full(events: int, days: int) -> None:
    """At most 1% more of them than the rows would fill, the days' `all` included."""
    counts = {(str(event), 20_000_000 + day): 1 for event in range(events) for day in range(days)}

    fewest = math.ceil((events * days + days) / MAX_CHUNK_SIZE)

    assert fewest <= len(cut(counts, MAX_CHUNK_SIZE)) <= fewest * 1.01


def test_a_chunk_leaves_room_for_the_fence() -> None:
    """A transaction of DynamoDB has at most 100 actions."""
    assert 100 == 1 + max(len(rows) for rows in cut({(str(n), 20171001): 1 for n in range(990)}, MAX_CHUNK_SIZE))


def test_no_counts_make_no_chunks() -> None:
    """There is nothing to apply."""
    assert [] == cut({}, MAX_CHUNK_SIZE)
