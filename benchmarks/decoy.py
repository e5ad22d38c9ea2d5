"""A decoy: what a thief shall learn in the place of what the picture shows.

    slope_z  = - d loss(z, decoy) / dz + c * d loss(z, empty) / dz
in the place of that of the person's word (`ldu.refine`), with a c that leaves both at right angles. At a contrast of 1
it raises p(decoy | z), the classifier that two prompts imply: all pictures move the same way, to where the model
expects the decoy, and not each another way, off where it expects the person. No word has to be learnt for it.

Source: the implied classifier, Ho & Salimans 2022 (Classifier-Free Guidance), section 3.2, and Li et al. 2023
(Diffusion Classifier); targeted and untargeted attacks, Liang & Wu 2023 (Mist), section 3.
"""

from dataclasses import fields, replace

from ldu.model import Denoiser
from ldu.schedule import NoiseSchedule, Weighting
from ldu.shapes import PerSample
from ldu.train import Surrogate


class Falling(NoiseSchedule):
    """Noise levels at which a loss counts as one to be made small."""

    def loss_weight(self, sigma: PerSample, weighting: Weighting = "own") -> PerSample:
        """Return minus the usual weight at each noise level."""
        return -super().loss_weight(sigma, weighting)


def in_the_place_of(surrogate: Surrogate, decoy: Denoiser) -> Surrogate:
    """Return the models so that what rises is minus the loss under the decoy's prompt, whatever the person's.

    Args:
        surrogate: the models; its adversary is not used.
        decoy: the denoiser under a prompt that describes somebody, or something, else.
    """
    schedule = {field.name: getattr(surrogate.schedule, field.name) for field in fields(surrogate.schedule)}
    return replace(surrogate, adversary=decoy, schedule=Falling(**schedule))
