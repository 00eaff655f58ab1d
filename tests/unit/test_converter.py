"""Exactly once: any deliveries, deaths and redeliveries, in any order, of any files."""

from __future__ import annotations

import io
import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from itertools import count
from typing import TYPE_CHECKING, Any

import pytest
from databases import MOTO, boto3_at, client_at, counts_of
from hypothesis import given
from hypothesis import strategies as st

from columns import Names
from converter import Converter, Report, Result, RulesChanged, Source
from dynamodb import Unavailable
from lines import Limits
from plan import cut, digest
from receipts import FilesTable, Receipt
from repository import VisitsTable
from sources import NO_SETTINGS, Settings
from tools import tables
from values import day_reader

if TYPE_CHECKING:
    from random import Random

NOW = "2017-10-06T00:00:00.000+00:00"

HEADER = "EventId,EventDay,EventCount\n"
FIVE_DAYS = HEADER + "".join(f"324,{day},{day % 10}\n" for day in range(20171001, 20171006))


@dataclass
class Bench:
    """A converter on tables in memory, and what it told."""

    visits: VisitsTable
    files: FilesTable
    told: list[Report] = field(default_factory=list)

    def converter(self, chunk_size: int = 4, tell: Any = None) -> Converter:
        return Converter(
            self.files, self.visits, tell or self.told.append, Limits(), chunk_size, patience_s=0, sleep=lambda _: None
        )

    def deliver(
        self, content: str, key: str = "incoming/a.csv", etag: str | None = None, **how: Any
    ) -> tuple[Result, Receipt]:
        source = Source("inbox", key, etag or f"etag of {content}")
        return self.converter(**how).convert(source, io.BytesIO(content.encode()))

    def sums(self) -> dict[tuple[str, int], int | float]:
        """Return every count, `all` included."""
        events = ("all", "324", "325", "326")
        return {(event, day): count for event in events for day, count in counts_of(self.visits, event).items()}


@pytest.fixture
def bench(table: VisitsTable, files: FilesTable) -> Bench:
    """An empty service."""
    return Bench(table, files)


FIVE_DAYS_COUNTED = {(event, day): day % 10 for event in ("all", "324") for day in range(20171001, 20171006)}


def test_a_file_is_counted_in_chunks_and_its_receipt_closed(bench: Bench) -> None:
    """Five counts and five of `all` in chunks of four."""
    result, receipt = bench.deliver(FIVE_DAYS)

    assert Result.INGESTED is result
    assert FIVE_DAYS_COUNTED == bench.sums()
    assert receipt == bench.files.get("inbox", "incoming/a.csv")
    assert receipt.began_at <= receipt.ended_at
    assert {
        "bucket": "inbox",
        "key": "incoming/a.csv",
        "etag": f"etag of {FIVE_DAYS}",
        "status": "done",
        "reason": "",
        "digest": digest({key: count for key, count in FIVE_DAYS_COUNTED.items() if key[0] != "all"}),
        "chunk_size": 4,
        "chunks": 3,
        "chunks_applied": 3,
        "rows_read": 5,
        "rows_applied": 5,
        "rows_rejected": 0,
        "visits": 15,
    } == {name: value for name, value in receipt._asdict().items() if not name.endswith("_at")}
    assert [] == bench.told


def test_the_same_content_again_changes_nothing(bench: Bench) -> None:
    """And is no news to anybody."""
    _, receipt = bench.deliver(f"{FIVE_DAYS}abc,20171001,1\n")

    assert (Result.ALREADY_INGESTED, receipt) == bench.deliver(f"{FIVE_DAYS}abc,20171001,1\n")
    assert 1 == len(bench.told)
    assert FIVE_DAYS_COUNTED == bench.sums()


def test_other_content_under_a_known_name_is_refused(bench: Bench) -> None:
    """People are told, and neither counts nor receipt change, nor the bad rows that were kept of the first."""
    _, receipt = bench.deliver(FIVE_DAYS)

    result, refused = bench.deliver(f"{FIVE_DAYS}324,20171006,1\nabc,20171006,1\n")

    assert Result.REFUSED is result
    assert f"has the name of a file of {receipt.began_at} with other content; deliver it under a name of its own" == (
        refused.reason
    )
    assert [Report(refused, None)] == bench.told
    assert FIVE_DAYS_COUNTED == bench.sums()
    assert receipt == bench.files.get("inbox", "incoming/a.csv")


def test_the_same_content_under_another_name_counts_again(bench: Bench) -> None:
    """A delivery is known by its name: two alike are two."""
    bench.deliver(FIVE_DAYS)
    bench.deliver(FIVE_DAYS, key="incoming/b.csv")

    assert {key: 2 * visits for key, visits in FIVE_DAYS_COUNTED.items()} == bench.sums()


