"""What stands behind `run.py`: set-up, a private ComfyUI server and the shipped workflow. Standard library only."""

from pathlib import Path

PACK = Path(__file__).resolve().parent.parent


class LaunchError(Exception):
    """A wish that cannot be met; its message is one sentence for the person at the keyboard."""
