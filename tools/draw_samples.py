"""Draw the sample pictures of the workflows: one portrait, and a folder of four photos of another person.

Run it from the repository's root: `python -m tools.draw_samples`. Nobody in them exists, and no model was trained on
them: the demo's training pictures have far smaller numbers.
"""

from pathlib import Path

from PIL import Image

from demo.people import sample_identity, sample_nuisance
from demo.portraits import photograph
from launch.ui import SAMPLES

PORTRAIT = 20261121
PERSON = 20261119
PORTRAIT_SIDE, PERSON_SIDE = 320, 192


def main() -> None:
    """Write the files."""
    folder = SAMPLES / "ldu_sample_person"
    folder.mkdir(parents=True, exist_ok=True)
    save(PORTRAIT, PORTRAIT, PORTRAIT_SIDE, SAMPLES / "ldu_sample_portrait.png")
    for number in range(1, 5):
        save(PERSON, PERSON * 10 + number, PERSON_SIDE, folder / f"{number}.png")


def save(person: int, photo: int, side: int, file: Path) -> None:
    """Photograph one person once."""
    picture = photograph(sample_identity(person), sample_nuisance(photo), side)
    Image.fromarray(picture).save(file, optimize=True)


if __name__ == "__main__":
    main()
