"""A small text encoder for names of known things: a learned vector a word, put together regardless of their order.

It knows the words it was built with and no others, and says so; open vocabulary needs a text tower such as CLIP's.

Shapes: B texts, L words of the longest one, C channels.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from likewise.errors import LikewiseError
from likewise.vocabulary import nearest_names, words_of


class WordEncoder(nn.Module):
    """Names to vectors: every known word looks at the mean of all, and what they then say is averaged by weight.

    Words are compared in lower case, in the singular and without punctuation; unknown words beside known ones are
    passed over.

    Args:
        vocabulary: known names, of one or more words each; their words are what is known.
        width: channels C of a text's vector.

    Raises:
        LikewiseError: a vocabulary without a word.
    """

    def __init__(self, vocabulary: tuple[str, ...], width: int) -> None:
        super().__init__()
        self.vocabulary = vocabulary
        words = sorted({word for name in vocabulary for word in words_of(name)})
        if not words:
            raise LikewiseError("the vocabulary is empty; expected at least one name, such as 'strawberry'")
        self.index = {word: i for i, word in enumerate(words)}
        self.embedding = nn.Embedding(len(words), width)
        self.mix = nn.Sequential(nn.Linear(2 * width, 2 * width), nn.GELU(), nn.Linear(2 * width, width))
        self.weight = nn.Linear(width, 1)
        self.norm = nn.LayerNorm(width)

    def forward(self, texts: Sequence[str]) -> Tensor:
        """Encode B texts: (B, C), each as if it were alone.

        Raises:
            LikewiseError: a text without a single known word; the nearest known names are given.
        """
        ids = self.ids(texts)
        longest = max(map(len, ids))
        place = self.embedding.weight.device
        table = torch.tensor([[*row, *[0] * (longest - len(row))] for row in ids], device=place)
        there = torch.tensor([[i < len(row) for i in range(longest)] for row in ids], device=place)[..., None]
        words = self.embedding(table) * there
        mean = words.sum(1, keepdim=True) / there.sum(1, keepdim=True)
        said = words + self.mix(torch.cat([words, mean.expand_as(words)], dim=2))
        weight = self.weight(said).masked_fill(~there, -torch.inf)
        # beside the words stands one that says nothing, of weight 0: all of them may be unimportant
        share = F.softmax(F.pad(weight, (0, 0, 0, 1)), dim=1)[:, :-1]
        summed: Tensor = self.norm((said * share).sum(1) + mean[:, 0])
        return summed

    @torch.no_grad()
    def start_from(self, vectors: Tensor) -> None:
        """Let a text be the mean of its words, which have these vectors (W, C), until training finds better."""
        self.embedding.weight.copy_(vectors)
        for parameter in (*self.mix[2].parameters(), *self.weight.parameters()):
            parameter.zero_()

    def check(self, text: str) -> None:
        """See that a text holds at least one known word.

        Raises:
            LikewiseError: it does not; the nearest known names are given.
        """
        self._ids(text)

    def knows(self, text: str) -> tuple[str, ...]:
        """The words of a text that are known."""
        return tuple(word for word in words_of(text) if word in self.index)

    def ids(self, texts: Sequence[str]) -> list[tuple[int, ...]]:
        """The known words of each text, by their place among all.

        Raises:
            LikewiseError: a text without one; the nearest known names are given.
        """
        return [self._ids(text) for text in texts]

    def _ids(self, text: str) -> tuple[int, ...]:
        # sorted, so that the order of words makes no difference, not even of rounding
        found = tuple(sorted(self.index[word] for word in self.knows(text)))
        if not found:
            raise LikewiseError(f"no word of {text!r} is known to this model{nearest_names(text, self.vocabulary)}")
        return found
