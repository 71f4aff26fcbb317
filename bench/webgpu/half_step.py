"""The users' half-step of iALS in PyTorch, for bench/webgpu.ts: (a0 G + sum y y' + l I) x = sum y for every row.

half_step.py FOLDER ITEMS FACTORS reads ptr.i32 and idx.i32 from the folder and prints one line of JSON with the median
seconds of three runs, after one that is not counted, on the GPU where there is one. Rows are batched by length, padded
to the longest of their batch with weight 0.
"""
import json
import statistics
import sys
import time

try:
    import numpy
    import torch
except ImportError as error:
    sys.exit(f"{error.name} is not installed for python3")

ALPHA0, REGULARIZATION = 0.1, 0.003
# Numbers of a batch's padded rows: 512 MiB in f32.
BATCH = 2**27

folder, items, factors = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
device = "cuda" if torch.cuda.is_available() else "cpu"
ptr = numpy.fromfile(f"{folder}/ptr.i32", dtype=numpy.int32).astype(numpy.int64)
idx = torch.from_numpy(numpy.fromfile(f"{folder}/idx.i32", dtype=numpy.int32).astype(numpy.int64)).to(device)
lengths = numpy.diff(ptr)
order = numpy.argsort(lengths, kind="stable")
order = order[lengths[order] > 0]
torch.manual_seed(1)
fixed = torch.randn(items, factors, device=device) / factors**0.5


def batches():
    end = len(order)
    while end > 0:
        longest = int(lengths[order[end - 1]])
        start = max(0, end - max(1, BATCH // (longest * factors)))
        yield order[start:end], longest
        end = start


def prepare():
    """Indices of each batch, so that the runs measure arithmetic and gathers only."""
    for rows, longest in batches():
        steps = torch.arange(longest, device=device)
        length = torch.from_numpy(lengths[rows]).to(device)
        begin = torch.from_numpy(ptr[rows]).to(device)
        mask = steps[None, :] < length[:, None]
        place = torch.where(mask, begin[:, None] + steps[None, :], 0)
        yield rows, idx[place], mask, length


def half_step(out):
    gram = ALPHA0 * (fixed.T @ fixed)
    eye = torch.eye(factors, device=device)
    for rows, columns, mask, length in prepared:
        y = fixed[columns] * mask[:, :, None]
        penalty = REGULARIZATION * (length + ALPHA0 * items)
        a = gram + y.transpose(1, 2) @ y + penalty[:, None, None] * eye
        factor = torch.linalg.cholesky(a)
        out[torch.from_numpy(rows).to(device)] = torch.cholesky_solve(y.sum(1)[:, :, None], factor)[:, :, 0]


prepared = list(prepare())
out = torch.zeros(len(lengths), factors, device=device)
seconds = []
for _ in range(4):
    start = time.perf_counter()
    half_step(out)
    if device == "cuda":
        torch.cuda.synchronize()
    seconds.append(time.perf_counter() - start)
name = torch.cuda.get_device_name() if device == "cuda" else "cpu"
print(json.dumps({"version": torch.__version__, "device": name, "seconds": statistics.median(seconds[1:])}))
