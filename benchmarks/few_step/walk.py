"""The walk of pictures: up with the base, down with the base or with the sibling.

Per portrait, empty prompt:
    error    ||z_0 walked back - z_0|| / ||z_0|| without the record
    PSNR     of the decoded walk without the record against D(z_0), dB
    gain     ||dz_0|| / ||dz_T|| of a random shift of 0.01, z_T in unit variance, without the record and with it, made
             for the model that walks down
The walk up has the k steps of the walk down, or FINE ones: then z_T lies where the base's ODE leads, and there is no
record, which is of one grid.
"""

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from benchmarks.few_step.pair import Pair
from benchmarks.inversion import SHIFT, relative, shown_psnr
from benchmarks.table import with_interval
from ldu.protect import WalkModels
from ldu.trajectory import Record, denoise, for_denoiser, invert

K_STEPS, DEPTHS, FINE = (1, 2, 4, 8), (0.25, 0.5, 1.0), 25
HEAD = ("depth", "k", "up in", "down by", "error", "PSNR", "gain, none", "gain, record")


def measure(models: WalkModels, record: Record, wanted: Tensor, k_steps: int, depth: float) -> tuple[str, ...]:
    """Return the cells of one model's walk down from the z_T of the base's record; `wanted` is D(z_0)."""
    sigmas, z_T, z_0 = models.schedule.grid(k_steps, depth), record.z_T, record.z_0
    shift = SHIFT * torch.randn(z_T.shape, generator=torch.Generator().manual_seed(0))
    back = denoise(models.walker, z_T, models.schedule, sigmas)
    error, psnr = relative(back - z_0, z_0), shown_psnr(models.autoencoder.decode(back), wanted)
    cells = (with_interval(error, 3), with_interval(psnr, 1))
    if record.sigmas != sigmas:
        return (*cells, "", "")
    own = for_denoiser(record, models.walker, models.schedule)
    plain = denoise(models.walker, z_T + shift, models.schedule, sigmas) - back
    recorded = denoise(models.walker, z_T + shift, models.schedule, sigmas, record=own) - z_0
    return (*cells, *(with_interval(relative(moved, shift), 3) for moved in (plain, recorded)))


def rows(
    pair: Pair, x: Tensor, k_steps: Sequence[int] = K_STEPS, depths: Sequence[float] = DEPTHS
) -> Iterator[tuple[object, ...]]:
    """Walk portraits x (n, 3, h, w) in every way and give its row."""
    base = pair.base_models
    z_0 = base.autoencoder.encode(x)
    wanted = base.autoencoder.decode(z_0)
    for depth in depths:
        fine = invert(base.walker, z_0, base.schedule, base.schedule.grid(FINE, depth))
        for k in k_steps:
            same = invert(base.walker, z_0, base.schedule, base.schedule.grid(k, depth))
            for up, record in ((k, same), (FINE, fine)):
                for name, models in (("base", base), ("sibling", pair.sibling_models)):
                    yield depth, k, up, name, *measure(models, record, wanted, k, depth)
