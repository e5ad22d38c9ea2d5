"""Make the documentation's pictures of the front end out of the photographs that the browser tests take.

`LDU_ALBUM=album pytest tests/browser` leaves them in the folder `album`; `python -m tools.browser_pictures album`
writes those of the list, cropped and small, into docs/pictures/browser.
"""

import sys
from pathlib import Path

from PIL import Image

from launch import PACK

PICTURES = PACK / "docs" / "pictures" / "browser"
WIDTH = 1200  # pixels at most
MOST = 200_000  # bytes
QUALITIES = range(88, 40, -6)  # of a JPEG: the first with which the file is small enough
KEPT: dict[str, tuple[float, float, float, float] | None] = {  # the part to show: left, top, right, bottom in [0, 1]
    "in_the_greeting": None,
    "in_the_greeting_saved": None,
    "result_protect": None,
    "result_compare_methods": (0, 0, 1, 0.58),
    "result_stress_test": None,
    "result_train_rho_on_folder": None,
    "result_protect_with_trained_rho": None,
    "result_protect_with_decoy": None,
    "result_protect_folder": None,
    "library": (0, 0, 1, 0.75),
    "blueprint_connected": None,
    "inside": None,
    "inside_stress_test": None,
    "inside_lora_attack": None,
    "refused_input": None,
    "wrong_input": None,
    "cancelled": None,
    "continued": None,
    "reloaded": None,
    "compare": None,
    "compare_near": None,
    "compare_difference": None,
    "new_protect": None,
    "new_nodes": (0.03, 0.08, 0.66, 0.72),
}


def main() -> None:
    """Write all pictures."""
    album = Path(sys.argv[1])
    PICTURES.mkdir(parents=True, exist_ok=True)
    taken = {name: part for name, part in KEPT.items() if (album / f"{name}.png").is_file()}
    for name, part in taken.items():
        keep(album / f"{name}.png", PICTURES / f"{name}.jpg", part)
    if missing := KEPT.keys() - taken:
        raise SystemExit(f"The album lacks {', '.join(sorted(missing))}: their pictures stay as they are.")


def keep(photograph: Path, file: Path, part: tuple[float, float, float, float] | None) -> None:
    """Write a part of a photograph as a small JPEG."""
    with Image.open(photograph) as opened:
        picture = opened.convert("RGB")
    if part is not None:
        left, top, right, bottom = part
        width, height = picture.size
        picture = picture.crop((int(left * width), int(top * height), int(right * width), int(bottom * height)))
    picture.thumbnail((WIDTH, 10 * WIDTH), Image.Resampling.LANCZOS)
    for quality in QUALITIES:
        picture.save(file, quality=quality, optimize=True)
        if file.stat().st_size <= MOST:
            return
    raise SystemExit(f"{photograph.name} stays above {MOST} bytes: show a smaller part of it.")


if __name__ == "__main__":
    main()
