"""Train the identity network: supervised contrastive learning on siblings.

People in a batch come in groups who share every trait a caption can name, so the network has to look at
proportions, moles and texture. Loss (Khosla et al., 2020, eq. 2): for each photo, the mean of
-log softmax(cosine / 0.1) over the other photos of the same person. Half of the people are seen through
the VAE as well, which blurs what tells them apart.

    python -m demo.train_identity --minutes 8
"""

import argparse
from concurrent.futures import ProcessPoolExecutor
from multiprocessing.synchronize import Event
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import save_file
from torch import Tensor
from torch.nn.functional import interpolate

from .architecture import make_vae
from .dataset import HELD_OUT, cache_folder
from .fresh_vae import quiet_blocks
from .identity import WEIGHTS, IdentityNet
from .people import Identity, sample_identity, sample_nuisance, sample_traits
from .portraits import photograph
from .precision import bfloat16_is_fast
from .training import Run, log, start_run, train_together

GROUPS, SIBLINGS, PHOTOS = 260, 8, 6
DECODED_GROUPS = 60
FIRST_SEED = 20_000_000
TEMPERATURE = 0.1
PEAK_RATE = 1.5e-3


def sibling(group: int, member: int) -> Identity:
    """Return a person who shares all nameable traits with the rest of the group."""
    traits = sample_traits(np.random.default_rng((group, 6)))
    return sample_identity(FIRST_SEED + group * SIBLINGS + member, traits)


def _draw_group(group: int) -> NDArray[np.uint8]:
    photos = [
        photograph(sibling(group, member), sample_nuisance(FIRST_SEED + (group * SIBLINGS + member) * PHOTOS + i))
        for member in range(SIBLINGS)
        for i in range(PHOTOS)
    ]
    return np.stack(photos).reshape(SIBLINGS, PHOTOS, *photos[0].shape)


def sibling_photos(path: Path, workers: int = 1) -> NDArray[np.uint8]:
    """Return (groups, siblings, photos, size, size, 3), drawn once and kept at `path`."""
    if not path.exists():
        with ProcessPoolExecutor(workers) as pool:
            photos = np.stack(list(pool.map(_draw_group, range(GROUPS))))
        np.save(path, photos)
    return np.load(path, mmap_mode="r")


@torch.no_grad()  # a frozen autoencoder
def decoded_photos(path: Path, photos: NDArray[np.uint8], groups: int = DECODED_GROUPS) -> NDArray[np.uint8]:
    """Return the first `groups` of `photos` as the VAE gives them back, made once and kept at `path`."""
    if not path.exists():
        vae = make_vae()
        vae.load_state_dict(torch.load(cache_folder() / "vae.pt", weights_only=True))
        quiet_blocks(vae)
        flat = photos[:groups].reshape(-1, *photos.shape[-3:])
        parts = []
        for start in range(0, len(flat), 12):
            with torch.autocast("cpu", torch.bfloat16, enabled=bfloat16_is_fast()):
                x = vae.decode(vae.encode(to_batch(flat[start : start + 12])).latent_dist.mean).sample
            parts.append(((x.float().clamp(-1, 1) + 1) * 127.5).round().byte().permute(0, 2, 3, 1).numpy())
        np.save(path, np.concatenate(parts).reshape(photos[:groups].shape))
    return np.load(path, mmap_mode="r")


def to_batch(photos: NDArray[np.uint8]) -> Tensor:
    """Turn (n, size, size, 3) bytes into (n, 3, size, size) in [-1, 1]."""
    return torch.from_numpy(photos.astype(np.float32) / 127.5 - 1).permute(0, 3, 1, 2).contiguous()


def augment(x: Tensor) -> Tensor:
    """Blur, noise, tint and shift a batch, so that a VAE's reconstruction is still recognised."""
    if torch.rand(()) < 0.6:
        side = int(torch.randint(52, 112, ()))
        small = interpolate(x, size=(side, side), mode="bilinear", antialias=True)
        x = interpolate(small, size=x.shape[-2:], mode="bicubic")
    x = x * (1 + 0.12 * torch.randn(len(x), 3, 1, 1)) + 0.06 * torch.randn(len(x), 3, 1, 1)
    x = x + torch.rand(()) * 0.08 * torch.randn_like(x)
    return torch.roll(x, tuple(int(s) for s in torch.randint(-4, 5, (2,))), (2, 3))


