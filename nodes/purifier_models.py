"""MODEL, VAE and CONDITIONING as the tools of purifiers, loaded for one recipe after the other."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch

from ..ldu.attacks.purify.contract import DiffusionModel, Tools
from ..ldu.attacks.purify.recipe import Recipe, for_training
from ..ldu.budget import to_levels
from ..ldu.errors import BadValueError
from ..ldu.shapes import Latent, Pixels
from ..ldu.train import Purifier, Surrogate
from .host import (
    HostSession,
    default_conditioning,
    encoding_session,
    latent_shape,
    normal,
    require_vae,
    sampling_session,
    training_session,
)
from .images import to_image


def name_all(recipes: Sequence[Recipe] | None) -> str:
    """Name the purifiers that a protection was made against."""
    return ", ".join(map(str, recipes or ())) or "none"


class HostModels:
    """MODEL, VAE and CONDITIONING, opened for one recipe after the other.

    Args:
        model: a MODEL or None.
        vae: a VAE or None.
        conditioning: a CONDITIONING or None.
    """

    def __init__(self, model: Any, vae: Any, conditioning: list[Any] | None) -> None:  # noqa: ANN401
        self._model, self._vae, self._conditioning = model, vae, conditioning
        self.evaluations = 0

    def require(self, recipes: Sequence[Recipe]) -> None:
        """Raise unless everything is connected that the recipes need.

        Raises:
            BadValueError: with the recipe and what it needs.
            UnsupportedModelError: the model needs a condition, and none is connected.
        """
        for recipe in recipes:
            model_too = recipe.gradient or "latent" in recipe.needs
            if (recipe.needs and self._vae is None) or (model_too and self._model is None):
                wanted = "a MODEL and a VAE" if model_too else "a VAE"
                raise BadValueError(
                    f"The purifier {str(recipe)!r} needs {wanted}: connect what is missing, or leave it out."
                )
            if recipe.needs:
                require_vae(self._vae, self._model)
            if "latent" in recipe.needs:
                default_conditioning(self._model, self._conditioning)

    @contextmanager
    def opened_for(self, recipe: Recipe, shape: Sequence[int]) -> Iterator[tuple[Tools, torch.device]]:
        """Load what a recipe needs for pictures of this shape and give it as tools, with where pictures should lie."""
        here = torch.device("cpu")
        if not recipe.needs:
            yield Tools(), here
            return
        if not recipe.gradient and "latent" not in recipe.needs:
            yield Tools(SamplingAutoencoder(self._vae)), here
            return
        count, _, height, width = shape
        latents = latent_shape(self._model, width + 7, height + 7, count)  # purifiers pad to multiples of 8
        if "latent" not in recipe.needs:  # gradients, through the VAE alone
            with encoding_session(self._model, self._vae, latents) as (session, coder):
                yield Tools(coder), session.device
            return
        bound = default_conditioning(self._model, self._conditioning)
        with self._session(recipe.gradient, bound, latents) as (session, coder):
            bound = normal(bound) if recipe.gradient else bound
            denoising = DiffusionModel(session.bind(bound), session.schedule, coder)
            yield Tools(coder, denoising), session.device
            self.evaluations += session.evaluations

    @contextmanager
    def _session(self, gradient: bool, bound: list[Any], latents: Sequence[int]) -> Iterator[tuple[HostSession, Any]]:
        if gradient:
            with training_session(self._model, self._vae, latents) as opened:
                yield opened
        else:
            with sampling_session(self._model, bound, latents) as session:
                yield session, SamplingAutoencoder(self._vae, session)


def to_train_against(recipes: Sequence[Recipe] | None, surrogate: Surrogate) -> Sequence[Purifier]:
    """Return the purifiers of recipes, gradients flow through them; those that diffuse walk as the surrogate does.

    Raises:
        BadValueError: with a recipe that has no useful gradient.
    """
    coder = surrogate.autoencoder
    denoising = DiffusionModel(surrogate.walker, surrogate.schedule, coder)
    return for_training(recipes or (), Tools(coder, denoising, recompute=True))


class SamplingAutoencoder:
    """A VAE as the core's autoencoder port, run by the host itself: without gradient, in tiles where memory is short.

    Args:
        vae: the VAE.
        session: of the model whose latent scale is wanted; None where latents only come and go.
    """

    def __init__(self, vae: Any, session: HostSession | None = None) -> None:  # noqa: ANN401
        self._vae, self._session = vae, session

    def encode(self, x: Pixels) -> Latent:
        """Return latents in the model's scale."""
        samples = self._vae.encode(to_image(to_levels(x)))
        if self._session is None:
            return samples
        self._session.reload(samples.shape)  # the VAE may have pushed the model out
        return self._session.latent_in(samples)

    def decode(self, z: Latent) -> Pixels:
        """Return pixels, clamped as the host does."""
        samples = z if self._session is None else self._session.latent_out(z)
        return self._vae.decode(samples).movedim(-1, 1) * 2 - 1
