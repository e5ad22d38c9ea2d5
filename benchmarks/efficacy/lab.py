"""Run cells and keep their results as files, one folder for each combination of checkpoint, thieves and settings.

The folder's name is a digest of everything that a result depends on besides its cell, and what a method made carries a
digest of the methods' code: results of another world or of former code are never mixed in. Protected pictures are kept
too: many cells share them.
"""

import hashlib
import json
import time
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import cache, cached_property
from itertools import groupby
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
from torch import Tensor

from benchmarks.baselines import Method
from benchmarks.baselines.cost import Cost
from benchmarks.efficacy import code, quality
from benchmarks.efficacy.cells import CLEAN, Cell
from benchmarks.efficacy.general import TaughtByOthers
from benchmarks.efficacy.kept import kept
from benchmarks.efficacy.measures import Judge
from benchmarks.efficacy.methods import METHODS, TUNED, Protected, protect
from benchmarks.efficacy.photographs import DEFAULT_PRESET, PRESETS, PhotoJudge
from benchmarks.efficacy.subjects import Person, drawn_people, people_of_folder
from benchmarks.efficacy.visible import SCALES, as_visible_as
from benchmarks.table import digest, origin
from benchmarks.thieves import Thief, prior_pictures, steal, thieves_for
from benchmarks.world import World, load_world, usual_device
from demo import pixel_unet
from demo.pipeline import SECOND, is_demo
from demo.precision import bfloat16_is_fast
from ldu.attacks.purify.contract import DiffusionModel, Purify, Tools
from ldu.attacks.purify.grid import GridPure
from ldu.attacks.purify.recipe import build, parse
from ldu.budget import to_levels, to_pixels
from ldu.metrics import measure_visibility
from ldu.picture import load_picture, save_png
from ldu.saved_file import as_uint8
from ldu.whole_file import written_whole

GENERATIONS = 16
PIXELS = frozenset({"pixel", "upscale"})
"""What purifiers need that has a model of pixels, which only the demo world has."""
KEPT = 3  # generations a cell keeps as pictures
PRIOR = 24


@dataclass(frozen=True)
class Setup:
    """What all cells of a run share.

    Args:
        checkpoint: of the world.
        folder: where results go.
        data: people in Anti-DreamBooth's layout; None = people drawn by code.
        use: "table" or "tuning", for drawn people.
        seed: of thieves, methods and purifiers.
        bf16: compute in bfloat16 where autocast allows it.
        device: where the models run; results of another kind of device are not mixed in.
        other: the checkpoint of thieves who work on another one than protections know; the demo world brings its own.
        preset: what the pictures of `data` show, a name of PRESETS.
        quality: names of `quality.NAMES`, taken of what thieves draw.
        kept: whether results that are kept with the code count, or all is measured anew.
    """

    checkpoint: Path
    folder: Path
    data: Path | None = None
    use: str = "table"
    seed: int = 0
    bf16: bool = True
    device: torch.device = field(default_factory=usual_device)
    other: Path | None = None
    preset: str = DEFAULT_PRESET
    quality: tuple[str, ...] = ()
    kept: bool = True

    @cached_property
    def thieves(self) -> dict[str, Thief]:
        """The thieves of the checkpoint by name."""
        return thieves_for(demo=is_demo(self.checkpoint), subject=PRESETS[self.preset].subject)

    @property
    def elsewhere(self) -> Path | None:
        """The checkpoint of thieves who work on another one, if there is one."""
        return self.other or (SECOND if is_demo(self.checkpoint) else None)

    @property
    def emulates_bfloat16(self) -> bool:
        """Whether `benchmarks.bfloat16` computes it, for the processor would take a hundred times as long."""
        return self.bf16 and not bfloat16_is_fast(self.device)

    @property
    def results(self) -> Path:
        """Return the folder of this setup's results."""
        own = (self.thieves, self.data, self.use, self.seed, self.bf16, self.device.type)
        decides = code.BENCH + (code.QUALITY if self.quality else ())
        settings = repr((*own, PRESETS[self.preset], self.quality, GENERATIONS, code.digest_of(decides)))
        name = hashlib.sha256((digest(self.checkpoint) + settings).encode()).hexdigest()[:12]
        return self.folder / name


