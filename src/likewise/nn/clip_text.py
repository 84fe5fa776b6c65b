"""CLIP's text tower: features of token ids and of strings, each string encoded once."""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from likewise.errors import LikewiseError
from likewise.nn.clip_block import attend

#: Tokens of a text, its start and end among them.
CONTEXT = 77
START, END = 49406, 49407
#: Strings whose features are kept in memory; the oldest are forgotten first.
KEPT = 4096


class TextTower(nn.Module):
    """CLIP's text transformer.

    Features of strings are kept while the tower is frozen (no parameter wants a gradient), and forgotten when its
    weights are loaded, moved or cast.

    Args:
        clip: open_clip's model; its text parts are taken over under their names.
        heads: attention heads of each block.

    Attributes:
        folder: where features are also kept on disk, for other processes; None: nowhere.
    """

    def __init__(self, clip: Any, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.positional_embedding: nn.Parameter = clip.positional_embedding
        self.text_projection: nn.Parameter = clip.text_projection
        self.token_embedding: nn.Embedding = clip.token_embedding
        self.transformer: Any = clip.transformer
        self.ln_final: nn.LayerNorm = clip.ln_final
        self.folder: Path | None = None
        self._kept: dict[str, Tensor] = {}
        self._fingerprint = ""
        self.register_load_state_dict_post_hook(lambda module, keys: module.forget())

    def forward(self, texts: Sequence[str]) -> Tensor:
        """Features (N, F), float32 or better and not normalised, of strings.

        Raises:
            LikewiseError: a text with more than 75 tokens.
        """
        if any(p.requires_grad for p in self.parameters()):
            return self.encode_ids(tokenize(texts).to(self.ln_final.weight.device))
        missing = [text for text in dict.fromkeys(texts) if text not in self._kept and not self._read(text)]
        # outside inference mode, so that a feature kept now can take part in training later
        with torch.inference_mode(mode=False), torch.no_grad():
            if missing:
                features = self.encode_ids(tokenize(missing).to(self.ln_final.weight.device))
                for text, feature in zip(missing, features, strict=True):
                    self._keep(text, feature)
            out = torch.stack([self._kept[text] for text in texts])
        while len(self._kept) > KEPT:
            del self._kept[next(iter(self._kept))]
        return out

    def encode_ids(self, ids: Tensor) -> Tensor:
        """Features (N, F), not normalised, float32 or better, of token ids (N, T); a row's largest id ends its text."""
        ends = ids.argmax(dim=1)
        ids = ids[:, : int(ends.max()) + 1]
        x = self.token_embedding(ids) + self.positional_embedding[: ids.shape[1]]
        *blocks, last = self.transformer.resblocks
        for block in blocks:
            x = attend(block, x, self.heads, causal=True)
        place = torch.arange(ids.shape[1], device=ids.device)
        seen = (place <= ends[:, None])[:, None, None]
        x = attend(last, x, self.heads, queries=x[torch.arange(len(x), device=x.device), ends][:, None], mask=seen)
        features = self.ln_final(x[:, 0]) @ self.text_projection
        return features.to(torch.promote_types(features.dtype, torch.float32))

    def forget(self) -> None:
        """Drop the kept features."""
        self._kept.clear()
        self._fingerprint = ""

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> TextTower:  # torch's signature
        self.forget()
        super()._apply(fn, recurse)
        return self

    def _file(self, text: str) -> Path | None:
        """Where a text's features lie: under a name that changes with the weights."""
        if self.folder is None:
            return None
        if not self._fingerprint:
            sums = [(p.double().sum().item(), p.double().square().sum().item()) for p in self.parameters()]
            self._fingerprint = f"{self.ln_final.weight.dtype} {sums}"
        return self.folder / (hashlib.sha256(f"{self._fingerprint}\n{text}".encode()).hexdigest() + ".safetensors")

    def _read(self, text: str) -> bool:
        """Whether the features were found on disk."""
        path = self._file(text)
        if path is None or not path.is_file():
            return False
        self._kept[text] = load_file(path)["features"].to(self.ln_final.weight.device)
        return True

    def _keep(self, text: str, feature: Tensor) -> None:
        self._kept[text] = feature.clone()
        path = self._file(text)
        if path is None:
            return
        path.parent.mkdir(parents=True, exist_ok=True)
        unfinished = path.with_suffix(".part")
        save_file({"features": feature.cpu().contiguous()}, unfinished)
        unfinished.replace(path)


def tokenize(texts: Sequence[str]) -> Tensor:
    """Ids (N, 77) of CLIP's byte pair encoding, zeros after the end token.

    Raises:
        LikewiseError: a text with more than 75 tokens; CLIP would not see its end.
    """
    ids = torch.zeros(len(texts), CONTEXT, dtype=torch.long)
    for row, text in zip(ids, texts, strict=True):
        words = _tokenizer().encode(text)
        if len(words) > CONTEXT - 2:
            raise LikewiseError(
                f"text has {len(words)} tokens: expected at most {CONTEXT - 2}, a few words such as 'red apples': "
                f"{text[:60]!r}..."
            )
        row[: len(words) + 2] = torch.tensor([START, *words, END])
    return ids


@functools.cache
def _tokenizer() -> Any:
    from open_clip.tokenizer import SimpleTokenizer

    return SimpleTokenizer()
