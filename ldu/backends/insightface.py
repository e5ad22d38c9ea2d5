"""Faces seen by InsightFace (SCRFD finds them, ArcFace embeds them), for those who have installed it themselves.

Licence: the code of insightface is MIT; the model packs that its authors provide are for non-commercial research only
(its README, section License). Nothing is ever downloaded here: the pack's folder must be there already.
"""

import contextlib
import importlib
import io
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..budget import WHITE
from ..errors import BadFileError, BadValueError
from ..shapes import Levels

PACK = "buffalo_l"
NAME = f"InsightFace {PACK}, whose models are for non-commercial research only"
SIDE = 640  # pixels, at which faces are looked for


class FaceIdentity:
    """Embeds the largest face of a picture.

    Args:
        root: Folder that holds models/buffalo_l with its .onnx files.

    Raises:
        BadValueError: if insightface is not installed.
        BadFileError: if its models are not there.
    """

    def __init__(self, root: Path) -> None:
        try:
            library = importlib.import_module("insightface.app")
        except ImportError as error:
            raise BadValueError(
                "Comparing real faces needs insightface, which is not installed here: install insightface and "
                "onnxruntime into ComfyUI's Python, or choose another identity network."
            ) from error
        folder = root / "models" / PACK
        if not any(folder.glob("*.onnx")):
            raise BadFileError(
                f"There are no models of InsightFace in {folder}: put the .onnx files of its pack {PACK} there "
                "(free for non-commercial research only), or choose another identity network."
            )
        with contextlib.redirect_stdout(io.StringIO()):  # it prints every file that it opens
            self._app: Any = library.FaceAnalysis(
                name=PACK,
                root=str(root),
                allowed_modules=["detection", "recognition"],
                providers=["CPUExecutionProvider"],
            )
            self._app.prepare(ctx_id=-1, det_size=(SIDE, SIDE))

    def __call__(self, picture: Levels) -> Tensor | None:
        """Return the unit vector of the largest face of (1, 3, h, w), or None if there is no face."""
        face = self.largest(picture)
        return None if face is None else face[0]

    def largest(self, picture: Levels) -> tuple[Tensor, float] | None:
        """Return the unit vector of the largest face and the detector's confidence in it, 0 to 1, or None."""
        rgb = picture[0].movedim(0, -1).round().clamp(0, WHITE).byte().cpu().numpy()
        faces = self._app.get(np.ascontiguousarray(rgb[..., ::-1]))
        if not faces:
            return None
        face = max(faces, key=_area)
        return torch.from_numpy(np.asarray(face.normed_embedding, dtype=np.float32)), float(face.det_score)


def _area(face: Any) -> float:  # noqa: ANN401  (a face of insightface)
    left, top, right, bottom = face.bbox
    return (right - left) * (bottom - top)
