"""Run a training of ρ with progress, previews and a state on disk to go on from, and sum up what it made."""

import time
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path

import folder_paths

from ..ldu.checkpoint import RhoCard
from ..ldu.errors import LduError, NonFiniteError
from ..ldu.train import ShiftTraining
from .estimate import Teller, say_rest
from .host import Interrupted, preview, progress_bar
from .output_names import rho_folder
from .types import ModelTag

_SAVE_EVERY = 10


def run(training: ShiftTraining, teller: Teller) -> None:
    """Train with progress and preview; what is on disk is at most ten steps old, also after a crash."""
    path = state_path(training)
    if path.is_file():
        with suppress(LduError):  # a damaged state is worth nothing: start anew
            training.resume(path)
    bar = progress_bar(training.config.train_steps)
    shown = preview(training.protected(training.subjects[0]))
    first, started = training.state.step, time.perf_counter()
    try:
        for done in training.run():
            if done.evaluation is not None:
                shown = preview(training.protected(training.subjects[0]))
            bar.update_absolute(done.step, training.config.train_steps, shown)
            if done.step % _SAVE_EVERY == 0:
                training.save(path)
                pace = (time.perf_counter() - started) / (done.step - first)
                if rest := training.config.train_steps - done.step:
                    teller.say(say_rest(pace, rest))
    except NonFiniteError:
        path.unlink(missing_ok=True)  # nor would it get better from there
        raise
    except Interrupted:
        training.save(path)
        raise


def finished_path(training: ShiftTraining) -> Path:
    """Return where a finished rho is kept: one file for each set of inputs and number of steps."""
    return rho_folder() / f"rho_{training.fingerprint[:12]}_{training.state.step}.safetensors"


def state_path(training: ShiftTraining) -> Path:
    """Return where an unfinished training is kept, out of sight of Load ρ."""
    return Path(folder_paths.get_user_directory()) / "ldu" / "unfinished" / f"{training.fingerprint[:16]}.safetensors"


def card_of(training: ShiftTraining, tag: ModelTag, prompt: str) -> RhoCard:
    """Return what a finished rho was trained for, with all settings and the course of its training."""
    config = training.config
    measured = {"losses": training.state.losses, "evaluations": training.state.evaluations}
    settings = {name: value for name, value in asdict(config).items() if name not in RhoCard.__dataclass_fields__}
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
        training=settings | measured,
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
