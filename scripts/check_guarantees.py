"""Print what simulated calibrations realise beside what was asked: .venv/bin/python scripts/check_guarantees.py."""

from __future__ import annotations

import numpy as np

from llm_mia.calibration import fpr_bound, fpr_threshold

CALIBRATIONS, LEVELS = 1000, 10


def main() -> None:
    """A row for each (n, FPR), with continuous scores and with scores on ten tied levels."""
    rng = np.random.default_rng(0)
    print(f"{'n':>5} {'FPR asked':>10} {'ties':>5} {'realised':>18} {'95 % bound':>11} {'above it':>9}")
    for n, fpr in ((99, 0.05), (200, 0.01), (57, 0.1), (1000, 0.001)):
        for ties in (False, True):
            draws = rng.integers(LEVELS, size=(CALIBRATIONS, n)) if ties else rng.random((CALIBRATIONS, n))
            thresholds = np.array([fpr_threshold(draw, fpr) for draw in draws])
            # The true rate of each threshold is known: the share of the population strictly above it.
            rates = (LEVELS - 1 - thresholds) / LEVELS if ties else 1 - thresholds
            error = rates.std(ddof=1) / np.sqrt(CALIBRATIONS)
            bound = fpr_bound(n, fpr)
            figures = f"{rates.mean():9.5f} ± {error:.5f} {bound:11.4f} {(rates > bound).mean():8.1%}"
            print(f"{n:>5} {fpr:>10} {'yes' if ties else 'no':>5} {figures}")


if __name__ == "__main__":
    main()
