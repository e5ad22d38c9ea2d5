"""Pictures of noise, and where the host's pictures lie."""

from pathlib import Path

import folder_paths
import numpy as np
import torch
from PIL import Image


def folder(kind):
    return Path(folder_paths.get_directory_by_type(kind))


def random_image(*shape, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(0, 256, shape, generator=generator) / 255


def put_input(name, pixels, **options):
    path = Path(folder("input"), name)
    Image.fromarray(pixels).save(path, **options)
    return path


def colours(height=24, width=17, channels=3, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (height, width, channels), dtype=np.uint8)


def write_picture(host, name, size=(90, 70), alpha=True, seed=0):
    levels = colours(size[1], size[0], 4 if alpha else 3, seed)
    Image.fromarray(levels).save(host.base / "input" / name)
    return levels
