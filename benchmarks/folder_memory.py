"""Print the peak memory of working through folders of different sizes: it must not grow with the number of pictures.

    python -m benchmarks.folder_memory --counts 10 100 --side 512

There are three ways, all in a real ComfyUI in this process:

- protect: Protect Folder with a ρ of the default size, by the shift alone, on the demo checkpoint;
- number: Load Picture Folder and Save Protected, run once for each picture, which is given by its number;
- list: the same graph, run once with the whole folder. Here the peak does grow.

Resident memory is looked at every two milliseconds. A folder of one picture goes first, so that what is loaded once is
loaded before anything is measured.
"""

import argparse
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import torch
from PIL import Image

from benchmarks.executor import Graph, new_executor, run
from benchmarks.full_size import load, picture
from benchmarks.hosting import Host, running
from benchmarks.speed import Peak, seconds_of, trained_rho
from benchmarks.table import print_table, provenance
from demo.pipeline import WEIGHTS

HEAD = ("pictures", "all of them in memory would be, MiB", "peak, MiB", "above the start, MiB", "seconds a picture")
MiB = 2**20
K, DEPTH = 1, 0.25
Work = Callable[[str, int], object]  # on a folder of so many pictures


def main(arguments: Sequence[str] | None = None) -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--counts", type=int, nargs="+", default=[10, 100], help="pictures in each folder")
    parser.add_argument("--side", type=int, default=512, help="of the pictures, in pixels (default 512)")
    parser.add_argument("--way", choices=WAYS, default="protect", help="of the three above (default protect)")
    options = parser.parse_args(arguments)
    made_by = provenance(WEIGHTS if options.way == "protect" else None)
    with running(cpu=True) as host, torch.inference_mode():
        print_table(HEAD, measure(host, WAYS[options.way](host), options.counts, options.side))
    steps = f", k = {K}, depth = {DEPTH}" if options.way == "protect" else ""
    print(f"\n{made_by}\n- pictures of {options.side} x {options.side} pixels{steps}")


def measure(host: Host, work: Work, counts: Sequence[int], side: int) -> Iterator[tuple[str, ...]]:
    """Work through a folder of each size and yield the rows of the table."""
    work(_make_folder("warm", 1, side), 1)
    for count in counts:
        folder = _make_folder(f"of_{count}", count, side)
        with Peak(torch.device("cpu")).watching() as peak:
            seconds = seconds_of(lambda folder=folder, count=count: work(folder, count), torch.device("cpu"))
        held = count * side * side * 3 * 4 / MiB
        above = peak.highest - peak.start
        yield str(count), f"{held:.0f}", f"{peak.highest / MiB:.0f}", f"{above / MiB:.0f}", f"{seconds / count:.2f}"


def protecting(host: Host) -> Work:
    """Protect a folder with Protect Folder."""
    loaded = load(host, "demo")
    given = {"model": loaded.model, "vae": loaded.vae, "conditioning": loaded.conditioning}
    given |= {"rho": trained_rho(host, loaded, K, DEPTH), "budget": 10.0, "strength": 1.0, "seed": 0}
    given |= {"save_in": "%folder%_protected", "file_format": "png", "quality": 90}
    return lambda folder, _: host.classes["LDU_ProtectFolder"].execute(folder=folder, **given)


def by_number(_: Host) -> Work:
    """Copy a folder, a picture in each run."""
    executor = new_executor("RAM_PRESSURE")  # the host's default

    def work(folder: str, count: int) -> None:
        for number in range(1, count + 1):
            run(executor, _graph(folder, number))

    return work


def as_list(_: Host) -> Work:
    """Copy a folder in one run."""
    executor = new_executor("RAM_PRESSURE")
    return lambda folder, _: run(executor, _graph(folder, 0))


WAYS = {"protect": protecting, "number": by_number, "list": as_list}


def _graph(folder: str, number: int) -> Graph:
    saving = {"image": ["1", 0], "info": ["1", 2], "filename_prefix": f"{folder}_copied/%name%", "metadata": False}
    return {
        "1": {"class_type": "LDU_LoadPictureFolder", "inputs": {"folder": folder, "number": number}},
        "2": {"class_type": "LDU_SaveProtected", "inputs": saving},
    }


def _make_folder(name: str, count: int, side: int) -> str:
    """Fill a folder of the host's input folder with pictures and return its name."""
    import folder_paths  # the host's, on the path once it runs

    folder = Path(folder_paths.get_input_directory(), name)
    folder.mkdir(exist_ok=True)
    levels = (picture(side)[0] * 255).round().to(torch.uint8).numpy()
    for number in range(count):
        Image.fromarray(levels).save(folder / f"{number:04}.png")
    return name


if __name__ == "__main__":
    main()