def test_a_refused_name_may_come_again_with_better_content(bench: Bench) -> None:
    """Nothing of the first was counted, so nothing can count twice."""
    assert Result.REFUSED is bench.deliver("no header")[0]
    assert Result.REFUSED is bench.deliver("no header")[0]
    assert Result.INGESTED is bench.deliver(FIVE_DAYS)[0]

    assert FIVE_DAYS_COUNTED == bench.sums()
    assert ["has a header which has no EventId and no EventDay; there is"] == [
        report.receipt.reason.partition(" 'no header'")[0] for report in bench.told
    ]


def test_people_are_told_of_bad_rows_before_the_receipt_is_closed(bench: Bench) -> None:
    """Whoever dies in between leaves it open, for someone to tell them again."""
    standing = []

    def tell(_: Report) -> None:
        standing.append(bench.files.get("inbox", "incoming/a.csv"))

    bench.deliver(f"{FIVE_DAYS}abc,20171001,1\n", tell=tell)

    (receipt,) = standing
    assert receipt
    assert ("applying", 2) == (receipt.status, receipt.chunks_applied)


def test_a_resumed_file_is_cut_as_it_was_begun(bench: Bench) -> None:
    """The chunk size is the receipt's, not this version's."""
    with pytest.raises(Unavailable):
        bench.deliver(f"{FIVE_DAYS}abc,20171001,1\n", tell=raiser(Unavailable("told nobody")))
    receipt = bench.files.get("inbox", "incoming/a.csv")
    assert receipt
    assert (2, 3) == (receipt.chunks_applied, receipt.chunks)

    result, receipt = bench.deliver(f"{FIVE_DAYS}abc,20171001,1\n", chunk_size=99)

    assert (Result.INGESTED, 3, 3, 4) == (result, receipt.chunks_applied, receipt.chunks, receipt.chunk_size)
    assert FIVE_DAYS_COUNTED == bench.sums()


def test_a_file_that_reads_otherwise_than_when_it_was_begun_is_not_touched(bench: Bench) -> None:
    """A version with other rules must not mix its chunks with the other's."""
    with pytest.raises(Unavailable):
        bench.deliver(f"{FIVE_DAYS}abc,20171001,1\n", etag="same", tell=raiser(Unavailable("told nobody")))
    before = bench.sums(), bench.files.get("inbox", "incoming/a.csv")

    with pytest.raises(RulesChanged, match=r"another plan of it \(2 of 3 chunks applied\)"):
        bench.deliver(f"{FIVE_DAYS}325,20171001,1\n", etag="same")

    assert before == (bench.sums(), bench.files.get("inbox", "incoming/a.csv"))


def test_a_file_that_is_refused_only_now_is_not_touched(bench: Bench) -> None:
    """Part of it is applied: to say that nothing was, and to end there, would leave it half counted for ever."""
    with pytest.raises(Unavailable):
        bench.deliver(f"{FIVE_DAYS}abc,20171001,1\n", etag="same", tell=raiser(Unavailable("told nobody")))
    before = bench.sums(), bench.files.get("inbox", "incoming/a.csv")

    with pytest.raises(RulesChanged, match=r"another plan of it \(2 of 3 chunks applied\)"):
        bench.deliver("over a limit since", etag="same")

    assert before == (bench.sums(), bench.files.get("inbox", "incoming/a.csv"))
    assert [] == bench.told


def test_the_same_good_rows_under_another_etag_are_other_content(bench: Bench) -> None:
    """Its bad rows may be others, which people would never be told of."""
    bench.deliver(FIVE_DAYS)

    assert Result.REFUSED is bench.deliver(f"{FIVE_DAYS}abc,20171001,1\n")[0]
    assert 1 == len(bench.told)
    assert FIVE_DAYS_COUNTED == bench.sums()


def test_a_closed_file_stays_closed_whatever_the_rules(bench: Bench) -> None:
    """Its ETag says that it is the same content."""
    bench.deliver(FIVE_DAYS, etag="same")

    assert Result.ALREADY_INGESTED is bench.deliver(f"{FIVE_DAYS}325,20171001,1\n", etag="same")[0]
    assert Result.ALREADY_INGESTED is bench.deliver("over a limit since", etag="same")[0]
    assert [] == bench.told
    assert FIVE_DAYS_COUNTED == bench.sums()


