"""What this machine can do at most: a tuned matrix product, and copying memory.

Usage: ceilings.py THREADS

Prints one JSON document: GFLOP/s of an f32 matrix product by numpy's BLAS on THREADS threads, GB/s (read and written
bytes together) of copying an array much larger than the caches by as many threads, and the kernel BLAS chose.
"""

import json
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import threadpoolctl

SIZE = 2048
"""Rows and columns of the product: large enough for full speed, a tenth of a second each."""
COPY_BYTES = 256 << 20
REPEATS = 7


def main(threads):
    print(json.dumps({"sgemm_gflops": product(), "copy_gbps": copy(threads), "blas": blas()}))


def product():
    random = np.random.default_rng(1)
    a, b = (random.standard_normal((SIZE, SIZE), dtype=np.float32) for _ in range(2))
    out = np.empty_like(a)
    return 2 * SIZE**3 / median_seconds(lambda: np.matmul(a, b, out=out)) / 1e9


def copy(threads):
    source = np.ones(COPY_BYTES // 4, dtype=np.float32)
    target = np.zeros_like(source)
    parts = list(zip(np.array_split(source, threads), np.array_split(target, threads)))
    with ThreadPoolExecutor(threads) as pool:
        # numpy lets other threads run while it copies.
        seconds = median_seconds(lambda: list(pool.map(lambda part: np.copyto(part[1], part[0]), parts)))
    return 2 * COPY_BYTES / seconds / 1e9


def median_seconds(work):
    work()
    seconds = []
    for _ in range(REPEATS):
        start = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - start)
    return float(np.median(seconds))


def blas():
    pools = [pool for pool in threadpoolctl.threadpool_info() if pool["user_api"] == "blas"]
    return ", ".join(f"{pool['internal_api']} {pool['version']} {pool.get('architecture', '')}" for pool in pools)


if __name__ == "__main__":
    main(int(sys.argv[1]))
