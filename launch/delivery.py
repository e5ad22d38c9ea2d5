"""Hands what a run saves over to the user while it goes on: an error or Ctrl-C later takes nothing back."""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from launch import LaunchError
from launch.console import say
from launch.files import deliver
from launch.graph import Graph
from launch.progress import run_with_progress
from launch.server import Server
from ldu.naming import is_picture


@dataclass
class Delivery:
    """Hands files of the private output folder over, each as soon as it is saved.

    Attributes:
        place: The private folder; its pictures appear whole, for unfinished files do not end like one.
        target_of: Tells where a file goes by its path inside that folder; None if it stays.
        force: Whether existing files may be replaced.
        links: Whether a link takes the place of what was handed over, which a large folder would otherwise hold twice.
        known: What lies there already, or was handed over.
    """

    place: Path
    target_of: Callable[[Path], Path | None]
    force: bool
    links: bool = False
    known: set[Path] = field(default_factory=set)

    def run(self, server: Server, graph: Graph) -> dict[str, Any]:
        """Run a graph, showing how far it is, and return its entry in the history; hand over what is saved on the way.

        Raises:
            LaunchError: The run failed, or a file could not be handed over.
        """
        before = len(self.known)
        try:
            entry = run_with_progress(server, graph, self.hand_over)
            self.hand_over()
        except BaseException:
            with suppress(LaunchError):  # that of the run itself counts
                self.hand_over()
            if count := len(self.known) - before:
                say(f"Already saved: {count} {'picture' if count == 1 else 'pictures'}.")
            raise
        return entry

    def hand_over(self) -> None:
        """Copy each new file to its target, complete or not at all.

        Raises:
            LaunchError: One of them could not be, and the others were.
        """
        failed: list[LaunchError] = []
        for file in sorted(self.place.rglob("*")):
            name = file.relative_to(self.place)
            if not file.is_file() or not is_picture(file.name) or name in self.known:
                continue
            if target := self.target_of(name):
                try:
                    self._hand_over(file, target)
                    self.known.add(name)
                except LaunchError as error:
                    failed.append(error)
        if failed:
            raise failed[0]

    def _hand_over(self, file: Path, target: Path) -> None:
        deliver(file.read_bytes(), target, force=self.force)
        if self.links:
            with suppress(OSError):  # where links are not allowed, the copy stays until the run is over
                link = file.with_name(f".{file.name}.link")
                link.symlink_to(target.resolve())
                link.replace(file)
