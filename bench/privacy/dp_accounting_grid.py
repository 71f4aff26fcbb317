# Prints test/vectors/dp-accounting.json: epsilon of repeated Gaussian releases by dp-accounting, over a grid.
# pip install dp-accounting==0.6.0; python bench/privacy/dp_accounting_grid.py > test/vectors/dp-accounting.json
import importlib.metadata
import json
import math

import dp_accounting
from dp_accounting import rdp

# Orders so dense that the account differs from the continuous minimum by less than 1e-4 of itself.
ORDERS = [1 + math.exp(i / 100) for i in range(-700, 1200)]
rows = []
for sigma in (0.5, 1, 3, 10, 50, 200):
    for count in (1, 3, 48, 300):
        event = dp_accounting.SelfComposedDpEvent(dp_accounting.GaussianDpEvent(sigma), count)
        accountant = rdp.RdpAccountant(ORDERS)
        accountant.compose(event)
        for delta in (1e-3, 1e-6, 1e-9):
            # n releases of sigma are one of sigma / sqrt(n): dp-accounting has the analytic Gaussian for one.
            exact = dp_accounting.get_epsilon_gaussian(sigma / math.sqrt(count), delta)
            rows.append({"sigma": sigma, "count": count, "delta": delta, "exact": exact,
                         "renyi": accountant.get_epsilon(delta)})
print(json.dumps({"origin": f"dp-accounting {importlib.metadata.version('dp-accounting')}, "
                            "bench/privacy/dp_accounting_grid.py", "rows": rows}, indent=1))
