"""The prompt of a personalization: one word in it, S*, stands for the subject and is read as what is learnt."""

from collections.abc import Callable

from ..errors import BadValueError, UnsupportedModelError

PLACEHOLDER = "S*"
MARKERS = ("sks", "rhizome", "qwertyuiop", "zxcv")  # rare words, one of which stands for S* while the text is cut


def require_placeholder(prompt: str, placeholder: str = PLACEHOLDER) -> None:
    """Raise unless the prompt holds the placeholder once.

    Raises:
        BadValueError: it does not, or the placeholder is empty.
    """
    if not placeholder:
        raise BadValueError(f"The placeholder is empty: name the word of the prompt to learn, such as {PLACEHOLDER}.")
    if prompt.count(placeholder) != 1:
        raise BadValueError(
            f'The prompt must hold {placeholder} once, such as "a photo of {placeholder} person", but it is "{prompt}".'
        )


def choose_marker(prompt: str, is_one_token: Callable[[str], bool]) -> str:
    """Return a word that the prompt does not hold in any case and that the tokenizer keeps in one piece.

    Raises:
        UnsupportedModelError: the tokenizer cuts all of them.
    """
    free = (word for word in MARKERS if word not in prompt.lower() and is_one_token(word))  # CLIP knows no case
    marker = next(free, None)
    if marker is None:
        raise UnsupportedModelError(
            f"Textual Inversion needs one of {', '.join(MARKERS)} as a word of its own in the model's vocabulary, "
            "outside the prompt: use another prompt, or a model with CLIP's vocabulary."
        )
    return marker
