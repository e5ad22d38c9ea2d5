"""The host's progress bar, its Cancel, and words on a node that is at work."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import comfy.model_management as mm
import comfy.utils
from comfy_execution.utils import ExecutionContext, get_executing_context
from PIL import Image
from server import PromptServer

from ...ldu.model import CountedDenoiser, Denoiser
from ...ldu.shapes import Latent, Levels, PerSample

_PREVIEW_SIDE = 512

Interrupted = mm.InterruptProcessingException  # raised in a node that the user cancels


_part_of_something: ContextVar[bool] = ContextVar("part_of_something", default=False)


class _NoBar:
    """The bar of work that is a part of something with a bar of its own."""

    def update_absolute(self, *_: object) -> None:
        """Show nothing."""


def progress_bar(total: int) -> Any:  # noqa: ANN401
    """Return the host's progress bar."""
    return _NoBar() if is_a_part() else comfy.utils.ProgressBar(total)


@contextmanager
def as_a_part() -> Iterator[None]:
    """Let what runs in the block leave the progress bar and the words on the node to its caller."""
    token = _part_of_something.set(True)
    try:
        yield
    finally:
        _part_of_something.reset(token)


def is_a_part() -> bool:
    """Tell whether what runs is a part of something that shows its progress itself."""
    return _part_of_something.get()


def is_further_of_a_list() -> bool:
    """Tell whether the host runs a node once more, for another item of a list that came into it."""
    at_work = get_executing_context()
    return at_work is not None and bool(at_work.list_index)


def preview(levels: Levels) -> tuple[str, Image.Image, int]:
    """Return the first of some pictures in whole levels as the host's preview tuple."""
    picture = Image.fromarray(levels[0].movedim(0, -1).round().byte().cpu().numpy())
    picture.thumbnail((_PREVIEW_SIDE, _PREVIEW_SIDE))
    return ("JPEG", picture, _PREVIEW_SIDE)


def say_on_node(text: str) -> None:
    """Show a text on the node that is at work, for web/js/report.js to draw; without a server nobody can read it."""
    at_work, server = get_executing_context(), getattr(PromptServer, "instance", None)
    if at_work is not None and server is not None and not is_a_part():
        place = {"node": at_work.node_id, "type": _class_of(server, at_work)}
        server.send_sync("ldu.say", {**place, "text": [text]}, server.client_id)


def _class_of(server: Any, at_work: ExecutionContext) -> str | None:  # noqa: ANN401
    """Return the class of a node; None for one that the graph as it was sent does not have."""
    running, _ = server.prompt_queue.get_current_queue_volatile()
    graphs = [graph for _, job, graph, *_ in running if job == at_work.prompt_id]
    return graphs[0].get(at_work.node_id, {}).get("class_type") if graphs else None


def stop_if_asked() -> None:
    """Raise Interrupted if the user has cancelled."""
    mm.throw_exception_if_processing_interrupted()


class WatchedDenoiser(CountedDenoiser):
    """A counted denoiser that moves the host's progress bar with every call."""

    def __init__(self, denoiser: Denoiser, total: int, *, done: int = 0) -> None:
        """Wrap a denoiser whose node makes so many calls in all, some of them to others before it."""
        super().__init__(denoiser)
        self._bar, self._calls = progress_bar(total), done

    def __call__(self, z: Latent, sigma: PerSample) -> Latent:
        """Return the wrapped estimate of z_0."""
        self._calls += 1
        self._bar.update_absolute(self._calls)
        return super().__call__(z, sigma)
