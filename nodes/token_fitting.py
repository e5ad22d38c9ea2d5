"""Textual Inversion against the host's models: what its node and Train ρ fit a word with."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import torch

from ..ldu.attacks.textual_inversion import InversionConfig, fit_token
from ..ldu.budget import to_pixels
from ..ldu.losses import expected_loss
from ..ldu.shapes import Latent, Levels, TokenEmbedding
from .estimate import Pace, Teller
from .host import HostAutoencoder, HostDenoiser, HostSession, as_learnt, progress_bar, stop_if_asked
from .images import as_a_thief_loads_it
from .token_encoder import TokenEncoder
from .types import Personalizer
from .word_preview import HostPreview, WordPreview


class Fitting:
    """Textual Inversion against an opened model; keeps the result and the losses."""

    def __init__(
        self,
        session: HostSession,
        encoder: TokenEncoder,
        config: InversionConfig,
        seed: int,
        preview: WordPreview | None = None,
        pace: Pace | None = None,
    ) -> None:
        self._session, self._encoder, self._config, self._seed = session, encoder, config, seed
        self._preview, self._pace = preview, pace
        self.losses: list[float] = []
        self.token: TokenEmbedding
        self.conditioning: list[Any]

    def fit(self, latents: Sequence[Latent], initial: TokenEmbedding) -> "Fitting":
        """Fit the token to the latents, starting from `initial`."""
        bar, steps, current = progress_bar(self._config.ti_steps), self._config.ti_steps, initial

        def bind(token: TokenEmbedding) -> HostDenoiser:
            nonlocal current
            current = token.detach()  # for the preview; it follows the optimiser's steps in place
            return self._session.bind(self._encoder.encode(token))

        def on_step(step: int, loss: float) -> None:
            self.losses.append(loss)
            bar.update_absolute(step, steps, self._shown(step, current))
            if self._pace is not None:
                self._pace.tick()

        generator, schedule = torch.Generator().manual_seed(self._seed), self._session.schedule
        if self._pace is not None:
            draws, other = self._config.draws, torch.Generator().manual_seed(0)
            self._pace.foretell(
                lambda: expected_loss(bind(initial), latents[0], schedule, draws=draws, generator=other)
            )
        if self._preview is not None:
            self._preview.shown = None  # of the word before
        token = fit_token(bind, latents, schedule, initial, self._config, generator=generator, on_step=on_step)
        with torch.no_grad():
            source = [self._session.key, self._encoder.encode(initial), list(latents), repr(self._config), self._seed]
            self.conditioning = as_learnt(self._encoder.encode(token), source)
        self.token = token.cpu()
        return self

    def _shown(self, step: int, token: TokenEmbedding) -> HostPreview | None:
        """Return the preview to show at a step, drawn anew if one is due."""
        if self._preview is None:
            return None
        if self._preview.is_due(step, self._config.ti_steps):
            with torch.no_grad():
                condition = self._encoder.encode(token)
            self._preview.draw(self._session.bind(condition))
        return self._preview.shown


def fit_personalizer(
    prompt: str,
    initial_word: str,
    clip: Any,  # noqa: ANN401
    session: HostSession,
    latents: Sequence[Latent],
    seed: int,
    teller: Teller,
) -> Fitting:
    """Run Textual Inversion with its defaults, for a Train ρ that was given a CLIP only."""
    encoder = TokenEncoder(clip, prompt, initial_word)
    config = InversionConfig()
    pace = Pace(teller, config.ti_steps, "These learn S*, those of ρ come after.")
    return Fitting(session, encoder, config, seed, pace=pace).fit(latents, encoder.initial(1))


def refit(personalizer: Personalizer, clip: Any, session: HostSession) -> Callable[[Sequence[Latent]], HostDenoiser]:  # noqa: ANN401
    """Return what fits a personalizer again to the current protected pictures, each time from where it stood."""
    encoder = TokenEncoder(clip, personalizer.prompt, personalizer.initial_word)
    token = personalizer.token
    config = replace(personalizer.config, ti_steps=max(1, personalizer.config.ti_steps // 5))

    def again(latents: Sequence[Latent]) -> HostDenoiser:
        nonlocal token
        fitted = Fitting(session, encoder, config, personalizer.seed).fit(latents, token)
        token = fitted.token
        return session.bind(fitted.conditioning)

    return again


def encode_views(coder: HostAutoencoder, pictures: Sequence[Levels], side: int, device: torch.device) -> list[Latent]:
    """Return the latents of pictures as a thief loads them."""
    latents: list[Latent] = []
    with torch.no_grad():
        for picture in pictures:
            stop_if_asked()
            latents.append(coder.encode(to_pixels(as_a_thief_loads_it(picture.to(device), side))))
    return latents
