"""The identity network: a small CNN that tells who is in a portrait, our stand-in for ArcFace.

    embedding = normalise(W pool_4x4(stage_4(... stage_1(x))))

`cosine(embed(a), embed(b))` is the identity similarity; `features` gives the pooled maps of every stage,
for Fréchet distances and as a perceptual loss.
"""

from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn.functional import normalize

WIDTHS = (16, 40, 64, 80)
EMBEDDING = 64
WEIGHTS = Path(__file__).parent / "weights" / "identity.safetensors"


class Block(nn.Module):
    """Two 3x3 convolutions with GroupNorm around a skip; the first one halves the picture."""

    def __init__(self, inward: int, outward: int) -> None:
        """Make a block from `inward` to `outward` channels."""
        super().__init__()
        self.down = nn.Sequential(nn.Conv2d(inward, outward, 3, 2, 1), nn.GroupNorm(8, outward), nn.SiLU())
        self.refine = nn.Sequential(
            nn.Conv2d(outward, outward, 3, 1, 1),
            nn.GroupNorm(8, outward),
            nn.SiLU(),
            nn.Conv2d(outward, outward, 3, 1, 1),
            nn.GroupNorm(8, outward),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Map (b, inward, h, w) to (b, outward, h / 2, w / 2)."""
        x = self.down(x)
        return torch.nn.functional.silu(x + self.refine(x))


class IdentityNet(nn.Module):
    """Embed portraits by who they show."""

    def __init__(self) -> None:
        """Make the untrained network."""
        super().__init__()
        inward = (3, *WIDTHS[:-1])
        self.stages = nn.ModuleList(Block(a, b) for a, b in zip(inward, WIDTHS, strict=True))
        self.head = nn.Linear(WIDTHS[-1] * 16, EMBEDDING)

    def maps(self, x: Tensor) -> list[Tensor]:
        """Return the map of every stage for x: (b, 3, 128, 128) in [-1, 1]."""
        found = []
        for stage in self.stages:
            x = stage(x)
            found.append(x)
        return found

    def forward(self, x: Tensor) -> Tensor:
        """Return unit embeddings (b, 64); where in the picture a feature lies is kept on a 4x4 grid."""
        pooled = nn.functional.adaptive_avg_pool2d(self.maps(x)[-1], 4)
        return normalize(self.head(pooled.flatten(1)), dim=-1)

    def features(self, x: Tensor) -> Tensor:
        """Return (b, 200): the mean of every map of every stage, for Fréchet distances."""
        return torch.cat([found.mean((2, 3)) for found in self.maps(x)], dim=1)


def load_identity(path: Path = WEIGHTS) -> IdentityNet:
    """Load the trained network in float32, frozen."""
    net = IdentityNet()
    net.load_state_dict({name: value.float() for name, value in load_file(path).items()})
    return net.eval().requires_grad_(False)
