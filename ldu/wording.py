"""Sentences that are said in more than one place. Standard library only: `launch` reads it as well."""

DEMO_WARNING = "Made with the demo model: it shows how it works, it does not protect against Stable Diffusion."

UNPUBLISH = (
    "Publish only the protected picture and take the original down wherever it is public: a thief who finds both, or "
    "other unprotected pictures of the same subject, learns from those."
)

MEASURED = (
    "Tested on drawn portraits only: at 10 levels DreamBooth and a LoRA still learnt the person; at 32, plainly seen, "
    "a third less, after the shift alone hardly less. Untested on Stable Diffusion (docs/efficacy.md)."
)

SAVED, THERE, LEFT_OUT = "saved", "there already", "left out"  # what became of a picture of a folder

LONGEST_LINE = 1000  # letters of what a stranger's file tells of itself


def one_line(text: str) -> str:
    """Return a stranger's text as one line, cut where it is longer than anybody would read."""
    line = " ".join(text[: 2 * LONGEST_LINE].split())
    return line if len(line) <= LONGEST_LINE else f"{line[:LONGEST_LINE]}..."


def say_beside(original: str, saved: str) -> str:
    """Say that an unprotected original lies beside what was saved."""
    return f"The unprotected {original} lies beside {saved}: take care to publish the right one."


def say_bytes(count: int) -> str:
    """Say a file's size as file managers do, in thousands of bytes."""
    return f"{count / 1e6:.1f} MB" if count >= 1e6 else f"{max(1, round(count / 1e3))} kB"


def say_losses(before: float, after: float, random: float | None) -> str:
    """Say how a thief's loss rose, beside what random noise of the same visibility does."""
    beside = "" if random is None else f" (random noise of the same strength: {random:.4f})"
    return f"A thief's loss {before:.4f} -> {after:.4f}{beside}"
