"""How a command that failed has ended."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from tools import cli


@dataclass(frozen=True)
class Ended:
    """How a command that failed ended."""

    code: object
    out: list[str]
    err: list[str]


def ended(capsys: pytest.CaptureFixture[str], *arguments: str) -> Ended:
    """Run a command that fails; the last line it says is the error."""
    with pytest.raises(SystemExit) as raised:
        cli.main(arguments)
    code, (out, err) = raised.value.code, capsys.readouterr()
    if isinstance(code, str):
        # What Python does with sys.exit("…"), outside of pytest.
        code, err = 1, f"{err}{code}\n"
    assert err.endswith("\n")
    assert err.splitlines()[-1].startswith("error: ")
    return Ended(code, out.splitlines(), err.splitlines())


def refused(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[object, str]:
    """Run a command that fails; return its exit code and what it says, which is one line."""
    failed = ended(capsys, *arguments)
    assert ([], 1) == (failed.out, len(failed.err))
    return failed.code, failed.err[0].removeprefix("error: ")