def contrastive_loss(embeddings: Tensor, people: Tensor) -> Tensor:
    """Return the supervised contrastive loss of unit `embeddings` (n, d) of `people` (n,)."""
    itself = torch.eye(len(people), dtype=torch.bool)
    logits = (embeddings @ embeddings.T / TEMPERATURE).masked_fill(itself, -1e4)
    same = (people[:, None] == people[None]) & ~itself
    log_share = logits - logits.logsumexp(dim=1, keepdim=True)
    return -(log_share * same).sum(1).div(same.sum(1)).mean()


def draw_batch(
    photos: NDArray[np.uint8], decoded: NDArray[np.uint8], rng: np.random.Generator
) -> tuple[Tensor, Tensor]:
    """Return 4 groups x 4 siblings x 4 photos, and who is who; two groups show decoded photos beside drawn ones."""
    groups = [*rng.choice(len(decoded), 2, replace=False), *rng.choice(len(photos), 2, replace=False)]
    blocks, people = [], []
    for place, group in enumerate(groups):
        for member in rng.choice(SIBLINGS, 4, replace=False):
            rows = rng.choice(PHOTOS, 4, replace=False)
            kept = 2 if place < 2 else 4
            blocks += [photos[group, member][rows[:kept]], decoded[group % len(decoded), member][rows[kept:]]]
            people += [int(group) * SIBLINGS + int(member)] * 4
    return to_batch(np.concatenate(blocks)), torch.tensor(people)


def held_out_photos(people: int = 100, photos: int = 2) -> Tensor:
    """Return (people, photos, 3, size, size) of people never trained on."""
    drawn = [
        photograph(sample_identity(HELD_OUT + i), sample_nuisance(HELD_OUT + 1000 * i + j))
        for i in range(people)
        for j in range(photos)
    ]
    batch = to_batch(np.stack(drawn))
    return batch.unflatten(0, (people, photos))


@torch.no_grad()  # a report, nothing learns from it
def nearest_neighbour_hits(net: IdentityNet, gallery: Tensor, probes: Tensor) -> Tensor:
    """Return (n,) booleans: is probe i's nearest among all `gallery` photos its own person's?"""
    similarity = net(probes) @ net(gallery).T
    return similarity.argmax(1) == torch.arange(len(probes))


def train(run: Run, net: IdentityNet, photos: NDArray[np.uint8], decoded: NDArray[np.uint8]) -> None:
    """Train until the run's time is up."""
    rng = np.random.default_rng(run.draw_seed)
    forward = torch.compile(net, dynamic=False)

    def loss_of_batch() -> Tensor:
        x, people = draw_batch(photos, decoded, rng)
        with torch.autocast("cpu", torch.bfloat16, enabled=bfloat16_is_fast()):
            embeddings = forward(augment(x))
        return contrastive_loss(embeddings.float(), people)

    run.train(loss_of_batch, PEAK_RATE, report=50)


def work(rank: int, compiled: Event, net: IdentityNet, minutes: float) -> None:
    """Train as one of several workers; the first one writes the weights."""
    run = start_run(net, cache_folder() / "identity_state.pt", minutes, 0.995, rank=rank, compiled=compiled)
    photos = sibling_photos(cache_folder() / "siblings.npy")
    train(run, net, photos, decoded_photos(cache_folder() / "siblings_decoded.npy", photos))
    if rank:
        return
    net.load_state_dict(run.average.state())
    held_out = held_out_photos()
    hits = nearest_neighbour_hits(net, held_out[:, 0], held_out[:, 1])
    log.info("nearest neighbour right for %.1f %% of unseen people", 100 * hits.float().mean())
    WEIGHTS.parent.mkdir(exist_ok=True)
    save_file({name: value.half().contiguous() for name, value in net.state_dict().items()}, WEIGHTS)


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=8)
    parser.add_argument("--workers", type=int, default=2)
    options = parser.parse_args()
    torch.manual_seed(0)
    decoded_photos(cache_folder() / "siblings_decoded.npy", sibling_photos(cache_folder() / "siblings.npy"))
    train_together(work, IdentityNet(), options.minutes, workers=options.workers)


if __name__ == "__main__":
    main()
