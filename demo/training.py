"""Share what the trainings have in common: a clock that drives the schedule, an average, a state file.

The learning rate follows the wall clock, not the step count: a run gets a number of minutes and ends
annealed whatever else the machine is doing. A killed run goes on from its last state.

Several worker processes of one thread each step the same shared weights without waiting for one another
(Hogwild, Niu et al., 2011): on a busy machine two threads of one process lose most of their time at
barriers (measured: 2.5 s a step instead of 0.4 s). Worker 0 keeps the average and the state file.
"""

import logging
import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from multiprocessing.synchronize import Event
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, multiprocessing, nn

from ldu.whole_file import written_whole

log = logging.getLogger("demo")
WARM_UP = 0.01


@dataclass
class Clock:
    """The time a run has had and may have, in seconds."""

    limit: float
    spent: float = 0.0
    started: float = field(default_factory=time.monotonic)

    @property
    def elapsed(self) -> float:
        """Return the seconds spent, former runs included."""
        return self.spent + time.monotonic() - self.started

    @property
    def progress(self) -> float:
        """Return the share of the limit that is spent, in [0, 1]."""
        return min(1.0, self.elapsed / self.limit)

    def learning_rate(self, peak: float) -> float:
        """Return `peak` after a short warm-up, falling as a cosine to 2 % of itself."""
        warm = min(1.0, self.progress / WARM_UP + 0.02)
        return peak * warm * (0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * self.progress)))


class Average:
    """An exponential moving average of a model's parameters, younger at the start."""

    def __init__(self, model: nn.Module, decay: float) -> None:
        """Start from the model's present parameters."""
        self.decay, self.steps = decay, 0
        self.values = {name: value.detach().clone().float() for name, value in model.state_dict().items()}

    @torch.no_grad()  # the average is no part of the graph
    def update(self, model: nn.Module) -> None:
        """Move towards the model's present parameters."""
        self.steps += 1
        weight = 1 - min(self.decay, self.steps / (self.steps + 10))
        for name, value in model.state_dict().items():
            self.values[name].lerp_(value.float(), weight)

    def state(self) -> dict[str, Tensor]:
        """Return a copy of the averaged parameters."""
        return {name: value.clone() for name, value in self.values.items()}


def set_learning_rate(optimizer: torch.optim.Optimizer, rate: float) -> None:
    """Set the learning rate of every group to `rate` times the group's own `factor` (1 if absent)."""
    for group in optimizer.param_groups:
        group["lr"] = rate * group.get("factor", 1.0)


@dataclass
class Run:
    """One training in progress: the model, its optimizer and average, its clock and its file."""

    model: nn.Module
    optimizer: torch.optim.Optimizer
    average: Average
    clock: Clock
    path: Path
    rank: int
    compiled: Event
    step: int = 0
    seed: int = 0

    @property
    def draw_seed(self) -> int:
        """Return what this worker's draws start from: nobody else's, and not what a killed run began with."""
        return self.seed + self.step * 2 + self.rank

    def save(self) -> None:
        """Write the whole state, replacing the last one in one move (worker 0 only)."""
        if self.rank:
            return
        state = {
            "model": self.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "average": self.average.values,
            "average_steps": self.average.steps,
            "spent": self.clock.elapsed,
            "step": self.step,
        }
        with written_whole(self.path, force=True) as part:
            torch.save(state, part)

    def resume(self) -> None:
        """Load the last state, if there is one."""
        if not self.path.exists():
            return
        state = torch.load(self.path, weights_only=True)
        self.model.load_state_dict(state["model"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.average.values, self.average.steps = state["average"], state["average_steps"]
        self.clock.spent, self.step = state["spent"], state["step"]
        log.info("resumed at step %d after %.0f s", self.step, self.clock.spent)

    def advance(self, loss: Tensor, peak: float, clip: float = 1.0) -> None:
        """Take one optimizer step down `loss`; a non-finite loss raises."""
        if not torch.isfinite(loss):
            raise FloatingPointError(f"the loss is {loss.item()} at step {self.step}")
        set_learning_rate(self.optimizer, self.clock.learning_rate(peak))
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(self.model.parameters(), clip)
        self.optimizer.step()
        if not self.rank:
            self.average.update(self.model)
            self.compiled.set()
        self.step += 1

    def train(self, loss_of_batch: Callable[[], Tensor], peak: float, *, report: int = 100) -> None:
        """Take steps down the loss of one batch after another until the time is up; say every `report` where it is."""
        recent = 0.0
        for progress in self.steps():
            loss = loss_of_batch()
            self.advance(loss, peak)
            recent += 0.02 * (loss.item() - recent) if recent else loss.item()
            if self.step % report == 0:
                log.info("step %d, %.3f of the time, loss %.4f", self.step, progress, recent)

    def steps(self, save_every: float = 120.0) -> Iterator[float]:
        """Yield the progress in [0, 1) until the time is up; save every `save_every` seconds and at the end."""
        saved = time.monotonic()
        while (progress := self.clock.progress) < 1:
            yield progress
            if time.monotonic() - saved > save_every:
                self.save()
                saved = time.monotonic()
        self.save()


def start_run(
    model: nn.Module,
    path: Path,
    minutes: float,
    decay: float,
    *,
    rank: int,
    compiled: Event,
    groups: list[dict[str, Any]] | None = None,
    seed: int = 0,
) -> Run:
    """Set up a run of `minutes` on `model`, or take up the one whose state lies at `path`.

    Workers beyond the first wait for `compiled`: then they find the first one's kernels in the cache.
    `groups` are the optimizer's; a group's `factor` multiplies its learning rate.
    """
    clock = Clock(minutes * 60)
    if rank:
        compiled.wait()
    logging.basicConfig(level=logging.INFO, format=f"%(asctime)s [{rank}] %(message)s")
    torch.set_num_threads(1)
    optimizer = torch.optim.AdamW(groups or model.parameters(), 1e-3, betas=(0.9, 0.99), weight_decay=0.01, fused=True)
    run = Run(model, optimizer, Average(model, decay), clock, path, rank, compiled, seed=seed)
    run.resume()
    torch.manual_seed(run.draw_seed)
    return run


def train_together(worker: Callable[..., None], model: nn.Module, *arguments: object, workers: int = 2) -> None:
    """Run `worker(rank, compiled, model, *arguments)` in `workers` processes that share the weights."""
    model.share_memory()
    context = multiprocessing.get_context("spawn")
    compiled = context.Event()
    others = [context.Process(target=worker, args=(rank, compiled, model, *arguments)) for rank in range(1, workers)]
    for process in others:
        process.start()
    worker(0, compiled, model, *arguments)
    for process in others:
        process.join()
