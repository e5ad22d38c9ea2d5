"""Measure saved pictures against their originals, both read back from their files: `python -m ldu.report`.

The command takes pairs ORIGINAL SAVED, or "-" to read them as a JSON list, for a command line has a limit; it writes a
JSON list with one record for each pair.
"""

import json
import sys
from collections.abc import Sequence
from pathlib import Path

from .errors import BadValueError, LduError, MismatchError
from .metrics import measure_visibility
from .picture import load_picture

Record = dict[str, str | int | float | None]


def measure(original: Path, saved: Path) -> Record:
    """Compare two picture files as their readers see them.

    Raises:
        BadFileError: if one of them cannot be read.
        MismatchError: if their sizes differ.
    """
    before, after = load_picture(original), load_picture(saved)
    if before.levels.shape != after.levels.shape:
        raise MismatchError(
            f"{saved.name} is {after.info.width} x {after.info.height} pixels but {original.name} is "
            f"{before.info.width} x {before.info.height}; only pictures of one size can be compared."
        )
    visible = measure_visibility(before.as_batch(), after.as_batch())
    return {
        "width": after.info.width,
        "height": after.info.height,
        "bytes": saved.stat().st_size,
        "max_abs_levels": visible.max_abs_levels,
        "psnr_db": visible.psnr_db,
        "ssim": visible.ssim,
    }


def main(arguments: Sequence[str]) -> str:
    """Measure each pair of files and return the records as JSON.

    Raises:
        BadValueError: if the files do not come in pairs.
    """
    if not arguments or len(arguments) % 2:
        raise BadValueError(f"Give pairs of files, ORIGINAL SAVED ...; got {len(arguments)} names.")
    paths = [Path(name) for name in arguments]
    return json.dumps([measure(*pair) for pair in zip(paths[::2], paths[1::2], strict=True)])


if __name__ == "__main__":
    try:
        sys.stdout.write(main(json.load(sys.stdin) if sys.argv[1:] == ["-"] else sys.argv[1:]) + "\n")
    except LduError as error:
        sys.exit(str(error))
