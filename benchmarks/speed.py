"""Print what protecting with a trained rho and one training step cost, beside the host's own work of the same size.

    python -m benchmarks.speed --size demo|sd15|sdxl

The host's own work is what a user knows the price of: a stock KSampler of 2k + 1 steps at cfg 1, one VAE encode and two
VAE decodes. Both go through the nodes of a real ComfyUI in this process, turn by turn; the ratio is the median over the
pairs, with its 95 % interval. sd15 and sdxl have random weights at full size (fp16 on a GPU, fp32 on a CPU).
"""

import argparse
import ctypes
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from statistics import median
from typing import Any

import psutil
import torch
from torch import Tensor

from benchmarks.full_size import GiB, Loaded, load, picture
from benchmarks.hosting import Host, running
from benchmarks.table import print_table, provenance
from demo.pipeline import WEIGHTS
from ldu.statistics import bootstrap_interval

NEEDS = {"demo": (1, 2), "sd15": (8, 14), "sdxl": (24, 40)}  # GiB free on a GPU, or in a CPU's memory
HEAD = ("what", "NFE", "seconds", "ratio", "95 % interval", "peak memory, GiB", "above the models, GiB")


@dataclass
class Work:
    """Both kinds of work on one picture, and how long each node took.

    Args:
        host: the running ComfyUI.
        loaded: its models.
        k: steps of the walk.
        depth: where T lies.
        rho: a LDU_RHO for these models.
    """

    host: Host
    loaded: Loaded
    k: int
    depth: float
    rho: Any
    spent: dict[str, list[float]] = field(default_factory=dict)

    def protect(self) -> Tensor:
        """Protect the picture with the trained rho, node by node as in the shipped workflow."""
        image, model, condition = picture(self.loaded.side), self.loaded.model, self.loaded.conditioning
        working = self.ours("LDU_WorkingSize", image, 0, model)
        latent = self.stock("VAEEncode", "encode", self.loaded.vae, working)
        z_T, record = self.ours("LDU_InvertToZT", model, latent, self.k, self.depth, 0, condition, outputs=2)
        shifted = self.ours("LDU_ApplyRhoShift", z_T, self.rho, 1.0, 0)
        protected = self.ours("LDU_FewStepDenoise", model, shifted, record, condition)
        clean, decoded = (self.stock("VAEDecode", "decode", self.loaded.vae, z) for z in (latent, protected))
        return self.ours("LDU_FitToBudget", image, clean, decoded, 10.0)

    def reference(self) -> Tensor:
        """Do the host's own work of the same size."""
        model, condition, steps = self.loaded.model, self.loaded.conditioning, 2 * self.k + 1
        latent = self.stock("VAEEncode", "encode", self.loaded.vae, picture(self.loaded.side))
        settings = (0, steps, 1.0, "euler", "normal", condition, condition, latent)
        sampled = self.stock("KSampler", "sample", model, *settings)
        return [self.stock("VAEDecode", "decode", self.loaded.vae, z) for z in (latent, sampled)][1]

    def ours(self, name: str, *inputs: Any, outputs: int = 1) -> Any:  # noqa: ANN401
        """Execute a node of the pack."""
        found = self._timed(name, lambda: self.host.classes[name].execute(*inputs).args)
        return found[0] if outputs == 1 else found[:outputs]

    def stock(self, name: str, function: str, *inputs: Any) -> Any:  # noqa: ANN401
        """Execute a node of the host."""
        return self._timed(name, lambda: getattr(self.host.classes[name](), function)(*inputs))[0]

    def _timed(self, name: str, call: Callable[[], Any]) -> Any:  # noqa: ANN401
        started = time.perf_counter()
        result = call()
        self.spent.setdefault(name, []).append(time.perf_counter() - started)
        return result


@dataclass(frozen=True)
class Cost:
    """What a kind of work took: seconds of each turn, evaluations, bytes at the peak and above where it began."""

    name: str
    seconds: list[float]
    evaluations: str
    peak: int
    above: int

    def cells(self, reference: "Cost") -> tuple[str, ...]:
        """Lay out for the table; turns are paired where both have equally many."""
        pairs = zip(self.seconds, reference.seconds, strict=False)
        ratios = [ours / theirs for ours, theirs in pairs]
        low, high = bootstrap_interval(ratios)
        memory = (f"{self.peak / GiB:.2f}", f"{self.above / GiB:.2f}")
        return (
            self.name,
            self.evaluations,
            f"{median(self.seconds):.3f}",
            f"{median(ratios):.3f}",
            f"{low:.3f} to {high:.3f}",
            *memory,
        )


