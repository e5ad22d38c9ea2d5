"""Draw the training set once: pictures as a uint8 memory map, captions and identities beside it.

python -m demo.dataset --pictures 16000 --workers 2
"""

import argparse
import json
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from launch.setup import cache_root

from .captions import describe
from .people import sample_identity, sample_nuisance
from .portraits import photograph, to_levels
from .spoilt import damage, draw_pattern

SIZE = 128
SPOILT_SHARE = 0.36
PATTERN_SHARE = 0.14
PHOTOS_PER_IDENTITY = 4
HELD_OUT = 10_000_000
CHUNK = 250


def cache_folder(student: str = "") -> Path:
    """Return (and make) the cache's folder of data and training states, or a student's own within it."""
    folder = cache_root() / "demo_world" / student
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def training_picture(index: int, size: int = SIZE) -> tuple[NDArray[np.uint8], str, int]:
    """Draw picture `index`, its caption and its identity's seed (-1 where it shows no clean portrait)."""
    rng = np.random.default_rng((index, 5))
    kind = rng.random()
    if kind < PATTERN_SHARE:
        pattern, caption = draw_pattern(rng, size)
        return to_levels(pattern), caption, -1
    identity = sample_identity(index // PHOTOS_PER_IDENTITY)
    nuisance = sample_nuisance(index)
    caption = describe(identity, nuisance, rng)
    photo = photograph(identity, nuisance, size)
    if kind > SPOILT_SHARE:
        return photo, caption, identity.seed
    spoilt, caption = damage(photo.astype(np.float32) / 255, caption, rng)
    return to_levels(spoilt), caption, -1


def _draw_chunk(start: int) -> tuple[int, NDArray[np.uint8], list[str], list[int]]:
    drawn = [training_picture(index) for index in range(start, start + CHUNK)]
    return start, np.stack([d[0] for d in drawn]), [d[1] for d in drawn], [d[2] for d in drawn]


@dataclass(frozen=True)
class Dataset:
    """The drawn set: `pictures` (n, size, size, 3) uint8, `captions` (n), `identities` (n), -1 for none."""

    pictures: NDArray[np.uint8]
    captions: list[str]
    identities: NDArray[np.int64]


def draw_dataset(folder: Path, pictures: int, workers: int) -> None:
    """Draw `pictures` (rounded down to whole chunks) into `folder` with `workers` processes."""
    count = pictures // CHUNK * CHUNK
    shape = (count, SIZE, SIZE, 3)
    memory = np.lib.format.open_memmap(folder / "pictures.npy.part", "w+", np.uint8, shape)
    captions, identities = [""] * count, [-1] * count
    with ProcessPoolExecutor(workers) as pool:
        for start, block, texts, people in pool.map(_draw_chunk, range(0, count, CHUNK)):
            memory[start : start + CHUNK] = block
            captions[start : start + CHUNK], identities[start : start + CHUNK] = texts, people
    memory.flush()
    (folder / "captions.json").write_text(json.dumps({"captions": captions, "identities": identities}))
    (folder / "pictures.npy.part").rename(folder / "pictures.npy")


def load_dataset(folder: Path) -> Dataset:
    """Open what `draw_dataset` wrote."""
    record = json.loads((folder / "captions.json").read_text())
    pictures = np.load(folder / "pictures.npy", mmap_mode="r")
    return Dataset(pictures, record["captions"], np.asarray(record["identities"]))


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pictures", type=int, default=16_000)
    parser.add_argument("--workers", type=int, default=2)
    options = parser.parse_args()
    draw_dataset(cache_folder(), options.pictures, options.workers)


if __name__ == "__main__":
    main()
