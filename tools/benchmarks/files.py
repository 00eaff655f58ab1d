"""A process that reads one visit file and prints what it took, as JSON: `files.py ours|csv PATH [SOURCES]`.

`csv` is the least: `csv.reader` and a dictionary of sums, nothing checked, nothing written. With SOURCES, a file like
sources.toml, the visit file is from its source `source`.
"""

from __future__ import annotations

import csv
import json
import os
import resource
import sys
import time
from collections.abc import Callable
from pathlib import Path

PAGE_BYTES = resource.getpagesize()


def ours(path: Path, sources: Path | None = None) -> Callable[[], int]:
    """Return a function that converts the file, from its bytes to the last transaction, and returns its visits."""
    from converter import Converter, Source
    from dynamodb import connect
    from lines import Limits
    from receipts import FilesTable
    from repository import VisitsTable
    from sources import NO_SETTINGS, read_sources

    settings = read_sources(sources)["source"] if sources else NO_SETTINGS
    client = connect(os.environ["AWS_REGION"])
    files, visits = FilesTable(client, os.environ["FILES_TABLE"]), VisitsTable(client, os.environ["VISITS_TABLE"])
    converter = Converter(files, visits, lambda _: None, Limits(), sleep=lambda _: None)

    def convert() -> int:
        with path.open("rb") as stream:
            _, receipt = converter.convert(Source("inbox", f"incoming/{path.name}", "etag"), stream, settings)
        return receipt.visits

    return convert


def plain(path: Path) -> Callable[[], int]:
    """Return a function that sums the file up, and returns its visits."""

    def read() -> int:
        sums: dict[tuple[str, str], int] = {}
        with path.open(newline="") as stream:
            rows = csv.reader(stream)
            next(rows)
            for event, day, count in rows:
                sums[event, day] = sums.get((event, day), 0) + int(count)
        return sum(sums.values())

    return read


def main(contender: str, *paths: str) -> None:
    """Print CPU time, memory at its peak over what the idle process held, and the visits."""
    run = {"ours": ours, "csv": plain}[contender](*map(Path, paths))
    idle_bytes = int(Path("/proc/self/statm").read_text().split()[1]) * PAGE_BYTES
    began = time.process_time()
    visits = run()
    cpu_s = time.process_time() - began
    peak_bytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    print(json.dumps({"cpu_ms": cpu_s * 1000, "memory_mb": (peak_bytes - idle_bytes) / 1e6, "visits": visits}))


if __name__ == "__main__":
    main(*sys.argv[1:])