class Lab:
    """The bench: a world, its people, a judge."""

    def __init__(self, setup: Setup) -> None:
        """Prepare; nothing is loaded yet."""
        self.setup = setup
        self._priors: dict[tuple[str, bool], Tensor] = {}
        (setup.results / "protected").mkdir(parents=True, exist_ok=True)

    @cached_property
    def world(self) -> World:
        """The checkpoint."""
        return self._load(self.setup.checkpoint)

    @cached_property
    def elsewhere(self) -> World:
        """The checkpoint that protections do not know."""
        if self.setup.elsewhere is None:
            raise ValueError("A thief with another model needs its checkpoint: --other FILE.")
        return replace(self._load(self.setup.elsewhere), resolution=self.world.resolution)  # pictures have one size

    def _load(self, checkpoint: Path) -> World:
        return load_world(checkpoint, self.setup.device, subject=PRESETS[self.setup.preset].subject)

    @cached_property
    def judge(self) -> Judge | PhotoJudge:
        """Who measures the effect: the demo world's identity network knows its drawn people, and nobody else."""
        return Judge() if self.setup.data is None else PhotoJudge(PRESETS[self.setup.preset].faces)

    @cached_property
    def _people(self) -> dict[int, Person]:
        if self.setup.data is None:
            return {}
        return dict(enumerate(people_of_folder(self.setup.data, self.world.resolution)))

    def about(self) -> list[str]:
        """Return lines of a list on what makes results of this setup what they are, beside the checkpoint's own."""
        thieves = hashlib.sha256(repr(self.setup.thieves).encode()).hexdigest()[:16]
        lines = [f"- thieves, SHA-256 of their settings {thieves}"]
        if other := self.setup.elsewhere:
            lines.append(f"- the checkpoint of thieves with another model {other.name}, SHA-256 {digest(other)[:16]}")
        lines.append(f"- computed in {'bfloat16 where autocast allows it' if self.setup.bf16 else 'float32'}")
        named = "the digest of checkpoint, thieves, judge, purifiers and settings"
        return [*lines, f"- bench {self.setup.results.name}: {named}"]

    def _prior(self, thief: Thief) -> Tensor:
        key = (thief.class_prompt, thief.elsewhere)
        if key not in self._priors:
            generator = torch.Generator().manual_seed(self.setup.seed)
            self._priors[key] = prior_pictures(self._world_of(thief), thief, PRIOR, generator=generator)
        return self._priors[key]

    def _world_of(self, thief: Thief) -> World:
        return self.elsewhere if thief.elsewhere else self.world

    @cached_property
    def _tools(self) -> Tools:
        models = self.world.walk_models()
        given = Tools(models.autoencoder, DiffusionModel(models.walker, models.schedule, models.autoencoder))
        if not is_demo(self.setup.checkpoint):
            return given
        return pixel_unet.with_pixels(given, pixel_unet.load().to(self.setup.device))

    def _purifier(self, line: str) -> Purify:
        purify = build(parse(line)[0], self._tools)
        # squares of the side that the model of pixels learnt from; the published one's are larger than these pictures
        return replace(purify, side=pixel_unet.SQUARE) if isinstance(purify, GridPure) else purify

    def person(self, number: int) -> Person:
        """Return a person by number."""
        if self.setup.data is None and number not in self._people:
            (self._people[number],) = drawn_people(1, use=self.setup.use, first=number)
        return self._people[number]

    def protected(self, method: str, budget_levels: float, number: int) -> Protected | None:
        """Return a person's set B protected, from its file if there is one; None for clean."""
        if method == CLEAN:
            return None
        name = f"{method}_{budget_levels:g}_{number}_{code.of_method(method)}.json"  # 2.5 levels are no ending
        path = self.setup.results / "protected" / name
        if not path.exists():
            x, seed = self.person(number).stolen, self.setup.seed
            made = protect(self.world, self._method(method, budget_levels), x, budget_levels=budget_levels, seed=seed)
            np.savez_compressed(path.with_suffix(".npz"), to_bytes(made.x))
            write_json(path, asdict(made.cost))
        levels = np.load(path.with_suffix(".npz"))["arr_0"]
        cost: Any = json.loads(path.read_text())
        return Protected(to_pixels(torch.from_numpy(levels).float()), Cost(**cost))

    def _method(self, name: str, budget_levels: float) -> Method:
        """Return a method, ready: a rho for everybody is trained once, and no picture pays for it."""
        method = method_of(name)
        if not isinstance(method.protect, TaughtByOthers):
            return method
        file = self.setup.results / "protected" / f"{name}_{budget_levels:g}_{code.of_method(name)}.safetensors"
        return replace(method, protect=method.protect.trained(self.world, budget_levels, file))

    def published(self, cell: Cell) -> Tensor:
        """Return set B as it is read from the files that would be published, (n, 3, h, w)."""
        clean, made = self.person(cell.person).stolen, self.protected(cell.method, cell.budget_levels, cell.person)
        if made is None:
            return clean
        name, wanted = cell.visibility
        scaled = made.x if name == "budget" else as_visible_as(clean, made.x, wanted, cell.budget_levels, SCALES[name])
        return read_back(scaled)

    def loot(self, cell: Cell, published: Tensor) -> Tensor:
        """Return what the thief trains on: published pictures purified, clean ones of set C among them."""
        purify = self._purifier(cell.purifier)
        with torch.no_grad():
            generator = torch.Generator().manual_seed(self.setup.seed)
            purified = purify(published.to(self.setup.device), generator=generator).cpu()
        kept = round(cell.share * len(purified))
        return torch.cat([purified[:kept], self.person(cell.person).clean[: len(purified) - kept]])

    def missing(self, cells: Iterable[Cell]) -> list[Cell]:
        """Return the cells without a result."""
        return [cell for cell in cells if self.found(cell) is None]

    def found(self, cell: Cell) -> dict[str, Any] | None:
        """Return a cell's result: this machine's own, else the one that is kept with the code."""
        path = self.path(cell)
        return json.loads(path.read_text("utf-8")) if path.exists() else self._kept.get(path.stem)

    def kept_cells(self) -> tuple[list[Cell], int]:
        """Return the cells whose results are kept with the code, and how many more are of code that has changed."""
        cells = {name: Cell(**found["cell"]) for name, found in self._kept.items()}
        current = [cell for name, cell in cells.items() if self.path(cell).stem == name]
        return current, len(cells) - len(current)

    def kept_cost(self, method: str) -> dict[str, float] | None:
        """Return what a method cost for a person's pictures where its results are kept with the code."""
        return self._kept_costs.get(method)

    @cached_property
    def _kept_costs(self) -> dict[str, dict[str, float]]:
        results = kept(replace(self.setup, bf16=True).results.name)  # evaluations are as many in each precision
        return {found["cell"]["method"]: found["cost"] for found in results.values() if found["cost"]}

    @cached_property
    def _kept(self) -> dict[str, dict[str, Any]]:
        return kept(self.setup.results.name) if self.setup.kept else {}

    def pictures(self, cell: Cell) -> Path | None:
        """Return the file of a cell's pictures, if it was run on this machine."""
        path = self.path(cell).with_suffix(".npz")
        return path if path.exists() else None

    def path(self, cell: Cell) -> Path:
        """Return the file of a cell's result."""
        of_methods = "" if cell.method == CLEAN else f"_{code.of_method(cell.method)}"
        of_pixels = f"_{_pixel_digest()}" if parse(cell.purifier)[0].needs & PIXELS else ""
        other = self.setup.elsewhere if self.setup.thieves[cell.thief].elsewhere else None
        of_model = f"_{digest(other)[:8]}" if other else ""
        return self.setup.results / f"{cell.name}{of_methods}{of_pixels}{of_model}.json"

    def run(self, cells: Sequence[Cell]) -> None:
        """Run cells of one thief and write their results; a token thief learns all of them as one batch."""
        thief = self.setup.thieves[cells[0].thief]
        published = [self.published(cell) for cell in cells]
        sets = torch.stack([self.loot(cell, x) for cell, x in zip(cells, published, strict=True)])
        started = time.monotonic()
        prior = self._prior(thief) if thief.kind == "DreamBooth" else sets[:0, 0]
        world, prompts = self._world_of(thief), [thief.prompt]
        drawn = steal(world, sets, prior, thief, prompts=prompts, count=GENERATIONS, seed=self.setup.seed)
        seconds = (time.monotonic() - started) / len(cells)
        for cell, x, generations in zip(cells, published, drawn, strict=True):
            self._write(cell, x, generations, seconds)

    def _write(self, cell: Cell, published: Tensor, generations: Tensor, seconds: float) -> None:
        person, path = self.person(cell.person), self.path(cell)
        seen = measure_visibility(to_levels(person.stolen).round(), to_levels(published).round())
        effect = self.judge.effect(generations, person.seen)
        effect.more.update(quality.measure(self.setup.quality, generations))
        np.savez_compressed(path.with_suffix(".npz"), published=to_bytes(published), drawn=to_bytes(generations[:KEPT]))
        found = {"cell": asdict(cell), "visibility": asdict(seen), "effect": asdict(effect), "seconds": seconds}
        made = origin()
        if self.setup.emulates_bfloat16:
            made["machine"] += " with emulated bfloat16"
        write_json(path, found | self._costs(cell) | {"made": made})

    def _costs(self, cell: Cell) -> dict[str, Any]:
        """Return what a cell's protection cost, and beside it what a rho for everybody cost once."""
        made = self.protected(cell.method, cell.budget_levels, cell.person)
        if made is None:
            return {"cost": None}
        how = self._method(cell.method, cell.budget_levels).protect
        once = {"once": asdict(how.once)} if isinstance(how, TaughtByOthers) else {}
        return {"cost": asdict(made.cost)} | once


