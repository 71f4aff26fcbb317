"""Trains with implicit: as many epochs as asked for, from the factors given.

Usage: implicit_train.py PROBLEM OUT FACTORS SOLVER THREADS EPOCHS REGULARIZATION

PROBLEM has ptr.npy, idx.npy and confidence.npy, the users' rows of the confidences c, and items-K.npy, the items'
initial factors. Writes user_factors.npy and item_factors.npy into OUT, prints one JSON document.
"""

import json
import resource
import sys
from pathlib import Path

import numpy as np
import threadpoolctl
from implicit.cpu.als import AlternatingLeastSquares
from scipy.sparse import csr_matrix


def main(problem, out, factors, solver, threads, epochs, regularization):
    item_factors = np.load(problem / f"items-{factors}.npy")
    ptr = np.load(problem / "ptr.npy")
    shape = (len(ptr) - 1, len(item_factors))
    confidence = csr_matrix((np.load(problem / "confidence.npy"), np.load(problem / "idx.npy"), ptr), shape=shape)
    model = AlternatingLeastSquares(
        factors=factors,
        regularization=regularization,
        use_cg=solver == "cg",
        iterations=epochs,
        num_threads=threads,
        calculate_training_loss=False,
    )
    model.item_factors = item_factors
    model.user_factors = np.zeros((shape[0], factors), dtype=np.float32)
    seconds = []
    before = cpu_seconds()
    model.fit(confidence, show_progress=False, callback=lambda _epoch, took, _loss: seconds.append(took))
    cpu = cpu_seconds() - before
    # In kB on Linux, in bytes on macOS.
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    np.save(out / "user_factors.npy", model.user_factors)
    np.save(out / "item_factors.npy", model.item_factors)
    blas = [pool for pool in threadpoolctl.threadpool_info() if pool["user_api"] == "blas"]
    print(
        json.dumps(
            {
                "epoch_seconds": seconds,
                "cpu_seconds": cpu,
                "peak_rss_bytes": peak,
                "blas": [f"{pool['internal_api']} {pool['version']} {pool.get('architecture', '')}" for pool in blas],
            }
        )
    )


def cpu_seconds():
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


if __name__ == "__main__":
    _, problem_dir, out_dir, k, solver_name, thread_count, epoch_count, penalty = sys.argv
    main(
        Path(problem_dir), Path(out_dir), int(k), solver_name, int(thread_count), int(epoch_count), float(penalty)
    )
