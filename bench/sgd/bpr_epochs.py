"""Seconds an iteration of the "implicit" package's BPR, on the interactions that bench/sgd.ts hands over.

  python bpr_epochs.py FOLDER FACTORS THREADS ITERATIONS

FOLDER has ptr.npy and idx.npy, the users' rows. Prints one JSON document: {"seconds": …, "cpu": …}, the second of all threads.
"""

import json
import sys
import time
from pathlib import Path

import numpy as np
from implicit.bpr import BayesianPersonalizedRanking
from scipy.sparse import csr_matrix

folder, (factors, threads, iterations) = Path(sys.argv[1]), map(int, sys.argv[2:5])
ptr, idx = np.load(folder / "ptr.npy"), np.load(folder / "idx.npy")
matrix = csr_matrix((np.ones(len(idx), np.float32), idx, ptr), (len(ptr) - 1, int(idx.max()) + 1))


def fit(count):
    """Seconds of so many iterations, with what comes once."""
    model = BayesianPersonalizedRanking(
        factors=factors, learning_rate=0.05, regularization=0.01, iterations=count, num_threads=threads, random_state=1
    )
    start, cpu = time.perf_counter(), time.process_time()
    model.fit(matrix, show_progress=False)
    return np.array([time.perf_counter() - start, time.process_time() - cpu])


# What is done once, as copying the matrix, is no part of an iteration.
seconds, cpu = (fit(1 + iterations) - fit(1)) / iterations
print(json.dumps({"seconds": seconds, "cpu": cpu}))
