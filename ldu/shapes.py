"""Named array shapes, checked while the tests run and plain tensors for everybody else.

Pixels are NCHW in [-1, 1]; Levels are NCHW in 0..255 (float, whole numbers once quantised); Latents are NCHW in the
model's own scale; Resized are levels of another size than a function's other pictures; Sigmas hold one noise level per sample; Mask is N1HW in [0, 1].
"""

from typing import TYPE_CHECKING

from torch import Tensor

Latent = Pixels = Levels = Resized = Mask = PerSample = TokenEmbedding = Tensor

if not TYPE_CHECKING:
    try:
        from jaxtyping import Float
    except ImportError:
        pass
    else:
        Latent = Float[Tensor, "batch channel latent_height latent_width"]
        Pixels = Float[Tensor, "pictures 3 _ _"]
        Levels = Float[Tensor, "batch colour height width"]
        Resized = Float[Tensor, "batch colour _ _"]
        Mask = Float[Tensor, "masks 1 height width"]
        PerSample = Float[Tensor, " batch"]
        TokenEmbedding = Float[Tensor, "vectors width"]
