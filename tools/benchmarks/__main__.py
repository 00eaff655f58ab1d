"""`make bench`: measure this service beside what else one could have written, against the budgets; print one table.

CPU time is that of the measured process with all of its threads: DynamoDB is a stub in another process. Contenders take
turns, round by round, so that other load on the machine slows all of them alike. A figure is the median over the
rounds, a ratio the median of the rounds' ratios.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import zipfile
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from importlib.util import find_spec
from pathlib import Path
from statistics import median

from tools.benchmarks import picture, stub, worker

HERE = Path(__file__).parent
PROJECT = HERE.parent.parent

CONTENDERS = {
    "ours": "handler get_visits",
    "book": "book answer",
    "signed call": "signed_call answer",
    "powertools": "with_powertools answer",
    "fastapi": "with_fastapi answer",
}
"""Module and function. The budgets compare with `book` and `signed call`."""

NEEDS = {"powertools": ["aws_lambda_powertools"], "fastapi": ["fastapi", "mangum"]}
"""Packages without which a contender is left out."""

ROWS = [1, 30, 365, 3_650, 10_000]
FILE_ROWS = 700_000
"""10 MB in rows of three fields."""
FILE_PAIRS = 10_000
FILE_GROWTH = [
    *((rows, 1_000) for rows in (10_000, 100_000, 300_000, 1_000_000)),
    *((FILE_ROWS, pairs) for pairs in (10, 100, 1_000, 10_000, 100_000)),
]
"""Rows and distinct (event, day) pairs."""

DAYS = 365
"""Of a file, if it has as many pairs."""

MAX_PACKAGE_MB = 0.3
MAX_CONVERTER_MB = 4
MAX_MEMORY_MB = 64
CHUNK_ROWS = 99
MAX_OTHER_CALLS = 3


@dataclass
class Line:
    """A line of the table: figures by contender, one for each round, and what ours may be at most."""

    what: str
    unit: str
    figures: dict[str, list[float]]
    budgets: dict[str, float] = field(default_factory=dict)
    """By contender, as multiples of it; `at most` is a figure."""

    def ratio(self, to: str) -> float:
        """Return ours as a multiple of another's."""
        return median(ours / other for ours, other in zip(self.figures["ours"], self.figures[to], strict=True))

    @property
    def met(self) -> bool:
        """Whether every budget is kept."""
        return all(
            median(self.figures["ours"]) <= most if to == "at most" else self.ratio(to) <= most
            for to, most in self.budgets.items()
        )

    def as_dict(self) -> dict[str, object]:
        """Return the line for machines."""
        figures = {name: median(values) for name, values in self.figures.items()}
        ratios = {name: self.ratio(name) for name in self.figures if name != "ours"}
        verdict = {"met": self.met} if self.budgets else {}
        return {"what": self.what, "unit": self.unit, **figures, "ratios": ratios, "budgets": self.budgets, **verdict}


WARM_BUDGETS = {
    1: {"book": 0.22, "signed call": 0.8},
    365: {"book": 0.12, "signed call": 0.9},
    3_650: {"book": 0.09},
}

SOURCE = """\
[source]
columns = { EventId = "Site", EventDay = "Date", EventCount = "Visits" }
dates = "DD.MM.YYYY"
"""
"""What `write_file` writes for a third party."""


