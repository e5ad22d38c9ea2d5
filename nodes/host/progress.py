"""The host's progress bar, its Cancel, and words on a node that is at work."""

from typing import Any

import comfy.model_management as mm
import comfy.utils
from server import PromptServer

from ...ldu.model import CountedDenoiser, Denoiser
from ...ldu.shapes import Latent, PerSample

Interrupted = mm.InterruptProcessingException  # raised in a node that the user cancels


def progress_bar(total: int) -> Any:  # noqa: ANN401
    """Return the host's progress bar."""
    return comfy.utils.ProgressBar(total)


def say_on_node(node: str | None, text: str) -> None:
    """Show a text on a node while it works, for web/js/report.js to draw; without a server nobody is there to read."""
    server = getattr(PromptServer, "instance", None)
    if node is not None and server is not None:
        server.send_sync("ldu.say", {"node": node, "text": [text]}, server.client_id)


def stop_if_asked() -> None:
    """Raise Interrupted if the user has cancelled."""
    mm.throw_exception_if_processing_interrupted()


class WatchedDenoiser(CountedDenoiser):
    """A counted denoiser that moves the host's progress bar with every call."""

    def __init__(self, denoiser: Denoiser, total: int) -> None:
        super().__init__(denoiser)
        self._bar, self._calls = progress_bar(total), 0

    def __call__(self, z: Latent, sigma: PerSample) -> Latent:
        """Return the wrapped estimate of z_0."""
        self._calls += 1
        self._bar.update_absolute(self._calls)
        return super().__call__(z, sigma)
