"""The simulation of files that arrive at once: what it shows of a small case."""

from __future__ import annotations

from tools.benchmarks.conflicts import Case, simulate


def test_files_that_conflict_are_all_counted_in_their_first_run() -> None:
    """Transactions that share a day's `all` cancel each other, and each file goes on until all of it is counted."""
    outcome = simulate(Case(files=20, pairs=200))

    assert outcome.failed_runs == 0
    assert outcome.cancelled > 0


def test_a_file_beyond_the_tables_write_units_is_counted_in_one_run() -> None:
    """A table that throttles delays a file, and does not end its run."""
    outcome = simulate(Case(files=1, pairs=2_000, units=200))

    assert outcome.failed_runs == 0
    assert outcome.cancelled > 0
    assert outcome.done_s >= 2 * 2_000 / 200