class Peak:
    """The largest memory while a block runs: the allocator's on a GPU, resident pages of this process on a CPU."""

    def __init__(self, device: torch.device) -> None:
        """Choose what to look at."""
        self._device, self._process = device, psutil.Process()
        self.highest = self.start = 0

    @contextmanager
    def watching(self) -> Iterator["Peak"]:
        """Watch while the block runs."""
        if self._device.type == "cuda":
            torch.cuda.synchronize()
            torch.cuda.reset_peak_memory_stats()
            self.start = torch.cuda.memory_allocated()
            yield self
            self.highest = torch.cuda.max_memory_allocated()
            return
        with suppress(OSError, AttributeError):  # only glibc keeps freed pages, and only it has this
            ctypes.CDLL(None).malloc_trim(0)
        self.start = self.highest = self._process.memory_info().rss
        done = threading.Event()
        watcher = threading.Thread(target=self._watch, args=(done,))
        watcher.start()
        try:
            yield self
        finally:
            done.set()
            watcher.join()

    def _watch(self, done: threading.Event) -> None:
        while not done.wait(0.002):
            self.highest = max(self.highest, self._process.memory_info().rss)


@contextmanager
def counting(net: torch.nn.Module) -> Iterator[list[int]]:
    """Count the samples that go through a network."""
    found = [0]

    def count(_module: torch.nn.Module, inputs: tuple[Tensor, ...]) -> None:
        found[0] += inputs[0].shape[0]

    handle = net.register_forward_pre_hook(count)
    try:
        yield found
    finally:
        handle.remove()


def seconds_of(call: Callable[[], object], device: torch.device) -> float:
    """Return how long a call takes, the device's work included."""
    started = time.perf_counter()
    call()
    if device.type == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter() - started


def compare(work: Work, repeats: int, device: torch.device) -> tuple[Cost, Cost]:
    """Do both kinds of work turn by turn; once before for the evaluations, once after for the memory."""
    kinds: tuple[Callable[[], Tensor], ...] = (work.reference, work.protect)
    net, counted, seconds = work.loaded.model.model.diffusion_model, [], ([], [])
    for call in kinds:
        with counting(net) as found:
            call()
        counted.append(str(found[0]))
    work.spent.clear()
    for _ in range(repeats):
        for spent, call in zip(seconds, kinds, strict=True):
            spent.append(seconds_of(call, device))
    peaks = []
    for call in kinds:
        with Peak(device).watching() as peak:
            call()
        peaks.append(peak)
    names = f"KSampler of {2 * work.k + 1} steps, 1 encode, 2 decodes", "protecting with a trained ρ"
    costs = [
        Cost(names[i], seconds[i], counted[i], peaks[i].highest, peaks[i].highest - peaks[i].start) for i in (0, 1)
    ]
    return costs[0], costs[1]


def training_step(work: Work, repeats: int, device: torch.device) -> Cost:
    """Time steps of a training as Train ρ does it, without its evaluations and previews."""
    nodes, loaded = work.host.module("nodes.host"), work.loaded
    train, protect = work.host.module("ldu.train"), work.host.module("ldu.protect")
    config = train.TrainConfig(k_steps=work.k, depth=work.depth, evaluate_every=0)
    levels = (picture(loaded.side).movedim(-1, 1) * 255).round()
    with torch.inference_mode(False):
        net = fresh_rho(work.host)
    shape = nodes.latent_shape(loaded.model, loaded.side, loaded.side, config.draws)
    patcher = nodes.under_manager(net)
    with nodes.training_session(loaded.model, loaded.vae, shape, extra=[patcher]) as (session, coder):
        walker = session.bind(nodes.normal(loaded.conditioning))
        surrogate = train.Surrogate(walker, coder, session.schedule, loaded.side, walker)
        subject = protect.prepare(surrogate, levels.clone().to(session.device), None, config)
        training = train.ShiftTraining(surrogate, [subject], net, config)
        with counting(session.inner.diffusion_model) as found:
            training.step()
        seconds = [seconds_of(training.step, device) for _ in range(repeats)]
        with Peak(device).watching() as peak:
            training.step()
    evaluations = f"{found[0]}, {work.k + config.draws} of them with backward"
    return Cost("one training step", seconds, evaluations, peak.highest, peak.highest - peak.start)


