"""Adversary's Loss: what the protection does to a personalizer that it was not trained against."""

from statistics import fmean
from typing import Any

import torch
from comfy_api.latest import io
from torch import Tensor

from ..ldu.attacks.random_noise import noise_at_equal_psnr
from ..ldu.evidence.record import Losses
from ..ldu.losses import expected_loss
from ..ldu.shapes import Levels
from ..ldu.statistics import bootstrap_interval
from .host import HostSession, latent_shape, require_for_loss, require_vae, sampling_session, training_resolution
from .images import as_a_thief_loads_it, require_one_size, split_pictures, to_image
from .inputs import seed_input
from .types import LossesSocket
from .wording import ALIASES, BEFORE_TOOLTIP, CATEGORY, MODEL_TOOLTIP, VAE_TOOLTIP, report


class MeasureLoss(io.ComfyNode):
    """Measure the loss on the original, the protected picture and random noise."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Describe the node."""
        return io.Schema(
            node_id="LDU_MeasureLoss",
            display_name="Adversary's Loss",
            category=CATEGORY,
            search_aliases=[*ALIASES, "evaluate", "measure"],
            description="A personalizer's noise-prediction loss on the original, on the protected picture and on the "
            "original with random noise of equal visibility, each loaded as a thief does. Higher = harder to learn, "
            "a sign and no proof.",
            inputs=[
                io.Model.Input("model", tooltip=MODEL_TOOLTIP),
                io.Vae.Input("vae", tooltip=VAE_TOOLTIP),
                io.Conditioning.Input(
                    "conditioning", tooltip="A personalization prompt that was not used in training."
                ),
                io.Image.Input("original", tooltip=BEFORE_TOOLTIP),
                io.Image.Input("protected", tooltip="The picture after, of the same size."),
                io.Int.Input(
                    "draws",
                    default=64,
                    min=2,
                    max=4096,
                    tooltip="Draws of timestep and noise, the same for all three. 64 for a look, 256 or more to tell "
                    "small differences.",
                ),
                seed_input("Of the draws and the random noise; any number."),
            ],
            outputs=[
                io.String.Output(
                    display_name="report", tooltip="The three mean losses and the gain over random noise."
                ),
                LossesSocket.Output(display_name="losses", tooltip="For Protection Report and Thief's Gallery."),
            ],
            is_output_node=True,
        )

    @classmethod
    def execute(
        cls,
        model: Any,  # noqa: ANN401
        vae: Any,  # noqa: ANN401
        conditioning: list[Any],
        original: Tensor,
        protected: Tensor,
        draws: int,
        seed: int,
    ) -> io.NodeOutput:
        """Return the report as text and as numbers."""
        require_one_size(original, protected, "measure behind Fit to Budget.")
        require_vae(vae, model)
        require_for_loss(conditioning)
        side = training_resolution(model)
        samples = _as_a_thief_loads_them(vae, split_pictures([original]), split_pictures([protected]), side, seed)
        with sampling_session(model, conditioning, latent_shape(model, side, side, 8)) as session:
            before, after, noisy = (_losses(session, conditioning, each, draws, seed) for each in samples)
        gains = [a - b for a, b in zip(after, noisy, strict=True)]
        # Each draw meets all pictures, which rise and fall with it: draws are what the interval is over.
        gain = [fmean(gains[draw::draws]) for draw in range(draws)]
        low, high = bootstrap_interval(gain)
        means = [sum(values) / len(values) for values in (before, after, noisy)]
        losses = Losses(means[0], means[1], means[2], (low, high))
        text = (
            f"original {means[0]:.4f}   protected {means[1]:.4f}   random noise {means[2]:.4f}\n"
            f"protected - random noise: {sum(gain) / len(gain):+.4f}, 95 % interval {low:+.4f} to {high:+.4f}"
        )
        numbers = dict(zip(("loss_before", "loss_after", "loss_random"), means, strict=True))
        interval = {"loss_gain_over_random": [low, high], "nfe": {"evaluate": session.evaluations}}
        return io.NodeOutput(text, losses, ui=report(numbers | interval, text))


def _as_a_thief_loads_them(
    vae: Any,  # noqa: ANN401
    originals: list[Levels],
    protected: list[Levels],
    side: int,
    seed: int,
) -> tuple[list[Tensor], list[Tensor], list[Tensor]]:
    """Return the LATENT samples of originals, protected and noisy pictures; the VAE is done before the model loads."""
    pairs = zip(originals, protected, strict=True)
    noisy = [noise_at_equal_psnr(*pair, generator=torch.Generator().manual_seed(seed)) for pair in pairs]

    def encode(pictures: list[Levels]) -> list[Tensor]:
        return [vae.encode(to_image(as_a_thief_loads_it(picture, side))) for picture in pictures]

    return encode(originals), encode(protected), encode(noisy)


def _losses(session: HostSession, conditioning: list[Any], samples: list[Tensor], draws: int, seed: int) -> list[float]:
    """Return the losses draw by draw, one picture after the other; the same draws for all."""
    adversary, losses = session.bind(conditioning), []
    for each in samples:
        generator = torch.Generator().manual_seed(seed)
        losses += expected_loss(adversary, session.latent_in(each), session.schedule, draws=draws, generator=generator)
    return losses


NODES = [MeasureLoss]
