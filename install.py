"""Run by ComfyUI-Manager after cloning: makes the folder for trained shifts and says what is missing.

Installs nothing and asks nothing of the network.
"""

import os
import re
import sys
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))  # an embedded Python, as in ComfyUI portable, does not

from launch import PACK
from launch.host import NEEDED, OLDEST, dotted, host_version, wanted_version


def complaints(base: Path | None) -> list[str]:
    """Return one sentence for each thing that is missing or too old.

    Args:
        base: The folder whose custom_nodes holds this pack: ComfyUI, or with the desktop app a base directory.
    """
    lacking = [name for name in NEEDED if not find_spec(name)]
    found = [f"{', '.join(lacking)} missing: install what ComfyUI's requirements.txt lists."] if lacking else []
    old = [package for package, oldest in OLDEST.items() if installed(package) and installed(package) < oldest]
    found += [f"{package} {dotted(OLDEST[package])} or newer is needed." for package in old]
    if base is None:
        found.append("This folder is not inside ComfyUI's custom_nodes: move it there.")
    elif (base / "main.py").is_file() and host_version(base) < wanted_version():
        found.append(f"ComfyUI {dotted(wanted_version())} or newer is needed: update it.")
    return found


def installed(package: str) -> tuple[int, ...]:
    """Return the first two numbers of an installed package's version; empty when it is not there."""
    try:
        return tuple(int(part) for part in re.findall(r"\d+", version(package))[:2])
    except PackageNotFoundError:
        return ()


def surroundings() -> Path | None:
    """Return the folder into whose custom_nodes this pack was cloned or linked."""
    links = Path(__file__).absolute().parent, Path(os.environ.get("PWD", PACK))
    places = (place for place in (PACK, *links) if place.parent.name == "custom_nodes" and place.resolve() == PACK)
    return next((place.parent.parent for place in places), None)


if __name__ == "__main__":
    around = surroundings()
    missing = complaints(around)
    if around is not None:
        folder = around / "models" / "ldu"
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:  # such as a link to a disk that is not there
            missing.append(f"No folder can be made at {folder} ({error.strerror}): make it, for trained shifts.")
    print("\n".join(f"LDU: {line}" for line in missing) or "LDU: everything needed is there.")
