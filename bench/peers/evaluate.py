"""Judges factors of any engine by the same numpy program, in float64.

Usage: evaluate.py PROBLEM FACTORS_DIR REGULARIZATION

  loss = Σ_S (c (1 − x·y)² − (x·y)²) + Σ_u Σ_i (x_u·y_i)² + λ (Σ ‖x‖² + Σ ‖y‖²),  c = 1 off S
  (Hu, Koren, Volinsky, "Collaborative Filtering for Implicit Feedback Datasets", ICDM 2008, eq. 3)

  recall@20 over users of the held-out part, all unseen items ranked: hits / min(20, held-out items)

FACTORS_DIR has user_factors.npy and item_factors.npy. Prints one JSON document.
"""

import json
import sys
from pathlib import Path

import numpy as np

ENTRIES_AT_ONCE = 100_000
"""Entries whose factors are gathered together: 100 MB at K = 128."""
USERS_JUDGED = 10_000
"""Users whose recall is averaged, drawn with a fixed seed: the standard error is below 0.005."""
CUTOFF = 20


def main(problem, factors_dir, regularization):
    users = np.load(factors_dir / "user_factors.npy")
    items = np.load(factors_dir / "item_factors.npy")
    ptr, idx = np.load(problem / "ptr.npy"), np.load(problem / "idx.npy")
    confidence = np.load(problem / "confidence.npy")
    print(
        json.dumps(
            {
                "loss": loss(users, items, ptr, idx, confidence, regularization),
                "recall": recall(users, items, ptr, idx, np.load(problem / "test_ptr.npy"), np.load(problem / "test_idx.npy")),
            }
        )
    )


def loss(users, items, ptr, idx, confidence, regularization):
    x, y = users.astype(np.float64), items.astype(np.float64)
    row = np.repeat(np.arange(len(users)), np.diff(ptr))
    total = np.sum((x.T @ x) * (y.T @ y)) + regularization * (np.sum(x * x) + np.sum(y * y))
    for at in range(0, len(idx), ENTRIES_AT_ONCE):
        part = slice(at, at + ENTRIES_AT_ONCE)
        score = np.einsum("ij,ij->i", x[row[part]], y[idx[part]])
        total += np.sum(confidence[part].astype(np.float64) * (1 - score) ** 2 - score**2)
    return float(total)


def recall(users, items, ptr, idx, test_ptr, test_idx):
    tested = np.flatnonzero(np.diff(test_ptr))
    if len(tested) > USERS_JUDGED:
        tested = np.sort(np.random.default_rng(1).choice(tested, USERS_JUDGED, replace=False))
    total = 0.0
    for start in range(0, len(tested), 500):
        rows = tested[start : start + 500]
        scores = users[rows] @ items.T
        for score, user in zip(scores, rows):
            score[idx[ptr[user] : ptr[user + 1]]] = -np.inf
            best = np.argpartition(-score, CUTOFF)[:CUTOFF]
            held_out = test_idx[test_ptr[user] : test_ptr[user + 1]]
            total += np.isin(best, held_out).sum() / min(CUTOFF, len(held_out))
    return total / len(tested)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), float(sys.argv[3]))
