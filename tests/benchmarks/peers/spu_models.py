"""The works as functions for SPU, written for it: each takes the client's inputs and the server's weights.

Of the forms and settings that are right these were the fastest. Also tried: GeLU with tanh (a fifth more
bytes) and with an operation at a time (39 rounds for 21); softmax as jax has it (119 rounds for 111), with
PUMA's cut at -14 (a third more bytes), with a division for each element (3.6 times the bytes), with Pade's
exponential (3.3 times the bytes; its error is 3e-5 for 7e-3); LayerNorm with SPU's cheaper rsqrt (32 rounds
for 34; its error is 0.02 for 0.004). Without effect: max_concurrency, experimental_disable_mmul_split,
experimental_enable_colocated_optimization, http_max_payload_size; experimental_enable_inter_op_par sends
three to five times the messages. EXP_PRIME does not run on 64-bit rings. trunc_allow_msb_error saves an
eighth of the bytes, but lets results be wrong in their highest bit. Imported with SPU's interpreter alone.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import jax.numpy as jnp
from jax import lax

Array = Any
Weights = Iterator[Array]

# PUMA's GeLU (https://arxiv.org/abs/2307.12533, section 4.1): 0 below -4, two polynomials, x above 3.
LEFT = (-0.5054031199708174, -0.42226581151983866, -0.11807612951181953, -0.011034134030615728)  # 1, x, ..
MIDDLE = (0.008526321541038084, 0.5, 0.3603292692789629, -0.037688200365904236, 0.0018067462606141187)
LOWER, MIDDLE_FROM, UPPER = -4.0, -1.95, 3.0
MASKED = -30.0  # added to a masked score: SPU's exponential is right down to about -200, and exp(-30) is 0


def gelu(x: Array) -> Array:
    """SPU opens an operation at a time, so those of one kind are stacked."""
    compared = jnp.stack([x, x, -x]) < jnp.array([LOWER, MIDDLE_FROM, -UPPER]).reshape(3, *[1] * x.ndim)
    below, left, above = compared
    square = jnp.square(x)
    cube = x * square
    fourth, sixth = jnp.square(jnp.stack([square, cube]))
    polynomial = LEFT[0] + LEFT[1] * x + LEFT[2] * square + LEFT[3] * cube
    even = MIDDLE[0] + MIDDLE[1] * x + MIDDLE[2] * square + MIDDLE[3] * fourth + MIDDLE[4] * sixth
    pieces = jnp.stack([above, below ^ left, jnp.logical_not(left ^ above)])
    return jnp.sum(pieces * jnp.stack([x, polynomial, even]), axis=0)


def softmax(x: Array) -> Array:
    """One reciprocal for a row; a division of each element costs four times as many bytes."""
    powers = jnp.exp(x - jnp.max(x, axis=-1, keepdims=True))
    return powers * (1.0 / jnp.sum(powers, axis=-1, keepdims=True))


def layer_norm(x: Array, weights: Weights) -> Array:
    centred = x - jnp.mean(x, axis=-1, keepdims=True)
    variance = jnp.mean(jnp.square(centred), axis=-1, keepdims=True)
    return centred * lax.rsqrt(variance + 1e-5) * next(weights) + next(weights)


def linear(x: Array, weights: Weights) -> Array:
    return x @ next(weights) + next(weights)


def attention(query: Array, key: Array, value: Array, heads: int, mask: Array) -> Array:
    """`mask` is added to the scores."""
    tokens, width = query.shape
    query, key, value = (a.reshape(tokens, heads, -1).transpose(1, 0, 2) for a in (query, key, value))
    scores = query @ key.transpose(0, 2, 1) / math.sqrt(width // heads) + mask
    return (softmax(scores) @ value).transpose(1, 0, 2).reshape(tokens, width)


def encoder(x: Array, weights: Weights, layers: int, heads: int, mask: Array) -> Array:
    """BERT's layers, normalized after each part."""
    for _ in range(layers):
        query, key, value = (linear(x, weights) for _ in range(3))
        x = layer_norm(x + linear(attention(query, key, value, heads, mask), weights), weights)
        x = layer_norm(x + linear(gelu(linear(x, weights)), weights), weights)
    return x


def gpt2(x: Array, weights: Weights, layers: int, heads: int) -> Array:
    """To the logits of the token after the last one."""
    tokens = x.shape[0]
    causal = jnp.where(jnp.tril(jnp.ones((tokens, tokens), bool)), 0.0, MASKED)
    for _ in range(layers):
        query, key, value = jnp.split(linear(layer_norm(x, weights), weights), 3, axis=-1)
        x = x + linear(attention(query, key, value, heads, causal), weights)
        x = x + linear(gelu(linear(layer_norm(x, weights), weights)), weights)
    return layer_norm(x[-1:], weights) @ next(weights)


def build(model: str, heads: int, count: int) -> Callable[[Mapping[str, Array], list[Array]], Array]:
    """What SPU compiles, from the client's inputs and `count` weights to the result, without a batch axis."""

    def compute(inputs: Mapping[str, Array], weights: list[Array]) -> Array:
        x, taken = inputs["x"], iter(weights)
        if model == "matmul":
            return x @ next(taken)
        if model == "gelu":
            return gelu(x)
        if model == "softmax":
            return softmax(x)
        if model == "layer_norm":
            return layer_norm(x, taken)
        if model == "encoder":
            return encoder(x, taken, count // 16, heads, 0.0)
        if model == "sentence_encoder":
            mask = (1.0 - inputs["mask"]) * MASKED
            return encoder(layer_norm(x, taken), taken, count // 16, heads, mask)
        return gpt2(x, taken, count // 12, heads)

    return compute
