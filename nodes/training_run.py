"""Run a training of ρ with progress, previews and a state on disk, from which an interrupted one goes on."""

import time
from contextlib import suppress
from pathlib import Path

import folder_paths

from ..ldu.errors import LduError, NonFiniteError
from ..ldu.train import ShiftTraining
from .estimate import Teller, say_rest
from .host import Interrupted, preview, progress_bar
from .output_names import rho_folder

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