def fresh_rho(host: Host) -> Any:  # noqa: ANN401  (a ShiftUNet as the host loaded it)
    """Return a rho of the default size that shifts, though to nowhere in particular."""
    module = host.module("ldu.shift_unet")
    torch.manual_seed(0)
    net = module.ShiftUNet(module.ShiftConfig(4))
    torch.nn.init.normal_(net.conv_out.weight, std=0.01)
    return net


def trained_rho(host: Host, loaded: Loaded, k: int, depth: float) -> Any:  # noqa: ANN401  (an LDU_RHO)
    """Return a rho as it comes out of Load ρ, made for these models."""
    nodes = host.module("nodes.host")
    with torch.inference_mode(False):
        net = fresh_rho(host).eval().requires_grad_(False)
    tag, sigmas = nodes.tag_model(loaded.model), nodes.read_schedule(loaded.model).grid(k, depth)
    card = host.module("ldu.checkpoint").RhoCard(
        model_family=tag.family,
        model_hash=tag.fingerprint,
        prediction=tag.prediction,
        k_steps=k,
        depth=depth,
        sigmas=sigmas,
    )
    return host.module("nodes.types").TrainedRho(nodes.under_manager(net), card)


def print_nodes(work: Work, repeats: int) -> None:
    """Print where the time went, node by node; on a GPU a node that does not wait for its result looks quicker."""
    print("\nNode by node, seconds for all its calls in one turn (mean; VAE nodes serve both kinds of work):\n")
    print_table(("node", "seconds"), ((name, f"{sum(s) / repeats:.4f}") for name, s in work.spent.items()))


def require_room(size: str, device: torch.device) -> None:
    """Leave with a sentence if the models would not fit."""
    on_gpu = device.type == "cuda"
    free = torch.cuda.mem_get_info()[0] if on_gpu else psutil.virtual_memory().available
    need = NEEDS[size][0 if on_gpu else 1]
    if free < need * GiB:
        place = "on the GPU" if on_gpu else "in memory (there is no GPU)"
        sys.exit(f"{size} needs about {need} GiB {place}, but {free / GiB:.1f} GiB are free: not measured.")


def main(arguments: Sequence[str] | None = None) -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", choices=NEEDS, default="demo")
    parser.add_argument("--k", type=int, default=4, help="steps of the walk (default 4)")
    parser.add_argument("--depth", type=float, default=0.5, help="share of the training timesteps (default 0.5)")
    parser.add_argument("--repeats", type=int, default=9, help="turns of each kind of work (default 9)")
    parser.add_argument("--cpu", action="store_true", help="leave a GPU alone")
    parser.add_argument("--no-training", action="store_true", help="leave the training step out")
    options = parser.parse_args(arguments)
    device = torch.device("cpu" if options.cpu or not torch.cuda.is_available() else "cuda")
    require_room(options.size, device)
    with running(cpu=device.type == "cpu") as host, torch.inference_mode():
        measure(host, options, device)


def measure(host: Host, options: argparse.Namespace, device: torch.device) -> None:
    """Measure one size in a running host and print the table."""
    gpu = torch.cuda.get_device_name() if device.type == "cuda" else None
    made_by = provenance(WEIGHTS if options.size == "demo" else None, device=gpu)
    loaded = load(host, options.size)
    rho = trained_rho(host, loaded, options.k, options.depth)
    work = Work(host, loaded, options.k, options.depth, rho)
    reference, ours = compare(work, options.repeats, device)
    costs = [reference, ours]
    if not options.no_training:
        costs.append(training_step(work, options.repeats, device))
    print(f"\n{options.size}: {loaded.side} x {loaded.side} pixels, k = {options.k}, depth = {options.depth:g}\n")
    print_table(HEAD, (cost.cells(reference) for cost in costs))
    print_nodes(work, options.repeats)
    print(f"\n{made_by}" + ("" if options.size == "demo" else "\n- random weights at full size"))


if __name__ == "__main__":
    main()
