"""Reads the command line and opens what it asks for."""

import argparse
import json
import math
import os
import signal
from pathlib import Path
from typing import Any, NoReturn

from launch import LaunchError
from launch.checks import run_checks
from launch.console import say, spell_out_what_cannot_be_written, tell
from launch.files import (
    Job,
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
from launch.protect import Order, protect
from launch.result import in_words
from launch.setup import prepare
from launch.stress import DATA, PAGE, PICTURE, StressOrder, require_pictures, stress
from launch.ui import serve
from ldu.naming import ENDINGS
from ldu.wording import UNPUBLISH

# What the pictures show: the word to start from, and another for the thief that judges the result.
SUBJECTS = {"person": "face", "object": "thing", "art": "painting", "animal": "pet"}
TOKEN = "S*"
IDENTITIES = ("none", "demo portraits", "insightface")  # as the gallery's node calls them
UNPROTECTED_BESIDE = "The unprotected original lies beside the protected file: take care to publish the right one."
INTERRUPTED, TERMINATED = 130, 143


def main(arguments: list[str]) -> int:
    """Do what the command line says and return the exit status."""
    spell_out_what_cannot_be_written()
    for name in ("SIGTERM", "SIGHUP"):
        number = getattr(signal, name, None)
        if number is not None and signal.getsignal(number) is not signal.SIG_IGN:  # ignored: under nohup
            signal.signal(number, _leave)
    options, rest = _parser().parse_known_args(arguments)
    if rest and options.command != "test":
        _parser().error(f"unknown option: {' '.join(rest)}")
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


def _leave(*_: object) -> NoReturn:
    say("Stopped.")
    raise SystemExit(TERMINATED)


def _protect(options: argparse.Namespace) -> int:
    if any(path.is_dir() for path in options.images):
        return _protect_folder(options)
    jobs = plan(options.images, options.out, force=options.force, ending=ENDINGS[options.format or "png"])
    _require_room(options, [job.target for job in jobs], options.images)
    reports = protect(_order(options, jobs), _host(options))
    warned = [f"{job.source} seems protected already, by its name." for job in jobs if seems_protected(job.source)]
    warned += _other_subject(options)
    beside = [UNPROTECTED_BESIDE] if any(job.source.parent == job.target.parent for job in jobs) else []
    tell("\n\n".join([*map(in_words, reports), "\n".join([*warned, *beside, UNPUBLISH])]))
    _keep_report(options, reports[0] if len(reports) == 1 else reports)
    return 0


def _protect_folder(options: argparse.Namespace) -> int:
    if len(options.images) > 1:
        raise LaunchError("Give one folder, or several pictures, but not both.")
    job = plan_folder(options.images[0], options.out)
    inputs = [job.source / name for name in pictures_of(job)]
    _require_room(options, [], inputs)
    report = protect_folder(job, _order(options, []), _host(options))
    count = sum(seems_protected(path) for path in inputs)
    warned = [f"{count} of the pictures seem protected already, by their names."] if count else []
    warned += _other_subject(options)
    tell("\n\n".join([report.in_words(), "\n".join([*warned, UNPUBLISH])]))
    _keep_report(options, report.as_dict())
    return 0


def _other_subject(options: argparse.Namespace) -> list[str]:
    """Say that a trained rho was trained for something else than the pictures show, by the words of its prompt."""
    trained_for = rho_prompt(options.rho) if options.rho and options.subject else ""
    if not trained_for or options.subject in trained_for.lower().split():
        return []
    told = f'{options.rho.name} was trained with the prompt "{trained_for}", but the pictures show: {options.subject}.'
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


def _order(options: argparse.Namespace, jobs: list[Job]) -> Order:
    return Order(jobs, _wishes(options), options.checkpoint, options.rho, options.cpu, options.force, options.keep_log)


def _keep_report(options: argparse.Namespace, content: object) -> None:
    if options.json:
        deliver(json.dumps(content, indent=2).encode() + b"\n", options.json, force=options.force)


def _stress(options: argparse.Namespace) -> int:
    out = options.out or options.images[0].with_name(f"{options.images[0].stem}_stress")
    order = StressOrder(
        options.images,
        options.protected,
        out,
        _stress_wishes(options),
        options.checkpoint,
        options.cpu,
        options.force,
        options.keep_log,
        options.json,
    )
    if options.checkpoint:
        require_safetensors(options.checkpoint)
    require_pictures(order)
    told = stress(order, _host(options))
    tell(f"{told}\n\nSaved in {out}: {PAGE}, {DATA} and {PICTURE}, which shows your originals too.")
    if options.json:
        deliver((out / DATA).read_bytes(), options.json, force=options.force)
    return 0


def _open_ui(options: argparse.Namespace) -> int:
    serve(_host(options), cpu=options.cpu, port=options.port)
    return 0


def _host(options: argparse.Namespace) -> Host:
    chosen = options.comfyui or os.environ.get("COMFYUI_DIR")
    if not chosen:
        return prepare()
    host = own_host(Path(chosen))
    require_version(host.comfyui)
    return host


def _wishes(options: argparse.Namespace) -> dict[str, Any]:
    """Return what was asked of the workflow; what was not keeps the workflow's own value."""
    asked = {
        name: getattr(options, name)
        for name in ("budget", "strength", "k", "depth", "train_steps", "refine_steps", "seed", "format", "quality")
    }
    wishes = {name: value for name, value in asked.items() if value is not None}
    if options.subject and not options.rho:
        wishes |= {"prompt": f"a photo of {TOKEN} {options.subject}", "initial_word": options.subject}
    if options.subject:
        wishes["judges_word"] = SUBJECTS[options.subject]
    if options.prompt:
        wishes["prompt"] = options.prompt
    return wishes


def _stress_wishes(options: argparse.Namespace) -> dict[str, Any]:
    """Return what was asked of the stress test; protecting is left to its own values where nothing is to be made."""
    names = ("thief_steps", "lora_steps", "pictures", "identity", "public_photos", "thief_seed")
    names += () if options.protected else ("budget", "train_steps", "refine_steps", "seed")
    wishes = {name: value for name in names if (value := getattr(options, name)) is not None}
    if options.protected and options.budget is not None:
        wishes["report_budget"] = options.budget
    if options.purifiers:
        wishes["purifiers"] = "\n".join(dict.fromkeys(["none", *options.purifiers]))
    if options.subject:
        wishes |= {"judges_word": SUBJECTS[options.subject], "lora_prompt": f"a photo of sks {options.subject}"}
    if options.subject and not options.protected:
        wishes |= {"prompt": f"a photo of {TOKEN} {options.subject}", "initial_word": options.subject}
    return wishes


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="run.py", description="Protect pictures against personalization.")
    commands = parser.add_subparsers(dest="command", required=True, metavar="{protect,stress,ui,test}")
    _add_protect(commands.add_parser("protect", help="protect one picture, several of one subject, or a folder"))
    _add_stress(commands.add_parser("stress", help="ask what thieves learn from pictures once they are protected"))
    ui = commands.add_parser("ui", help="open ComfyUI with the LDU nodes in place")
    ui.add_argument("--port", type=int, help="port of the address (default: a free one)")
    _add_host(ui)
    test = commands.add_parser("test", help="pass all checks; further options go to pytest", allow_abbrev=False)
    test.add_argument("--fast", action="store_true", help="the core's tests only")
    return parser