def method_of(name: str) -> Method:
    """Return a method of the comparison, or one of the field's with more steps than its paper's."""
    return TUNED[name] if name in TUNED else METHODS[name]


@cache
def _pixel_digest() -> str:
    return digest(pixel_unet.PIXEL_UNET)[:8] + code.digest_of(("demo/pixel_unet.py",))


def jobs(cells: Sequence[Cell], at_once: int) -> list[list[Cell]]:
    """Group cells into pieces of work: tokens of up to `at_once` cells together, fine-tunings one by one."""
    found: list[list[Cell]] = []
    for thief, group in groupby(sorted(cells), key=lambda cell: cell.thief):
        together, size = list(group), at_once if thief.startswith("TI") else 1
        found += [together[i : i + size] for i in range(0, len(together), size)]
    return found


def protections(cells: Iterable[Cell]) -> list[tuple[str, float, int]]:
    """Return (method, budget, person) of every protection that the cells need."""
    return sorted({(c.method, c.budget_levels, c.person) for c in cells if c.method != CLEAN})


def read_back(x: Tensor) -> Tensor:
    """Return 8-bit pictures x (n, 3, h, w) in [-1, 1] as they are read from PNG files that hold them."""
    with TemporaryDirectory() as folder:
        files = [Path(folder) / f"{number}.png" for number in range(len(x))]
        for file, levels in zip(files, to_levels(x).round().split(1), strict=True):
            save_png(file, as_uint8(levels))
        return to_pixels(torch.cat([load_picture(file).as_batch() for file in files]))


def to_bytes(x: Tensor) -> np.ndarray:
    """Return 8-bit pictures (n, 3, h, w) of x in [-1, 1]."""
    return to_levels(x).round().clamp(0, 255).byte().numpy()


def write_json(path: Path, content: dict[str, Any]) -> None:
    """Write a file in one move: a half written one would count as done."""
    with written_whole(path, force=True) as part:
        part.write_text(json.dumps(content, indent=1), "utf-8")
