"""A prompt with a learnable word in it, for the CLIP encoders of the host."""

import re
from typing import Any

import torch
from torch import Tensor

from ..ldu.attacks.prompt import PLACEHOLDER, choose_marker, require_placeholder
from ..ldu.errors import BadValueError, UnsupportedModelError
from .host import copies_kept


class TokenEncoder:
    """Encodes a prompt whose S* is a token embedding, differentiably; the learnt part lies in the CLIP encoders.

    The embedding of models with several CLIP encoders is their concatenation; a T5 beside them reads the initial word.
    """

    def __init__(self, clip: Any, prompt: str, initial_word: str, placeholder: str = PLACEHOLDER) -> None:  # noqa: ANN401
        require_placeholder(prompt, placeholder)
        if not initial_word.strip():
            raise BadValueError(
                "Textual Inversion starts from a word, such as person, but the initial word is empty: give one."
            )
        self.clip, self.prompt, self._word = clip, _apart(prompt.replace(placeholder, PLACEHOLDER)), initial_word
        if clip is None:
            raise BadValueError("Textual Inversion needs a CLIP, but this checkpoint holds none: load one.")
        parts = {key: getattr(clip.cond_stage_model, f"clip_{key}", None) for key in ("l", "g", "h")}
        self._parts = {key: part for key, part in parts.items() if part is not None}
        if not self._parts:
            raise UnsupportedModelError(
                "Textual Inversion needs a CLIP text encoder, but this model has none: choose a checkpoint with one, "
                "such as SD 1.5 or SDXL."
            )

    @property
    def widths(self) -> dict[str, int]:
        """The width of each CLIP encoder's embedding, in the order of concatenation."""
        return {key: self._table(part).shape[1] for key, part in self._parts.items()}

    def initial(self, vectors: int) -> Tensor:
        """Return the embedding of the initial word, once per vector: (vectors, sum of widths), float32."""
        rows = []
        for key, part in self._parts.items():
            word = self.clip.tokenize(self._word)[key][0][1][0]
            if torch.is_tensor(word):
                raise BadValueError(
                    "The initial word must be a plain word, but an embedding came: give a word, such as person."
                )
            rows.append(self._table(part)[word].float())
        return torch.cat(rows).expand(vectors, -1).clone()

    def split(self, token: Tensor) -> dict[str, Tensor]:
        """Return the embedding's part for each CLIP encoder, by the host's name of its key in an embedding file."""
        parts = token.split(list(self.widths.values()), dim=1)
        return {f"clip_{key}": part for key, part in zip(self.widths, parts, strict=True)}

    def encode(self, token: Tensor) -> list[Any]:
        """Return the CONDITIONING of the prompt with this token embedding, (vectors, width)."""
        marker = choose_marker(self.prompt, self._is_one_token)
        marked = self.clip.tokenize(self.prompt.replace(PLACEHOLDER, marker))
        plain = self.clip.tokenize(self.prompt.replace(PLACEHOLDER, self._word))
        learnt = self.split(token)
        tokens = {
            key: self._insert(chunks, self._id(marker, key), learnt[f"clip_{key}"])
            if key in self._parts
            else plain[key]
            for key, chunks in marked.items()
        }
        with copies_kept():  # CLIP's layers add in place
            encoded = self.clip.encode_from_tokens(tokens, return_pooled=True, return_dict=True)
        condition = encoded.pop("cond")
        return [[condition, encoded]]

    def _is_one_token(self, word: str) -> bool:
        return all(len(self._ids(word, key)) == 1 for key in self._parts)

    def _id(self, word: str, key: str) -> int:
        return self._ids(word, key)[0]

    def _ids(self, word: str, key: str) -> list[int]:
        chunk, empty = self.clip.tokenize(word)[key][0], self.clip.tokenize("")[key][0]
        end = empty[1][0]
        ids = [token for token, _ in chunk[1:]]
        return ids[: ids.index(end)]

    def _insert(self, chunks: list[Any], marker: int, vectors: Tensor) -> list[Any]:
        """Return the token chunks with the vectors in the marker's place and as many padding tokens fewer."""
        out = []
        for chunk in chunks:
            spread = [entry for token, weight in chunk for entry in self._entries(token, weight, marker, vectors)]
            padding = chunk[-1][0]
            if any(torch.is_tensor(token) or token != padding for token, _ in spread[len(chunk) - 1 :]):
                raise BadValueError(f"The prompt leaves no room for the {len(vectors)} vectors of S*: shorten it.")
            out.append(spread[: len(chunk)])
        return out

    @staticmethod
    def _entries(token: Any, weight: float, marker: int, vectors: Tensor) -> list[Any]:  # noqa: ANN401
        if torch.is_tensor(token) or token != marker:
            return [(token, weight)]
        return [(vector, weight) for vector in vectors]

    @staticmethod
    def _table(part: Any) -> Tensor:  # noqa: ANN401
        return part.transformer.get_input_embeddings().weight


def _apart(prompt: str) -> str:
    """Return the prompt with spaces round an S* that touches letters, which would make one word with it."""
    placeholder = re.escape(PLACEHOLDER)
    return re.sub(rf"(?<=\w)(?={placeholder})|(?<={placeholder})(?=\w)", " ", prompt)
