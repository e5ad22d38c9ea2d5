"""Named array shapes, checked while the tests run and plain tensors for everybody else.

Pixels are NCHW in [-1, 1]. Levels are NCHW in 0..255, float, whole numbers once quantised; Resized are levels of
another size than a function's other pictures. Latents are NCHW in the model's own scale. PerSample holds one number per
sample. Mask is N1HW in [0, 1].
"""

from typing import TYPE_CHECKING, TypeAlias

from torch import Tensor

if TYPE_CHECKING:
    Latent: TypeAlias = Tensor
    LatentOfAnySize: TypeAlias = Tensor
    Pixels: TypeAlias = Tensor
    Levels: TypeAlias = Tensor
    Resized: TypeAlias = Tensor
    Mask: TypeAlias = Tensor
    PerSample: TypeAlias = Tensor
    TokenEmbedding: TypeAlias = Tensor
else:
    try:
        from jaxtyping import Float
    except ImportError:
        Latent = LatentOfAnySize = Pixels = Levels = Resized = Mask = PerSample = TokenEmbedding = Tensor
    else:
        Latent = Float[Tensor, "batch channel latent_height latent_width"]
        LatentOfAnySize = Float[Tensor, "_ channel _ _"]
        Pixels = Float[Tensor, "pictures 3 _ _"]
        Levels = Float[Tensor, "batch colour height width"]
        Resized = Float[Tensor, "batch colour _ _"]
        Mask = Float[Tensor, "masks 1 height width"]
        PerSample = Float[Tensor, " batch"]
        TokenEmbedding = Float[Tensor, "vectors width"]