def test_a_file_is_left_to_whoever_moves_it(bench: Bench) -> None:
    """A second delivery looks on while the first applies chunks, and tries none itself."""
    counts = {key: visits for key, visits in FIVE_DAYS_COUNTED.items() if key[0] != "all"}
    etag = f"etag of {FIVE_DAYS}"
    first = Receipt("inbox", "incoming/a.csv", etag, "applying", NOW, "", "", digest(counts), 4, 3)
    assert bench.files.claim(first) is None
    looks = []

    def meanwhile(_: float) -> None:
        nonlocal first
        looks.append(first.chunks_applied)
        first = bench.files.apply(first, cut(counts, 4)[first.chunks_applied], bench.visits, NOW)

    second = Converter(bench.files, bench.visits, bench.told.append, Limits(), 4, sleep=meanwhile)

    result, receipt = second.convert(Source("inbox", "incoming/a.csv", etag), io.BytesIO(FIVE_DAYS.encode()))

    assert (Result.ALREADY_INGESTED, first) == (result, receipt)
    assert [0, 1, 2] == looks
    assert FIVE_DAYS_COUNTED == bench.sums()


def test_a_run_that_is_overtaken_goes_on_where_the_other_stands(bench: Bench) -> None:
    """Another delivery applies the next chunk in between: this one sees its fence moved, looks again and goes on."""
    counts = {key: visits for key, visits in FIVE_DAYS_COUNTED.items() if key[0] != "all"}

    def overtake(receipt: Receipt) -> None:
        if receipt.chunks_applied == 1:
            bench.files.apply(receipt, cut(counts, 4)[1], bench.visits, NOW)

    run = replace(bench.converter(), progress=overtake)

    result, receipt = run.convert(Source("inbox", "incoming/a.csv", "e"), io.BytesIO(FIVE_DAYS.encode()))

    assert (Result.INGESTED, 3) == (result, receipt.chunks_applied)
    assert FIVE_DAYS_COUNTED == bench.sums()


def test_a_receipt_that_is_taken_away_meanwhile_ends_the_run(bench: Bench) -> None:
    """Without its receipt nobody can tell which chunks of a file were applied, so that the run ends with an error."""
    counts = {key: visits for key, visits in FIVE_DAYS_COUNTED.items() if key[0] != "all"}
    etag = "e"
    bench.files.claim(Receipt("inbox", "incoming/a.csv", etag, "applying", NOW, "", "", digest(counts), 4, 3))

    def take_away(_: float) -> None:
        key = {"Bucket": {"S": "inbox"}, "Key": {"S": "incoming/a.csv"}}
        client_at(MOTO).call("DeleteItem", {"TableName": bench.files.name, "Key": key})

    run = replace(bench.converter(), sleep=take_away)

    with pytest.raises(RulesChanged, match="was taken away or changed by hand"):
        run.convert(Source("inbox", "incoming/a.csv", etag), io.BytesIO(FIVE_DAYS.encode()))


def raiser(error: Exception) -> Callable[[Report], None]:
    """Return a `tell` that cannot."""

    def tell(_: Report) -> None:
        raise error

    return tell


def test_a_file_that_was_begun_under_other_settings_is_not_gone_on_with(bench: Bench) -> None:
    """A source's settings are part of the plan, as the rules of the code are."""
    text = "EventId,EventDay,EventCount\n324,01.02.2017,1\n324,03.02.2017,1\n324,04.05.2017,1\n"
    source = Source("inbox", "incoming/theirs/a.csv", "e1")
    day_first, month_first = (Settings(read_day=day_reader(form)) for form in ("DD.MM.YYYY", "MM.DD.YYYY"))
    dies = bench.converter(chunk_size=2, tell=raiser(Unavailable("told nobody")))
    bad = f"{text}abc,01.02.2017,1\n".encode()
    with pytest.raises(Unavailable):
        dies.convert(source, io.BytesIO(bad), day_first)

    with pytest.raises(RulesChanged):
        bench.converter(chunk_size=2).convert(source, io.BytesIO(bad), month_first)

    assert Result.INGESTED is bench.converter(chunk_size=2).convert(source, io.BytesIO(bad), day_first)[0]
    assert {20170201: 1, 20170203: 1, 20170504: 1} == counts_of(bench.visits, "324")


# Any interleaving. Each delivery runs in a thread of its own, and stops before and after each call to DynamoDB
# until it is told to go on, or to die there.


class Killed(BaseException):
    """The process is gone."""


