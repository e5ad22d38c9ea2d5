"""Run a training of ρ with progress, previews and a state on disk to go on from, and sum up what it made."""

import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path

import folder_paths
from torch.optim import Optimizer

from ..ldu.attacks.purify.recipe import Recipe
from ..ldu.checkpoint import RhoCard
from ..ldu.errors import BadFileError, MismatchError, NonFiniteError
from ..ldu.published import PublishedTraining
from ..ldu.train import ShiftTraining
from ..ldu.whole_file import remove_leftovers
from .estimate import Teller, say_rest
from .host import Interrupted, preview, progress_bar
from .output_names import rho_folder
from .purifier_models import name_all
from .types import ModelTag

_SAVE_EVERY = 10
_UNFINISHED = 8  # trainings that are kept to go on with; a state whose settings have changed is never asked for again


def run(training: ShiftTraining, teller: Teller) -> None:
    """Train with progress and preview; what is on disk is at most ten steps old, also after a crash."""
    path = state_path(training)
    if path.is_file():
        _go_on(training, path)
    bar = progress_bar(training.config.train_steps)
    shown = preview(training.protected(training.subjects[0]))
    first, started = training.state.step, time.perf_counter()
    try:
        for done in training.run():
            if done.evaluation is not None:
                shown = preview(training.protected(training.subjects[0]))
            bar.update_absolute(done.step, training.config.train_steps, shown)
            if done.step % _SAVE_EVERY == 0:
                kept = keep(training, path)
                pace = (time.perf_counter() - started) / (done.step - first)
                if rest := training.config.train_steps - done.step:
                    teller.say("\n".join(filter(None, [say_rest(pace, rest), kept])))
    except NonFiniteError:
        forget(training)  # nor would it get better from there
        raise
    except Interrupted:
        keep(training, path)
        raise
    finally:
        training.optimizer.zero_grad(set_to_none=True)  # as large as rho, which the host keeps


def _go_on(training: ShiftTraining, path: Path) -> None:
    """Take up an unfinished training."""
    try:
        with suppress(BadFileError, MismatchError):  # a damaged state is worth nothing: start anew
            training.resume(path)
    except NonFiniteError:  # of learning the personalizer again
        forget(training)
        raise
    let_go_of_the_file(training.optimizer)


def let_go_of_the_file(optimizer: Optimizer) -> None:
    """Copy the moments that were read of a state: as long as tensors lie in a file, Windows lets nobody replace it."""
    for moments in optimizer.state.values():
        moments.update({name: moment.clone() for name, moment in moments.items()})


def keep(training: ShiftTraining, path: Path) -> str:
    """Keep the state on disk; if that fails the training goes on, and why it matters is returned."""
    try:
        training.save(path)
    except BadFileError as error:
        return f"Cancelling would lose this training: {error}"
    remove_leftovers(path.parent)
    with suppress(OSError):  # as in `forget`
        others = [file for file in path.parent.glob("*.safetensors") if file != path]
        for older in sorted(others, key=lambda file: file.stat().st_mtime, reverse=True)[_UNFINISHED - 1 :]:
            older.unlink()
    return ""


def forget(training: ShiftTraining) -> None:
    """Remove the state; a virus scanner that has it open keeps it there on Windows, which is no reason to fail."""
    with suppress(OSError):
        state_path(training).unlink()


def finished_path(training: ShiftTraining) -> Path:
    """Return where a finished rho is kept: one file for each set of inputs and number of steps."""
    return rho_folder() / f"rho_{training.fingerprint[:12]}_{training.state.step}.safetensors"


def state_path(training: ShiftTraining) -> Path:
    """Return where an unfinished training is kept, out of sight of Load ρ."""
    return Path(folder_paths.get_user_directory()) / "ldu" / "unfinished" / f"{training.fingerprint[:16]}.safetensors"


def card_of(training: ShiftTraining, tag: ModelTag, prompt: str, purifiers: Sequence[Recipe] | None) -> RhoCard:
    """Return what a finished rho was trained for, with all settings and the course of its training."""
    config = training.config
    against = {"purifiers": name_all(purifiers), "as_published": isinstance(training, PublishedTraining)}
    measured = {"losses": training.state.losses, "evaluations": training.state.evaluations}
    settings = {name: value for name, value in asdict(config).items() if name not in RhoCard.__dataclass_fields__}
    settings["train_steps"] = training.state.step  # which patience or an earlier, longer run can make another number
    return RhoCard(
        model_family=tag.family,
        model_hash=tag.fingerprint,
        prediction=tag.prediction,
        k_steps=config.k_steps,
        depth=config.depth,
        sigmas=training.subjects[0].record.sigmas,
        rounds=config.rounds,
        budget_levels=config.budget_levels,
        prompt=prompt,
        training=settings | against | measured,
    )


def summary_of(training: ShiftTraining) -> str:
    """Return the text that the node shows."""
    lines = [f"{training.state.step} steps, price of visibility {training.state.price:.3f}"]
    if training.last is not None:
        lines.append(
            f"change before clipping {training.last.visibility:.0%} of the budget (root mean square), "
            f"{training.last.clipped_share:.1%} clipped, {training.last.bound_share:.1%} of the shift's bound used"
        )
    return "\n".join(lines)
