"""Ratings with a known low rank, and a matrix factorisation of them in numpy that shares nothing with Stoa.

  python mf_numpy.py make DIR             writes DIR/train.csv and DIR/test.csv: user, item, value
  python mf_numpy.py fit DIR              trains here, one rating after the other, and prints the RMSE on the test
  python mf_numpy.py check DIR EXPORT     prints the RMSE of a model that "stoa export --format npy" wrote to EXPORT
"""
import csv
import os
import sys

import numpy as np

USERS, ITEMS, RANK, TRAIN, TEST, NOISE = 1500, 300, 6, 60_000, 12_000, 0.4
FACTORS, RATE, REGULARIZATION, EPOCHS, STD_DEV = 8, 0.02, 0.05, 30, 0.5


def make(folder):
    random = np.random.default_rng(7)
    x = random.normal(0, 0.6, (USERS, RANK))
    y = random.normal(0, 0.6, (ITEMS, RANK))
    rating = 3 + random.normal(0, 0.4, USERS)[:, None] + random.normal(0, 0.5, ITEMS) + x @ y.T
    rating = np.clip(rating + random.normal(0, NOISE, rating.shape), 0.5, 5.5)
    pairs = random.permutation(USERS * ITEMS)[: TRAIN + TEST]
    os.makedirs(folder, exist_ok=True)
    for name, part in ("train", pairs[:TRAIN]), ("test", pairs[TRAIN:]):
        with open(f"{folder}/{name}.csv", "w", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(["user", "item", "value"])
            for pair in part:
                user, item = divmod(int(pair), ITEMS)
                writer.writerow([f"u{user:05d}", f"i{item:05d}", f"{rating[user, item]:.4f}"])


def read(path):
    with open(path) as file:
        return [(row["user"], row["item"], float(row["value"])) for row in csv.DictReader(file)]


def rmse(errors):
    return float(np.sqrt(np.mean(np.square(errors))))


def fit(folder):
    train, test = read(f"{folder}/train.csv"), read(f"{folder}/test.csv")
    users = {name: row for row, name in enumerate(sorted({u for u, _, _ in train}))}
    items = {name: row for row, name in enumerate(sorted({i for _, i, _ in train}))}
    random = np.random.default_rng(1)
    scale = STD_DEV / np.sqrt(FACTORS)
    x = random.normal(0, scale, (len(users), FACTORS))
    y = random.normal(0, scale, (len(items), FACTORS))
    bu, bi = np.zeros(len(users)), np.zeros(len(items))
    mean = float(np.mean([value for _, _, value in train]))
    rows = [(users[u], items[i], value) for u, i, value in train]
    for _ in range(EPOCHS):
        for at in random.permutation(len(rows)):
            u, i, value = rows[at]
            error = value - mean - bu[u] - bi[i] - x[u] @ y[i]
            bu[u] += RATE * (error - REGULARIZATION * bu[u])
            bi[i] += RATE * (error - REGULARIZATION * bi[i])
            before = x[u].copy()
            x[u] += RATE * (error * y[i] - REGULARIZATION * x[u])
            y[i] += RATE * (error * before - REGULARIZATION * y[i])
    known = [(users[u], items[i], value) for u, i, value in test if u in users and i in items]
    print("numpy", round(rmse([v - mean - bu[u] - bi[i] - x[u] @ y[i] for u, i, v in known]), 4))
    print("mean alone", round(rmse([v - mean for _, _, v in known]), 4), "noise", NOISE)


def check(folder, export):
    tables = [np.load(f"{export}/{side}_factors.npy") for side in ("user", "item")]
    names = []
    for side in ("users", "items"):
        with open(f"{export}/{side}.csv") as file:
            names.append({row["id"]: int(row["row"]) for row in csv.DictReader(file)})
    known = [(names[0][u], names[1][i], v) for u, i, v in read(f"{folder}/test.csv") if u in names[0] and i in names[1]]
    print("stoa", round(rmse([v - tables[0][u] @ tables[1][i] for u, i, v in known]), 4))


if __name__ == "__main__":
    {"make": make, "fit": fit, "check": check}[sys.argv[1]](*sys.argv[2:])