def _add_protect(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "images", nargs="+", type=Path, metavar="IMAGE", help="pictures of one subject, or one folder of them"
    )
    files = parser.add_argument_group("files")
    files.add_argument(
        "--out", type=Path, metavar="FILE|DIR", help="default: NAME_protected beside the picture or folder"
    )
    files.add_argument("--json", type=Path, metavar="FILE", help="save the report (several pictures: a list of them)")
    files.add_argument("--force", action="store_true", help="replace existing files, never an input")
    files.add_argument("--keep-log", type=Path, metavar="FILE", help="save ComfyUI's log; it names your files")
    files.add_argument("--format", choices=list(ENDINGS), help="of the saved files (png); the others break the budget")
    files.add_argument("--quality", type=_quality, help="of jpeg and webp, 1..100 (90)")
    method = parser.add_argument_group("method (defaults are the workflow's)")
    method.add_argument("--budget", type=_number(0, 255), metavar="LEVELS", help="largest change of a level (10)")
    method.add_argument("--strength", type=_number(-4, 4), help="of the shift (1)")
    method.add_argument("--k", type=whole_number, help="steps of the walk: 1, 2, 4 or 8 are usual")
    method.add_argument("--depth", type=_number(0, 1), help="how deep into the noise, 0..1")
    method.add_argument("--train-steps", type=whole_number, metavar="STEPS", help="of ρ, which makes the shift")
    refining = "on the pixels; 0 = the shift alone, as with --rho"
    method.add_argument("--refine-steps", type=whole_number, metavar="STEPS", help=refining)
    method.add_argument("--subject", choices=list(SUBJECTS), help="what the pictures show (person)")
    method.add_argument("--prompt", type=_prompt, help=f'contains {TOKEN} (default "a photo of {TOKEN} SUBJECT")')
    method.add_argument("--seed", type=whole_number)
    models = parser.add_argument_group("models")
    models.add_argument("--checkpoint", type=Path, metavar="FILE.safetensors", help="your SD checkpoint")
    models.add_argument("--rho", type=Path, metavar="FILE.safetensors", help="a trained rho: the shift, no training")
    _add_host(parser)


