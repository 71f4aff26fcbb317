"""BPR of the "implicit" package on the main course data: the last course of every learner hidden, all others ranked.

  python bpr_implicit.py INTERACTIONS.csv.gz FACTORS LEARNING_RATE REGULARIZATION ITERATIONS[,ITERATIONS...]
"""
import csv
import gzip
import sys
import time

import numpy as np
import scipy.sparse as sp
from implicit.bpr import BayesianPersonalizedRanking

path, factors, rate, regularization, counts = sys.argv[1:6]
histories = {}
with gzip.open(path, "rt") as file:
    for row in csv.DictReader(file):
        histories.setdefault(row["user_id"], []).append((int(row["position"]), row["item_id"]))
items = {name: row for row, name in enumerate(sorted({item for h in histories.values() for _, item in h}))}
users, taken, hidden = [], [], []
for user, (_, history) in enumerate(sorted(histories.items())):
    history.sort()
    hidden.append(items[history[-1][1]])
    for _, item in history[:-1]:
        users.append(user)
        taken.append(items[item])
hidden = np.array(hidden)
matrix = sp.csr_matrix((np.ones(len(users), np.float32), (users, taken)), (len(histories), len(items)))

for iterations in map(int, counts.split(",")):
    start = time.time()
    model = BayesianPersonalizedRanking(
        factors=int(factors),
        learning_rate=float(rate),
        regularization=float(regularization),
        iterations=iterations,
        num_threads=1,
        random_state=1,
    )
    model.fit(matrix, show_progress=False)
    seconds = (time.time() - start) / iterations
    hits = gain = 0.0
    for begin in range(0, matrix.shape[0], 2000):
        scores = model.user_factors[begin : begin + 2000] @ model.item_factors.T
        seen = matrix[begin : begin + 2000].tocoo()
        scores[seen.row, seen.col] = -np.inf
        wanted = hidden[begin : begin + 2000]
        rank = (scores > scores[np.arange(len(wanted)), wanted][:, None]).sum(1)
        hits += (rank < 10).sum()
        gain += (1 / np.log2(rank[rank < 10] + 2)).sum()
    cases = len(hidden)
    print(f"{iterations} iterations: hr@10 {hits / cases:.4f}, ndcg@10 {gain / cases:.4f}, {seconds:.2f} s each")
