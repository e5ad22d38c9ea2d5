"""Print the peak memory of protecting folders of different sizes: it must not grow with the number of pictures.

    python -m benchmarks.folder_memory --counts 10 100 --side 512

The pictures are protected by Protect Folder with a ρ of the default size, by the shift alone, on the demo checkpoint,
in a real ComfyUI in this process. Resident memory is looked at every two milliseconds. A folder of one picture goes
first, so that what is loaded once is loaded before anything is measured.
"""

import argparse
from collections.abc import Iterator, Sequence
from pathlib import Path

import torch
from PIL import Image

from benchmarks.full_size import load, picture
from benchmarks.hosting import Host, running
from benchmarks.speed import Peak, seconds_of, trained_rho
from benchmarks.table import print_table, provenance
from demo.pipeline import WEIGHTS

HEAD = ("pictures", "all of them in memory would be, MiB", "peak, MiB", "above the start, MiB", "seconds a picture")
MiB = 2**20
DEPTH = 0.25


def main(arguments: Sequence[str] | None = None) -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--counts", type=int, nargs="+", default=[10, 100], help="pictures in each folder")
    parser.add_argument("--side", type=int, default=512, help="of the pictures, in pixels (default 512)")
    parser.add_argument("--k", type=int, default=1, help="steps of the walk (default 1)")
    options = parser.parse_args(arguments)
    made_by = provenance(WEIGHTS)
    with running(cpu=True) as host, torch.inference_mode():
        print_table(HEAD, measure(host, options.counts, options.side, options.k))
    print(f"\n{made_by}\n- pictures of {options.side} x {options.side} pixels, k = {options.k}, depth = {DEPTH}")


def measure(host: Host, counts: Sequence[int], side: int, k: int) -> Iterator[tuple[str, ...]]:
    """Protect a folder of each size and yield the rows of the table."""
    loaded = load(host, "demo")
    rho = trained_rho(host, loaded, k, DEPTH)
    settings = {"budget": 10.0, "strength": 1.0, "seed": 0, "save_in": "%folder%_protected", "file_format": "png"}

    def protect(folder: str) -> None:
        given = {"model": loaded.model, "vae": loaded.vae, "rho": rho, "conditioning": loaded.conditioning}
        host.classes["LDU_ProtectFolder"].execute(folder=folder, quality=90, **settings, **given)

    protect(_make_folder("warm", 1, side))
    for count in counts:
        folder = _make_folder(f"of_{count}", count, side)
        with Peak(torch.device("cpu")).watching() as peak:
            seconds = seconds_of(lambda folder=folder: protect(folder), torch.device("cpu"))
        held = count * side * side * 3 * 4 / MiB
        above = peak.highest - peak.start
        yield str(count), f"{held:.0f}", f"{peak.highest / MiB:.0f}", f"{above / MiB:.0f}", f"{seconds / count:.2f}"


def _make_folder(name: str, count: int, side: int) -> str:
    """Fill a folder of the host's input folder with pictures and return its name."""
    import folder_paths  # the host's, on the path once it runs

    folder = Path(folder_paths.get_input_directory(), name)
    folder.mkdir()
    levels = (picture(side)[0] * 255).round().to(torch.uint8).numpy()
    for number in range(count):
        Image.fromarray(levels).save(folder / f"{number:04}.png")
    return name


if __name__ == "__main__":
    main()
