"""What Protect Folder does to one picture: the nodes of the walk, Fit to Budget and Refine in Pixels in their order."""

import json
from collections import Counter
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from ..ldu.budget import working_size
from ..ldu.errors import BadValueError
from ..ldu.picture import Picture
from ..ldu.refine import RefineConfig
from ..ldu.shapes import Levels
from .host import differentiable_copies, latent_shape, training_memory, training_resolution
from .images import fit_mask, split_pictures, to_image
from .pictures import WorkingSize, fit_decodes
from .refine import RefinePixels
from .types import TrainedRho
from .walk import ApplyRhoShift, FewStepDenoise, InvertToZT


@dataclass
class FolderWalk:
    """The nodes with their settings, for one picture after the other; counts the model's evaluations by kind."""

    model: Any
    vae: Any
    rho: TrainedRho | None
    conditioning: list[Any] | None
    budget: float
    strength: float
    seed: int
    mask: Tensor | None
    personalization: list[Any] | None
    refine_steps: int
    evaluations: Counter[str] = field(default_factory=Counter)

    def protect(self, picture: Picture) -> Levels:
        """Return the protected picture in whole levels.

        Raises:
            BadValueError: if nobody asked for rho, because there was nothing to do a moment ago.
        """
        if self.rho is None:
            raise BadValueError("A saved picture was removed just now, while it was looked for: run again.")
        card, image = self.rho.card, to_image(picture.as_batch())
        (working,) = WorkingSize.execute(image, 0, self.model).args
        latent = {"samples": self.vae.encode(working)}
        walk = {"model": self.model, "conditioning": self.conditioning}
        z_T, record, _ = self._run(InvertToZT, **walk, latent=latent, k=card.k_steps, depth=card.depth, refine=0)
        (shifted,) = self._run(ApplyRhoShift, z_T=z_T, rho=self.rho, strength=self.strength, seed=self.seed)
        (protected,) = self._run(FewStepDenoise, **walk, z_T=shifted, record=record)
        clean = self.vae.decode(latent["samples"])
        same = torch.equal(protected["samples"], latent["samples"])  # then the picture must stay, bit for bit
        changed = clean if same else self.vae.decode(protected["samples"])
        original = picture.as_batch()
        where = None if self.mask is None else fit_mask(self.mask, original)
        return self._refined(image, fit_decodes(original, clean, changed, self.budget, where))

    @cached_property
    def copies(self) -> tuple[Any, Any]:
        """MODEL and VAE that all pictures are refined with: from disk once, and gone with the walk."""
        return differentiable_copies(self.model, self.vae)

    def memory(self, picture: Picture) -> tuple[float, float]:
        """Return the bytes that Refine in Pixels wants for a picture in all, and how many are free for it.

        Raises:
            BadImageError: if the picture is too narrow.
        """
        size = working_size(picture.info.width, picture.info.height, training_resolution(self.model))
        shape = latent_shape(self.model, *size, RefineConfig.draws)
        return training_memory(*self.copies, shape, beside=[self.model, self.vae.patcher])

    def _refined(self, original: Tensor, shifted: Levels) -> Levels:
        """Return the picture after Refine in Pixels with its own defaults, if that is asked for."""
        if not self.refine_steps:
            return shifted
        model, vae = self.copies
        refined, _ = self._run(
            RefinePixels,
            model=model,
            vae=vae,
            conditioning=self.personalization,
            image=to_image(shifted),
            original=original,
            mask=self.mask,
            walk_conditioning=self.conditioning,
            budget=self.budget,
            steps=self.refine_steps,
            seed=self.seed,
            visibility=RefineConfig.visibility,
            flat_areas=RefineConfig.flat,
            contrast=RefineConfig.contrast,
        )
        return split_pictures([refined])[0]

    def _run(self, node: Any, **inputs: Any) -> tuple[Any, ...]:  # noqa: ANN401
        output = node.execute(**inputs)
        told = json.loads(output.ui["ldu"][0]) if output.ui else {}
        self.evaluations.update(told.get("nfe", {}))
        return output.args
