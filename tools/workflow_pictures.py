"""Run the shipped workflows in the real front end, with their own settings, and photograph them.

`python -m tools.workflow_pictures` rewrites the thumbnail of each template and, with `protect`, the README's picture of
it; with names behind it, those of these templates alone.
"""

import sys
import tempfile
from pathlib import Path

from PIL import Image

from launch import PACK
from launch.private import private_folder
from launch.server import serving
from launch.setup import present_host
from launch.ui import put_samples
from tools.front_end import FrontEnd, front_end
from tools.front_end_view import Box

PICTURES = PACK / "docs" / "pictures"
LEGIBLE = 0.65  # pixels per unit of the graph; below 0.6 the front end draws no text
SIDE = 560  # pixels of a thumbnail
SHOWING = {"LDU_ProtectFolder", "LDU_SaveProtected", "LDU_ThiefsGallery", "LossGraphNode"}
THUMBNAILS: dict[str, Box] = {  # squares in the coordinates of the graph; each workflow needs those before it
    "compare_methods": (1270, 470, 970, 970),
    "stress_test": (2240, 1055, 520, 520),
    "train_rho_on_folder": (1240, 440, 980, 980),
    "protect_with_trained_rho": (1880, 440, 1180, 1180),
    "protect_with_decoy": (1090, 480, 1040, 1040),
    "protect_as_published": (2360, 440, 1180, 1180),
    "protect_folder": (1780, 440, 950, 950),
    "protect": (2720, 440, 1180, 1180),
}


def main() -> None:
    """Take the pictures of the templates that are named, or of all."""
    names = sys.argv[1:] or list(THUMBNAILS)
    if unknown := set(names) - set(THUMBNAILS):
        raise SystemExit(f"There is no template {', '.join(sorted(unknown))}: name one of {', '.join(THUMBNAILS)}.")
    with private_folder() as base, serving(present_host(), base, cpu=True) as server:
        put_samples(base / "input")
        with front_end(server.address) as front:
            for name in filter(names.__contains__, THUMBNAILS):
                run(front, name)
                take_thumbnail(front, PACK / "workflows" / f"{name}.jpg", THUMBNAILS[name])
                if name == "protect":
                    front.photograph(PICTURES / "protect_workflow.png", front.whole(), LEGIBLE)


def run(front: FrontEnd, name: str) -> None:
    """Run a template with its own settings."""
    front.open_template(name)
    if reason := front.press_run():
        raise SystemExit(f"{name}: {reason}")
    front.wait_for_pictures(*(SHOWING & front.types()))
    if "LDU_Compare" in front.types():
        front.wait_until("saying", ["LDU_Compare", "of 255 levels"])


def take_thumbnail(front: FrontEnd, file: Path, square: Box) -> None:
    """Photograph a square of the graph, finely enough for the text, and make it small."""
    with tempfile.TemporaryDirectory() as folder:
        large = Path(folder) / "large.png"
        front.photograph(large, square, 1.0, pad=0)
        with Image.open(large) as picture:
            small = picture.convert("RGB").resize((SIDE, SIDE), Image.Resampling.LANCZOS)
    small.save(file, quality=88, optimize=True)


if __name__ == "__main__":
    main()
