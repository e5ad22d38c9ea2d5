"""The newcomer's door: `run.py protect IMAGE`, `stress`, `ui` and `test`. Needs nothing but Python 3.10 or newer."""

import sys

if sys.version_info < (3, 10):  # noqa: UP036  (this file is what an older Python gets to see)
    sys.exit("Python 3.10 or newer is needed; this is " + sys.version.split()[0] + ".")

from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))  # an embedded Python, as in ComfyUI portable, does not

from launch.door import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