def _add_stress(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("images", nargs="+", type=Path, metavar="IMAGE", help="originals, all of one person or thing")
    files = parser.add_argument_group("files")
    files.add_argument(
        "--protected", nargs="+", type=Path, default=[], metavar="FILE", help="their protected versions, in that order"
    )
    files.add_argument("--out", type=Path, metavar="DIR", help="default: NAME_stress beside the first picture")
    files.add_argument("--json", type=Path, metavar="FILE", help="save the report as JSON here too")
    files.add_argument("--force", action="store_true", help="replace existing files, never an input")
    files.add_argument("--keep-log", type=Path, metavar="FILE", help="save ComfyUI's log; it names your files")
    thieves = parser.add_argument_group("thieves (defaults are the workflow's)")
    thieves.add_argument("--purifiers", nargs="+", metavar="LINE", help='what they try first: "jpeg 75" "resize 0.5"')
    thieves.add_argument("--thief-steps", type=whole_number, metavar="STEPS", help="of Textual Inversion")
    thieves.add_argument("--lora-steps", type=_at_least_one, metavar="STEPS", help="of DreamBooth-LoRA")
    thieves.add_argument("--thief-seed", type=whole_number, metavar="SEED")
    thieves.add_argument("--pictures", type=_at_least_one, metavar="COUNT", help="that each draws (8)")
    thieves.add_argument("--identity", choices=IDENTITIES, help="who compares faces (your own checkpoint: none)")
    thieves.add_argument("--subject", choices=list(SUBJECTS), help="what the pictures show (person)")
    thieves.add_argument("--public-photos", type=whole_number, metavar="COUNT", help="of the subject, in all")
    method = parser.add_argument_group("protection of the originals (defaults are the workflow's)")
    method.add_argument("--budget", type=_number(0, 255), metavar="LEVELS", help="largest change of a level (10)")
    method.add_argument("--train-steps", type=whole_number, metavar="STEPS", help="of ρ, which makes the shift")
    method.add_argument("--refine-steps", type=whole_number, metavar="STEPS", help="on the pixels; 0 = the shift alone")
    method.add_argument("--seed", type=whole_number)
    models = parser.add_argument_group("models")
    models.add_argument("--checkpoint", type=Path, metavar="FILE.safetensors", help="your SD checkpoint")
    _add_host(parser)


def _add_host(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--comfyui", type=Path, metavar="DIR", help="your own ComfyUI (default: COMFYUI_DIR)")
    parser.add_argument("--cpu", action="store_true", help="leave the GPU alone")


def _number(least: float, most: float) -> Any:  # noqa: ANN401  (argparse wants a callable that it can name)
    def number(text: str) -> float:
        value = float(text)
        if not math.isfinite(value) or not least <= value <= most:
            raise argparse.ArgumentTypeError(f"{text} is not within {least}..{most}")
        return value

    return number


def whole_number(text: str) -> int:
    """Read a whole number from 0 on; argparse names this function in its own message."""
    value = int(text)
    if value < 0:
        raise argparse.ArgumentTypeError(f"{text} is negative")
    return value


def _at_least_one(text: str) -> int:
    value = whole_number(text)
    if not value:
        raise argparse.ArgumentTypeError("0 is not enough")
    return value


def _quality(text: str) -> int:
    value = whole_number(text)
    if not 1 <= value <= 100:
        raise argparse.ArgumentTypeError(f"{text} is not within 1..100")
    return value


def _prompt(text: str) -> str:
    if TOKEN not in text:
        raise argparse.ArgumentTypeError(f"the prompt must contain {TOKEN}, which stands for the subject")
    return text