class Bench:
    """Runs contenders in processes of their own, against one stub."""

    def __init__(self, code: Path, server: stub.Stub, contenders: Sequence[str], rounds: int) -> None:
        self._endpoint = server.endpoint
        self._tls = {"AWS_ENDPOINT_URL": server.tls_endpoint, "AWS_CA_BUNDLE": str(server.ca_bundle)}
        self._rounds = rounds
        self._contenders = contenders
        self._code = code
        self._environment = {
            # No bytecode is written, so none is there but what is packaged: Lambda's file system is read-only, too.
            "PYTHONDONTWRITEBYTECODE": "1",
            "PATH": os.environ["PATH"],
            "AWS_ACCESS_KEY_ID": "bench",
            "AWS_SECRET_ACCESS_KEY": "bench",
            "AWS_REGION": "eu-west-1",
            "AWS_ENDPOINT_URL": server.endpoint,
            "VISITS_TABLE": "user-visits-bench",
            "FILES_TABLE": "visit-files-bench",
            "CACHE_CONTROL": "public, max-age=60",
        }

    def cold(self) -> Line:
        """Measure processes from their beginning to their first answer."""
        return self._cold("cold start", self._contenders, {}, {"book": 0.35})

    def cold_over_tls(self) -> Line:
        """Measure the same where the stub is reached over TLS, as DynamoDB is."""
        return self._cold("cold start, TLS", ["ours", "book"], self._tls, {"book": 0.40})

    def _cold(self, what: str, names: Sequence[str], settings: Mapping[str, str], budgets: dict[str, float]) -> Line:
        figures: dict[str, list[float]] = {name: [] for name in names}
        for _ in range(self._rounds):
            for name in names:
                with self._worker(name, settings) as process:
                    figures[name].append(float(_line(process)))
        return Line(what, "ms", figures, budgets)

    def warm(self, rows: int) -> Line:
        """Measure requests to processes that have answered before."""
        figures = self._turns({name: (name, f"/visits/{rows}") for name in self._contenders}, rows)
        plural = "" if rows == 1 else "s"
        return Line(f"warm request, {rows:,} row{plural}", "ms", figures[0], WARM_BUDGETS.get(rows, {}))

    def several(self) -> tuple[Line, Line]:
        """Measure one request about ten events: CPU time, and the time that passes where each Query takes 5 ms."""
        ten = "/visits/" + ",".join(str(number * stub.SAME_ROWS + 365) for number in range(10))
        cpu, _ = self._turns({"ours": ("ours", ten), "3,650 rows": ("ours", "/visits/3650")}, 3_650)
        slow = {"VISITS_TABLE": "user-visits-slow"}
        _, passed = self._turns({"ours": ("ours", ten), "365 rows": ("ours", "/visits/365")}, 3_650, slow)
        return (
            Line("ten events of 365 rows", "ms", cpu, {"3,650 rows": 1.15}),
            Line("ten events of 365 rows, 5 ms a Query: time passed", "ms", passed, {"365 rows": 3}),
        )

    def ranking(self) -> Line:
        """Measure the list of a thousand events over 30 days, beside reading the same answers as JSON."""
        asked = {name: (name, f"/visits?last={stub.LISTED_DAYS}") for name in ("ours", "json.loads")}
        commands = {"ours": "handler list_visits", "json.loads": "json_sums answer"}
        figures, _ = self._turns(asked, stub.EVENTS * stub.LISTED_DAYS, commands=commands)
        return Line("list of 1,000 events over 30 days", "ms", figures, {"json.loads": 3})

    def _turns(
        self,
        asked: Mapping[str, tuple[str, str]],
        rows: int,
        settings: Mapping[str, str] | None = None,
        commands: Mapping[str, str] = CONTENDERS,
    ) -> tuple[dict[str, list[float]], dict[str, list[float]]]:
        """Return CPU time and time passed, in ms, of contenders that are asked for targets in turns.

        All have to give the stub's rows.
        """
        expected = {target: str(worker.checksum(expected_body(target))) for _, target in asked.values()}
        cpu_ms: dict[str, list[float]] = {name: [] for name in asked}
        passed_ms: dict[str, list[float]] = {name: [] for name in asked}
        with ExitStack() as stack:
            workers = {}
            for name, (contender, target) in asked.items():
                command = [*commands[contender].split(), target]
                workers[name] = stack.enter_context(self._worker(contender, settings, command))
                _line(workers[name])
            # The first turn warms up: caches fill, and what is compiled when first used is.
            for turn, name in enumerate(list(asked) * (self._rounds + 1)):
                # So many that what another process has left in the CPU's caches does not matter.
                target, times = asked[name][1], max(3, min(50, 20_000 // rows))
                cpu, passed, checksum = _line(workers[name], f"{target} {times}").split()
                if checksum != expected[target]:
                    raise ValueError(f"{name} answers other rows than the stub has")
                if turn >= len(asked):
                    cpu_ms[name].append(float(cpu))
                    passed_ms[name].append(float(passed))
        return cpu_ms, passed_ms

    def file(self, path: Path, rows: int, pairs: int, rounds: int) -> tuple[Line, Line, Line]:
        """Measure the converter on a file: CPU beside `csv`, memory, and calls."""
        runs = self._files({"ours": ["ours", str(path)], "csv": ["csv", str(path)]}, rounds)
        what = f"file, {rows:,} rows, {pairs:,} pairs"
        memory = {"ours": [run["memory_mb"] for run in runs["ours"]]}
        # The `all` of each day is a pair, too; that each chunk has those of its own rows takes 1 % more at most.
        chunks = -(-(pairs + min(pairs, DAYS)) // CHUNK_ROWS)
        return (
            Line(f"{what}: CPU", "ms", _cpu_ms(runs), {"csv": 1.6}),
            Line(f"{what}: memory", "MB", memory, {"at most": MAX_MEMORY_MB}),
            Line(
                f"{what}: DynamoDB calls",
                "",
                {"ours": [runs["ours"][-1]["calls"]]},
                {"at most": chunks + chunks // 100 + MAX_OTHER_CALLS},
            ),
        )

    def source(self, path: Path, plain: Path, rounds: int) -> Line:
        """Measure the converter on a file that only its source's settings explain, beside the same rows in our form."""
        settings = path.with_name("sources.toml")
        settings.write_text(SOURCE)
        runs = self._files({"ours": ["ours", str(path), str(settings)], "plain": ["ours", str(plain)]}, rounds)
        return Line("the same rows in a source's form: CPU", "ms", _cpu_ms(runs), {"plain": 1.3})

    def _files(self, contenders: Mapping[str, Sequence[str]], rounds: int) -> dict[str, list[dict[str, float]]]:
        runs: dict[str, list[dict[str, float]]] = {name: [] for name in contenders}
        for _ in range(rounds):
            for name, arguments in contenders.items():
                command = [sys.executable, str(HERE / "files.py"), *arguments]
                done = subprocess.run(command, env=self._of("ours"), check=True, stdout=subprocess.PIPE)
                runs[name].append(json.loads(done.stdout) | {"calls": sum(stub.calls(self._endpoint).values())})
            if len({of_one[-1]["visits"] for of_one in runs.values()}) > 1:
                raise ValueError(f"not the same visits: {runs}")
        return runs

    def _of(self, name: str) -> dict[str, str]:
        # The package brings its requirements along, which others are to take from where theirs are installed.
        return {**self._environment, "PYTHONPATH": str(self._code)} if name == "ours" else self._environment

    @contextmanager
    def _worker(
        self, name: str, settings: Mapping[str, str] | None = None, command: Sequence[str] = ()
    ) -> Iterator[subprocess.Popen[str]]:
        command = [sys.executable, str(HERE / "worker.py"), *(command or CONTENDERS[name].split())]
        environment = {**self._of(name), **(settings or {})}
        pipe = subprocess.PIPE
        with subprocess.Popen(command, env=environment, stdin=pipe, stdout=pipe, text=True) as process:
            yield process


def _cpu_ms(runs: Mapping[str, Sequence[Mapping[str, float]]]) -> dict[str, list[float]]:
    return {name: [run["cpu_ms"] for run in of_one] for name, of_one in runs.items()}


def _line(process: subprocess.Popen[str], asked: str | None = None) -> str:
    """Return a worker's next line, after asking for it."""
    if process.stdin is None or process.stdout is None:
        raise ValueError("a worker is spoken to through pipes")
    if asked:
        print(asked, file=process.stdin, flush=True)
    if line := process.stdout.readline():
        return line
    raise ValueError(f"a worker ended: {process.wait()}")


def expected_body(target: str) -> str:
    """Return what the stub's rows come to."""
    path, _, query = target.partition("?")
    if query:
        sums: Counter[str] = Counter()
        days = list(stub.series(stub.LISTED_DAYS))
        for day in days:
            sums.update(stub.events(day))
        order = sorted(sums, key=lambda event_id: (-sums[event_id], event_id))[: stub.LISTED_EVENTS]
        span = {"FirstDay": days[0], "LastDay": days[-1]}
        return json.dumps([{"EventId": event_id, "EventCount": sums[event_id], **span} for event_id in order])
    event_ids = path.rpartition("/")[2].split(",")
    series = stub.series(int(event_ids[0]) % stub.SAME_ROWS).items()
    rows = [(event_id, day, visits) for day, visits in series for event_id in event_ids]
    return json.dumps([{"EventId": event_id, "EventDay": day, "EventCount": n} for event_id, day, n in rows])


def write_file(path: Path, rows: int, pairs: int, *, of_source: bool = False) -> None:
    """Write a visit file in which every pair comes about as often: events of up to a year, their days in turn.

    `of_source` writes the same in the form that SOURCE describes.
    """
    first = date(2017, 1, 1)
    form = "%d.%m.%Y" if of_source else "%Y%m%d"
    header, delimiter, end = ("Site;Date;Visits", ";", ".0") if of_source else ("EventId,EventDay,EventCount", ",", "")
    days = [f"{first + timedelta(days=number):{form}}" for number in range(min(pairs, DAYS))]
    keys = [f"{100 + number // DAYS}{delimiter}{days[number % DAYS]}" for number in range(pairs)]
    with path.open("w") as file:
        file.write(f"{header}\n")
        file.writelines(f"{keys[number % pairs]}{delimiter}{number % 7}{end}\n" for number in range(rows))


@contextmanager
def packaged(folder: Path | None) -> Iterator[tuple[Path, list[Line]]]:
    """Yield a folder with the code as Lambda has it, and its sizes; or a given folder, and no sizes."""
    if folder:
        yield folder, []
        return
    with tempfile.TemporaryDirectory() as name:
        command = ["sls", "package", "--stage", "dev", "--package", name]
        subprocess.run(command, cwd=PROJECT, check=True, capture_output=True)
        package, layer, code = Path(name) / "visits.zip", Path(name) / "pythonRequirements.zip", Path(name) / "code"
        with zipfile.ZipFile(package) as archive:
            archive.extractall(code)
        sizes = [path.stat().st_size / 1e6 for path in (package, layer)]
        yield (
            code,
            [
                Line("package of the API", "MB", {"ours": [sizes[0]]}, {"at most": MAX_PACKAGE_MB}),
                Line(
                    "package of the converter, SDK included",
                    "MB",
                    {"ours": [sum(sizes)]},
                    {"at most": MAX_CONVERTER_MB},
                ),
            ],
        )


def table(lines: Sequence[Line]) -> str:
    """Return the lines as a Markdown table; × is how much ours is of a figure."""
    others = list(dict.fromkeys(name for line in lines for name in line.figures if name != "ours"))
    head = ["what", "ours", *others, "budget", ""]
    rows = [head, ["---", *["---:"] * (len(others) + 1), "---", "---"]]
    for line in lines:
        cells = [line.what + (f", {line.unit}" if line.unit else ""), f"{median(line.figures['ours']):,.4g}"]
        for name in others:
            values = line.figures.get(name)
            cells.append(f"{median(values):,.4g} (×{line.ratio(name):.2f})" if values else "")
        budgets = [f"≤ {most:g}{'' if to == 'at most' else f' × {to}'}" for to, most in line.budgets.items()]
        verdict = "" if not line.budgets else "met" if line.met else "**missed**"
        rows.append([*cells, ", ".join(budgets), verdict])
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def measured(options: argparse.Namespace, say: Callable[[str], None]) -> tuple[list[Line], list[Line]]:
    """Return the lines of the budgets and those of the growth of files."""
    missing = {name for name, packages in NEEDS.items() if not all(map(find_spec, packages))}
    contenders = [name for name in CONTENDERS if name not in missing]
    for name in missing:
        say(f"{name} is left out: it is not installed")
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        server = stack.enter_context(stub.running(folder))
        code, sizes = stack.enter_context(packaged(options.code))
        bench = Bench(code, server, contenders, options.rounds)
        lines = []
        for rows in options.rows:
            say(f"warm requests, {rows:,} rows")
            lines.append(bench.warm(rows))
        say("ten events, and the list of events")
        lines += [*bench.several(), bench.ranking()]
        say("cold starts")
        lines += [bench.cold(), bench.cold_over_tls(), *sizes]
        growth: list[Line] = []
        budget = (options.file_rows, min(FILE_PAIRS, options.file_rows))
        for rows, pairs in [budget, *(FILE_GROWTH if options.growth else [])]:
            say(f"file of {rows:,} rows, {pairs:,} pairs")
            path = folder / "visits.csv"
            write_file(path, rows, pairs)
            found = bench.file(path, rows, pairs, max(1, options.rounds // 4))
            if (rows, pairs) == budget and not growth:
                lines += found
                say("the same rows in a source's form")
                other = folder / "source.csv"
                write_file(other, rows, pairs, of_source=True)
                lines.append(bench.source(other, path, max(1, options.rounds // 4)))
            else:
                growth += [replace(line, budgets={}) for line in found if line.unit]
    return lines, growth


def main() -> None:
    """Measure, print, and end with an error where a budget is missed."""
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__)
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    parser.add_argument("--picture", type=Path, metavar="SVG", help="draw the growth, and measure that of files for it")
    parser.add_argument("--growth", action="store_true", help="measure files of other sizes, too")
    parser.add_argument(
        "--rounds", type=int, default=21, help="turns of each contender (%(default)s); a quarter for files"
    )
    parser.add_argument("--rows", type=int, nargs="+", default=ROWS, help="of the series asked for")
    parser.add_argument("--file-rows", type=int, default=FILE_ROWS, help="of the file (%(default)s)")
    parser.add_argument("--code", type=Path, help="measure the code in this folder instead of packaging it")
    options = parser.parse_args()
    options.growth = options.growth or options.picture is not None
    lines, growth = measured(options, lambda text: print(text, file=sys.stderr, flush=True))
    if options.picture:
        options.picture.write_text(picture.growth([line.as_dict() for line in [*lines, *growth]]))
    if options.json:
        print(json.dumps([line.as_dict() for line in [*lines, *growth]], indent=1))
    else:
        print(table(lines), *([table(growth)] if growth else []), sep="\n\n")
    if missed := [line.what for line in lines if not line.met]:
        sys.exit(f"over budget: {'; '.join(missed)}")


if __name__ == "__main__":
    main()
