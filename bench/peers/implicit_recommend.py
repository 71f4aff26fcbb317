"""Recommends with implicit: the best N unseen items of the first users of a model.

Usage: implicit_recommend.py PROBLEM FACTORS_DIR N THREADS USERS

FACTORS_DIR has user_factors.npy and item_factors.npy. Prints one JSON document; writes ids.npy into FACTORS_DIR.
"""

import json
import sys
import time
from pathlib import Path

import numpy as np
from implicit.cpu.als import AlternatingLeastSquares
from scipy.sparse import csr_matrix


def main(problem, factors_dir, n, threads, users):
    model = AlternatingLeastSquares(num_threads=threads)
    model.user_factors = np.load(factors_dir / "user_factors.npy")[:users]
    model.item_factors = np.load(factors_dir / "item_factors.npy")
    ptr = np.load(problem / "ptr.npy")[: users + 1]
    end = ptr[-1]
    seen = csr_matrix(
        (np.load(problem / "confidence.npy")[:end], np.load(problem / "idx.npy")[:end], ptr),
        shape=(users, len(model.item_factors)),
    )
    start = time.perf_counter()
    ids, _ = model.recommend(np.arange(users), seen, N=n, filter_already_liked_items=True)
    seconds = time.perf_counter() - start
    np.save(factors_dir / "ids.npy", ids.astype(np.int32))
    print(json.dumps({"seconds": seconds, "users": users}))


if __name__ == "__main__":
    _, problem_dir, factors_folder, count, thread_count, user_count = sys.argv
    main(Path(problem_dir), Path(factors_folder), int(count), int(thread_count), int(user_count))
