"""Reads the command line and opens what it asks for."""

import argparse
import json
import os
import signal
from contextlib import suppress
from itertools import starmap
from pathlib import Path
from typing import Any, NoReturn

from launch import LaunchError
from launch.checks import run_checks
from launch.console import say, spell_out_what_cannot_be_written, tell
from launch.files import (
    deliver,
    pictures_of,
    plan,
    plan_folder,
    require_distinct,
    require_free,
    require_safetensors,
    rho_prompt,
    seems_protected,
)
from launch.folder import protect_folder
from launch.host import Host, own_host, require_version
from launch.options import protect_wishes, read_options, stress_wishes
from launch.protect import ProtectOrder, protect
from launch.result import in_words
from launch.setup import prepare
from launch.stress import DATA, PAGE, PICTURE, StressOrder, default_out, originals_in, require_pictures, stress
from launch.ui import serve
from ldu.naming import ENDINGS, say_links
from ldu.wording import MEASURED, UNPUBLISH, say_beside

INTERRUPTED, TERMINATED = 130, 143
ADVICE = (
    MEASURED,
    "To see what thieves learn from your pictures: python run.py stress, with the originals.",
    UNPUBLISH,
)


def main(arguments: list[str]) -> int:
    """Do what the command line says and return the exit status."""
    spell_out_what_cannot_be_written()
    _leave_when_told_to()
    options, rest = read_options(arguments)
    try:
        if options.command == "test":
            return run_checks(fast=options.fast, pytest_options=rest)
        return {"ui": _open_ui, "protect": _protect, "stress": _stress}[options.command](options)
    except (LaunchError, OSError) as error:
        say(str(error))
        return 1
    except KeyboardInterrupt:
        say("Stopped.")
        return INTERRUPTED


def _leave_when_told_to() -> None:
    for name in ("SIGTERM", "SIGHUP"):
        number = getattr(signal, name, None)
        if number is not None and signal.getsignal(number) is not signal.SIG_IGN:  # ignored: under nohup
            signal.signal(number, _leave)


def _leave(*_: object) -> NoReturn:
    with suppress(OSError):  # of a terminal that was closed
        say("Stopped.")
    raise SystemExit(TERMINATED)


def _protect(options: argparse.Namespace) -> int:
    if any(path.is_dir() for path in options.images):
        return _protect_folder(options)
    jobs = plan(options.images, options.out, force=options.force, ending=ENDINGS[options.format or "png"])
    _require_room(options, [job.target for job in jobs], options.images)
    told = protect(jobs, _order(options), _host(options))
    reports = [report for report, _ in told]
    warned = [
        f"{job.source} seems protected already, by its name or its folder's."
        for job in jobs
        if seems_protected(job.source)
    ]
    warned += _about_rho(options)
    if any(job.source.parent.resolve() == job.target.parent.resolve() for job in jobs):
        warned.append(say_beside("original", "the protected file"))
    tell("\n\n".join([*starmap(in_words, told), "\n".join([*warned, *ADVICE])]))
    _keep_report(options, reports[0] if len(reports) == 1 else reports)
    return 0


def _protect_folder(options: argparse.Namespace) -> int:
    if len(options.images) > 1:
        raise LaunchError("Give one folder, or several pictures, but not both.")
    if options.decoy:
        raise LaunchError("--decoy takes pictures of one person, but a folder came: give its pictures.")
    job = plan_folder(options.images[0], options.out, force=options.force)
    inputs = [job.source / name for name in pictures_of(job)]
    _require_room(options, [], inputs)
    report = protect_folder(job, _order(options), _host(options))
    count = sum(seems_protected(path) for path in inputs)
    warned = [f"{count} of the pictures seem protected already, by their names or their folder's."] if count else []
    warned += [*say_links(job.source), *_about_rho(options)]
    tell("\n\n".join([report.in_words(), "\n".join([*warned, *ADVICE])]))
    _keep_report(options, report.as_dict())
    return 0


def _about_rho(options: argparse.Namespace) -> list[str]:
    """Say what a trained rho was trained for, and that the pictures show something else, by the words of its prompt."""
    trained_for = rho_prompt(options.rho) if options.rho else ""
    if not trained_for:
        return []
    told = f'{options.rho.name} was trained with the prompt "{trained_for}"'
    if not options.subject or options.subject in trained_for.lower().split():
        return [f"{told}."]
    told = f"{told}, but the pictures show: {options.subject}."
    return [f"{told} It may protect them less: train a rho of their own, by leaving out --rho."]


def _require_room(options: argparse.Namespace, targets: list[Path], inputs: list[Path]) -> None:
    """Refuse to replace what may not be replaced, and models that are none, before anything is done."""
    extras = [path for path in (options.json, options.keep_log) if path]
    models = [path for path in (options.checkpoint, options.rho) if path]
    require_distinct([*targets, *extras])
    for weights in models:
        require_safetensors(weights)
    for extra in extras:
        require_free(extra, [*inputs, *models], force=options.force)


def _order(options: argparse.Namespace) -> ProtectOrder:
    return ProtectOrder(rho=options.rho, decoy=options.decoy, wishes=protect_wishes(options), **_of_any_order(options))


def _of_any_order(options: argparse.Namespace) -> dict[str, Any]:
    return {name: getattr(options, name) for name in ("checkpoint", "cpu", "force", "keep_log")}


def _keep_report(options: argparse.Namespace, content: object) -> None:
    if options.json:
        deliver(json.dumps(content, indent=2).encode() + b"\n", options.json, force=options.force)


def _stress(options: argparse.Namespace) -> int:
    originals = originals_in(options.images)
    out = options.out or default_out(options.images[0])
    wishes, shared = stress_wishes(options), _of_any_order(options)
    order = StressOrder(originals, options.protected, out, json=options.json, wishes=wishes, **shared)
    if options.checkpoint:
        require_safetensors(options.checkpoint)
    require_pictures(order)
    stress(order, _host(options))
    tell(f"\nSaved in {out}: {PAGE} and {DATA} with all settings, and {PICTURE}, which shows your originals too.")
    return 0


def _open_ui(options: argparse.Namespace) -> int:
    if options.checkpoint:
        require_safetensors(options.checkpoint)
    serve(_host(options), cpu=options.cpu, port=options.port, checkpoint=options.checkpoint)
    return 0


def _host(options: argparse.Namespace) -> Host:
    chosen = options.comfyui or os.environ.get("COMFYUI_DIR")
    if not chosen:
        return prepare()
    host = own_host(Path(chosen))
    require_version(host.comfyui)
    return host
