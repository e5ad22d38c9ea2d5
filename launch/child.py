"""Runs another Python program and ends with the process that started it, even when that one was killed.

The parent holds the other end of standard input and writes nothing to it; when the parent is gone, the input ends.
Where it leaves a token in the environment, a server of the program answers to nobody who does not say it.
"""

import os
import runpy
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path

PAUSE = 0.5  # seconds between two looks
TOKEN = "LDU_TOKEN"  # an environment, unlike a command line, is not for other accounts to read


if os.name == "nt":
    import _winapi
    import msvcrt

    def wait_for_the_end() -> None:
        """Look again and again: while one thread reads a pipe, Windows lets no other even ask what it is.

        The libraries that NumPy and SciPy bring ask that when they are loaded, so importing them would never end.
        """
        with suppress(OSError):  # the other end is closed
            while True:
                _winapi.PeekNamedPipe(msvcrt.get_osfhandle(0), 0)
                time.sleep(PAUSE)
else:

    def wait_for_the_end() -> None:
        """Read from the descriptor: the lock of sys.stdin makes the interpreter fail when the program ends first."""
        while os.read(0, 1024):
            pass


def end_with_parent() -> None:
    """Wait for the end of standard input, then leave at once."""
    wait_for_the_end()
    os._exit(1)


def let_the_system_end_it_too() -> None:
    """Have the end of standard input answered by SIGIO, whose default is to end the process.

    A thread alone would wait for the interpreter's lock, which an import or a long computation can hold for minutes.
    """
    with suppress(ImportError, OSError):  # Windows has no fcntl, and not every system sends signals for pipes
        import fcntl

        fcntl.fcntl(0, fcntl.F_SETOWN, os.getpid())
        fcntl.fcntl(0, fcntl.F_SETFL, os.O_ASYNC)


if __name__ == "__main__":
    let_the_system_end_it_too()
    threading.Thread(target=end_with_parent, daemon=True).start()  # also sees an end that came before
    program = Path(sys.argv[1])
    sys.argv = sys.argv[1:]
    sys.path[:] = [str(program.parent), *(path for path in sys.path if Path(path) != Path(__file__).parent)]
    if token := os.environ.pop(TOKEN, ""):
        guard = Path(__file__).with_name("inside") / "guard.py"
        runpy.run_path(str(guard))["answer_only_to"](token)
    runpy.run_path(str(program), run_name="__main__")
