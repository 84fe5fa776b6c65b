"""One residual attention block of CLIP, run on the tokens that are wanted of it.

The block is open_clip's (or anything with its ``ln_1``, ``attn``, ``ln_2`` and ``mlp``); what is computed is the same
up to rounding.
"""

from __future__ import annotations

from typing import Any

import torch.nn.functional as F
from torch import Tensor, nn

from likewise.ops.fused import linear

#: OpenAI's "quick" GELU is x sigmoid(1.702 x).
QUICK = 1.702


def attend(
    block: Any,
    tokens: Tensor,
    heads: int,
    *,
    queries: Tensor | None = None,
    mask: Tensor | None = None,
    causal: bool = False,
) -> Tensor:
    """The block's output for all tokens, or for some of them.

    Args:
        block: pre-norm: ``x + attn(ln_1(x))``, then ``x + mlp(ln_2(x))``.
        tokens: (B, N, C) that are attended to.
        heads: of the attention.
        queries: (B, Q, C), those of ``tokens`` whose output is wanted; None: all.
        mask: (B, 1, Q, N), True where a query may look.
        causal: token i looks at tokens 0 .. i alone.

    Returns:
        (B, Q, C), or (B, N, C) without ``queries``.
    """
    width, attn = tokens.shape[-1], block.attn
    weight, bias = attn.in_proj_weight, attn.in_proj_bias
    normed = block.ln_1(tokens)
    if queries is None:
        queries = tokens
        q, k, v = linear(normed, weight, bias).chunk(3, dim=-1)
    else:
        q = linear(block.ln_1(queries), weight[:width], bias[:width])
        k, v = linear(normed, weight[width:], bias[width:]).chunk(2, dim=-1)
    q, k, v = (_split(x, heads) for x in (q, k, v))
    mixed = F.scaled_dot_product_attention(q, k, v, attn_mask=mask, is_causal=causal)
    x = queries + linear(mixed.transpose(1, 2).flatten(2), attn.out_proj.weight, attn.out_proj.bias)
    return x + _mlp(block.mlp, block.ln_2(x))


def with_value(block: Any, tokens: Tensor) -> Tensor:
    """Each token (B, N, C) with what it would pass on if it attended to itself alone; no attention, no MLP.

    This is "MaskCLIP"'s way with the last block (Zhou et al., ECCV 2022): places stay apart, and speak for themselves.
    """
    width, attn = tokens.shape[-1], block.attn
    value = linear(block.ln_1(tokens), attn.in_proj_weight[2 * width :], attn.in_proj_bias[2 * width :])
    return tokens + linear(value, attn.out_proj.weight, attn.out_proj.bias)


def _mlp(mlp: Any, x: Tensor) -> Tensor:
    """The two layers, the activation between them applied where the first one's values are made."""
    first, last = mlp.c_fc, mlp.c_proj
    if isinstance(mlp.gelu, nn.GELU):
        return linear(linear(x, first.weight, first.bias, "gelu"), last.weight, last.bias)
    # x sigmoid(q x) = silu(q x) / q, and there are fewer weights than values to be scaled
    hidden = linear(x, QUICK * first.weight, QUICK * first.bias, "silu")
    return linear(hidden, last.weight / QUICK, last.bias)


def _split(x: Tensor, heads: int) -> Tensor:
    """(B, N, C) -> (B, heads, N, C / heads)."""
    return x.unflatten(-1, (heads, -1)).transpose(1, 2)
