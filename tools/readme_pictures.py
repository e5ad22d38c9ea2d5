"""Protect the sample portrait with run.py and draw the README's three pictures into docs/pictures."""

import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from PIL import Image

from launch import PACK
from launch.ui import SAMPLES

SAMPLE = SAMPLES / "ldu_sample_portrait.png"
GAIN = 10


def main() -> None:
    """Write original.png, protected.png and difference.png."""
    pictures = PACK / "docs" / "pictures"
    with tempfile.TemporaryDirectory() as folder:
        saved = Path(folder) / "protected.png"
        subprocess.run([sys.executable, str(PACK / "run.py"), "protect", str(SAMPLE), "--out", str(saved)], check=True)
        protected = np.asarray(Image.open(saved)).astype(int)
    original = np.asarray(Image.open(SAMPLE).convert("RGB")).astype(int)
    difference = 128 + GAIN * (protected - original)
    for name, levels in (("original", original), ("protected", protected), ("difference", difference)):
        Image.fromarray(levels.clip(0, 255).astype(np.uint8)).save(pictures / f"{name}.png")


if __name__ == "__main__":
    main()