class Delivery(threading.Thread):
    """A delivery of a file's content by a version of the code that cuts chunks of some size."""

    def __init__(
        self, client: Any, names: tuple[str, str], source: Source, content: str, chunk_size: int, settings: Settings
    ) -> None:
        super().__init__(daemon=True)
        self.failure: BaseException | None = None
        self._client = client
        self._go = threading.Semaphore(0)
        self._stopped = threading.Semaphore(0)
        self._dies = False
        gated: Any = Gated(client, self._gate)
        files = FilesTable(gated, names[1], sleep=lambda _: None)
        visits = VisitsTable(gated, names[0], sleep=lambda _: None)
        self._converter = Converter(files, visits, lambda _: self._gate(), Limits(), chunk_size, sleep=lambda _: None)
        self._work = source, content, settings
        self.start()
        self._stopped.acquire()

    def run(self) -> None:
        source, content, settings = self._work
        try:
            self._gate()
            self._converter.convert(source, io.BytesIO(content.encode()), settings)
        except Killed:
            pass
        except BaseException as error:  # noqa: BLE001 - it is the test's to raise
            self.failure = error
        finally:
            self.ended = True
            self._stopped.release()

    ended = False

    def step(self, *, dies: bool = False) -> None:
        """Let it go on to the next stop, or die where it stands."""
        self._dies = dies
        self._go.release()
        assert self._stopped.acquire(timeout=20)
        if self.failure:
            raise self.failure

    def _gate(self) -> None:
        self._stopped.release()
        self._go.acquire()
        if self._dies:
            raise Killed


class Gated:
    """A client whose calls stop before they are sent, and again before their answer is heard."""

    def __init__(self, client: Any, gate: Callable[[], None]) -> None:
        self._client = client
        self._gate = gate

    def call(self, operation: str, request: Any) -> Any:
        self._gate()
        try:
            return self._client.call(operation, request)
        finally:
            self._gate()


days = st.sampled_from([20171001, 20171002, 20171003])
rows = st.tuples(st.sampled_from(["324", "325", "abc"]), days, st.integers(0, 9))
contents = st.lists(rows, min_size=1, max_size=8).map(
    lambda rows: HEADER + "".join(f"{event},{day},{count}\n" for event, day, count in rows)
)
deliveries = st.lists(
    # Mostly of the same name and content: these are the ones that meet.
    st.tuples(st.sampled_from(["a.csv", "a.csv", "b.csv"]), st.sampled_from([0, 0, 1]), st.sampled_from([2, 3, 99])),
    min_size=2,
    max_size=4,
)
table_numbers = count(1)


SOURCE = Settings(
    "theirs", Names({"EventId": "Number", "EventDay": "Date", "EventCount": "Visits"}), day_reader("DD.MM.YYYY")
)


def of_source(content: str) -> str:
    """Return a content as a source writes it."""
    rows = (line.split(",") for line in content.splitlines()[1:])
    return "Visits\tDate\tNumber\n" + "".join(
        f"{count}.0\t{day[6:]}.{day[4:6]}.{day[:4]}\t{event}\n" for event, day, count in rows
    )


@given(
    st.tuples(contents, contents),
    deliveries,
    st.randoms(use_true_random=False),
    st.sampled_from([0, 0.02, 0.1]),
    st.booleans(),
)
def test_each_file_counts_once_whatever_is_delivered_dies_and_is_delivered_again(
    moto: str,
    contents: tuple[str, str],
    deliveries: list[tuple[str, int, int]],
    fate: Random,
    death: float,
    has_source: bool,
) -> None:
    """Of each name, the content that was claimed first, and of that each good row, whole or not at all."""
    settings = SOURCE if has_source else NO_SETTINGS
    number = next(table_numbers)
    names = f"visits-{number}", f"files-{number}"
    memory = client_at(moto)
    bench = Bench(VisitsTable(memory, names[0]), FilesTable(memory, names[1]))
    tables.create(boto3_at(moto), bench.visits)
    tables.create(boto3_at(moto), bench.files)

    def begin(name: str, version: int, chunk_size: int) -> Delivery:
        content = of_source(contents[version]) if has_source else contents[version]
        return Delivery(memory, names, Source("inbox", name, f"etag {version}"), content, chunk_size, settings)

    running = [begin(*delivery) for delivery in deliveries]
    while alive := [delivery for delivery in running if not delivery.ended]:
        fate.choice(alive).step(dies=fate.random() < death)
    # Whatever died is delivered again, undisturbed.
    for again in deliveries:
        delivery = begin(*again)
        while not delivery.ended:
            delivery.step()

    expected: Counter[tuple[str, int]] = Counter()
    for name in {name for name, _, _ in deliveries}:
        receipt = bench.files.get("inbox", name)
        assert receipt
        versions = [version for each, version, _ in deliveries if each == name]
        good = {version: good_rows(contents[version]) for version in versions}
        # Refused as a whole only where none of the contents it came with has a good row.
        assert (receipt.status == "done") == any(good.values())
        for event, day, visits in good[int(receipt.etag.removeprefix("etag "))]:
            expected[event, day] += visits
            expected["all", day] += visits
    assert expected == bench.sums()


def good_rows(content: str) -> list[tuple[str, int, int]]:
    """Return the rows that count."""
    fields = [line.split(",") for line in content.splitlines()[1:]]
    return [(event, int(day), int(visits)) for event, day, visits in fields if event != "abc"]
