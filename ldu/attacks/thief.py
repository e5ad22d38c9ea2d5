"""How a thief loads a picture: antialiased resize of the short side to the training resolution, then a centre crop.

Source: the data loader of the DreamBooth training script of diffusers (bilinear, antialiased). That of its Textual
Inversion script stretches the whole picture to a square by default, bicubic; the two are alike for square pictures.
"""

from torch.nn import functional

from ..errors import BadValueError
from ..shapes import Levels, Resized


def thief_view(levels: Levels, resolution: int) -> Resized:
    """Return the square picture that a personalizer trains on, (b, c, resolution, resolution), differentiable.

    Args:
        levels: pictures in 0..255 at their own size.
        resolution: the training resolution in pixels, a multiple of 8.
    """
    if resolution < 8 or resolution % 8:
        raise BadValueError(f"The training resolution must be a multiple of 8, but {resolution} came.")
    height, width = levels.shape[-2:]
    scale = resolution / min(height, width)
    size = (max(resolution, round(height * scale)), max(resolution, round(width * scale)))
    resized = functional.interpolate(levels, size=size, mode="bilinear", antialias=True)
    top, left = (size[0] - resolution) // 2, (size[1] - resolution) // 2
    return resized[..., top : top + resolution, left : left + resolution].clamp(0, 255)
