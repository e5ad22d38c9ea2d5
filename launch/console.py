"""One line that tells how far things are: rewritten in place on a terminal, written now and then elsewhere."""

import io
import re
import shutil
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

SECONDS_BETWEEN_LINES = 15.0
LINE_LENGTH = 100
_STEERING = {code: f"\\x{code:02x}" for code in (*range(10), *range(11, 32), *range(127, 160))}
_STEERING |= {code: f"\\u{code:04x}" for code in (*range(0x202A, 0x202F), *range(0x2066, 0x206A))}  # order of letters


def say(text: str) -> None:
    """Write one line for the person at the keyboard; standard output stays free for results."""
    sys.stderr.write(harmless(text) + "\n")
    sys.stderr.flush()


def tell(text: str) -> None:
    """Write a result to standard output."""
    sys.stdout.write(harmless(text) + "\n")


def harmless(text: str) -> str:
    """Spell out what would steer a terminal: names of files and what a shared ρ says of itself can hold anything."""
    return text.translate(_STEERING)


def spell_out_what_cannot_be_written() -> None:
    """Let no letter that a terminal, a pipe or a code page lacks end a run whose work is done."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def clock(seconds: float) -> str:
    """Write a duration as minutes and seconds."""
    return f"{int(seconds) // 60}:{int(seconds) % 60:02d}"


def last_line(log: Path) -> str:
    """Return the last line of a log that says something, without its colours; empty when there is none."""
    lines = log.read_text("utf-8", errors="replace").splitlines() if log.is_file() else []
    plain = (re.sub(r"\x1b\[[\d;]*m", "", line).strip() for line in reversed(lines))
    return next(filter(None, plain), "")


class StatusLine:
    """The line itself; `status_line` hands one out and ends it."""

    def __init__(self, *, live: bool) -> None:
        """Rewrite the line in place if it is `live`, else write one now and then."""
        self._live, self._last, self._written_at = live, "", float("-inf")

    def show(self, text: str) -> None:
        """Put `text` in the line."""
        if self._live:
            width = shutil.get_terminal_size().columns - 1
            sys.stderr.write("\r" + text[:width].ljust(min(len(self._last), width)))
            sys.stderr.flush()
        elif time.monotonic() - self._written_at >= SECONDS_BETWEEN_LINES:
            say(text[:LINE_LENGTH])
            self._written_at = time.monotonic()
        self._last = text

    def end(self) -> None:
        """Leave the line as it stands and go to the next."""
        if self._live and self._last:
            say("")


@contextmanager
def status_line() -> Iterator[StatusLine]:
    """Hand out a status line and end it however the block ends."""
    line = StatusLine(live=sys.stderr.isatty())
    try:
        yield line
    finally:
        line.end()
