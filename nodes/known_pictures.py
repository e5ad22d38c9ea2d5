"""Which pictures were saved as protected on this computer: a digest of the pixels of each, and nothing else about them.

A lossless copy is recognised under any name and in any format. One that was recompressed, resized or cropped is not,
nor one that was protected elsewhere: nothing in the pixels tells a protection from other fine detail.
"""

from pathlib import Path

import folder_paths
from torch import Tensor

from ..ldu.picture import Picture
from ..ldu.saved_file import pixel_digest

KNOWN = "This very picture came out of Save Protected before: protecting it again moves it further from its original."


def remember(levels: Tensor) -> list[str]:
    """Note down a picture that was saved as protected, uint8 [height, width, 3]; if that fails, return why it matters.

    The picture lies on the disk already, so nothing here may keep its node from ending well.
    """
    record = _record()
    try:
        record.parent.mkdir(parents=True, exist_ok=True)
        with record.open("a", encoding="ascii") as lines:
            lines.write(pixel_digest(levels) + "\n")
    except OSError as error:
        return [f"It will not be recognised as protected later: {record} cannot be written ({error.strerror})."]
    return []


def is_known(levels: Tensor) -> bool:
    """Tell whether a picture, uint8 [height, width, 3], was saved as protected before; not, if the record is locked."""
    try:
        return pixel_digest(levels).encode() in _record().read_bytes().split()
    except OSError:  # none yet, or not for this user
        return False


def note(picture: Picture) -> str:
    """Say what was converted when a picture was loaded, and whether it is protected already."""
    return f"{picture.info.note} {KNOWN}" if is_known(picture.levels) else picture.info.note


def _record() -> Path:
    return Path(folder_paths.get_system_user_directory("ldu")) / "protected_pictures.txt"
