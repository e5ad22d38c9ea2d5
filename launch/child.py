"""Runs another Python program and ends with the process that started it, even when that one was killed.

The parent holds the other end of standard input; when the parent is gone, reading from it ends.
"""

import os
import runpy
import sys
import threading
from pathlib import Path


def end_with_parent() -> None:
    """Wait for the end of standard input, then leave at once."""
    while sys.stdin.buffer.read(1024):
        pass
    os._exit(1)


if __name__ == "__main__":
    threading.Thread(target=end_with_parent, daemon=True).start()
    program = Path(sys.argv[1])
    sys.argv = sys.argv[1:]
    sys.path[:] = [str(program.parent), *(path for path in sys.path if Path(path) != Path(__file__).parent)]
    runpy.run_path(str(program), run_name="__main__")
