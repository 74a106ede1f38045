"""Writes the expected values of tests/it/oracle/two_samples.rs: what SciPy says of pairs of samples, one JSON file per
method, beside this script.

    python3 -m venv /tmp/oracle && /tmp/oracle/bin/pip install -r tests/oracle/requirements.txt
    /tmp/oracle/bin/python tests/oracle/two_samples.py

A sample is either its rows or, where it is large, a formula of exactly rounded operations that the test computes too, to
the same last bit (`rows_of`).
"""

import warnings

import numpy
import scipy.stats

from expected import SEED, write

RANDOM = numpy.random.default_rng(SEED)


def formula(shape, seed, n, shift=0.0, scale=1.0):
    return {"shape": shape, "seed": seed, "n": n, "shift": shift, "scale": scale}


def rows_of(sample):
    """The rows of a sample. A formula takes a linear congruential generator (Numerical Recipes), whose 24 upper bits are
    a number between 0 and 1, and shapes it: "uniform", "student" (2 degrees of freedom: its quantile needs a root only)
    or "tied" (50 values)."""
    if isinstance(sample, list):
        return numpy.array(sample, dtype=float)
    state, parts = sample["seed"], []
    for _ in range(sample["n"]):
        state = (1_664_525 * state + 1_013_904_223) % 2**32
        parts.append(((state >> 8) + 0.5) / 2**24)
    u = numpy.array(parts)
    shaped = {
        "uniform": lambda: u,
        "student": lambda: (2.0 * u - 1.0) / numpy.sqrt(2.0 * u * (1.0 - u)),
        "tied": lambda: numpy.floor(50.0 * u),
    }[sample["shape"]]()
    return sample["shift"] + sample["scale"] * shaped


def normal(n, shift=0.0, scale=1.0):
    return [round(float(x), 4) for x in RANDOM.normal(shift, scale, n)]


def student(n, shift=0.0, scale=1.0):
    """Heavy tails: 1.5 degrees of freedom, which have no variance."""
    return [round(float(shift + scale * x), 3) for x in RANDOM.standard_t(1.5, n)]


def tied(n, values, shift=0):
    return [float(x) for x in RANDOM.integers(0, values, n) + shift]


def pairs():
    """Reference and current sample."""
    return [
        ([2.5], [2.5]),
        ([2.5], [3.5]),
        ([2.5], normal(12)),
        ([1.0, 2.0], [1.5, 3.0]),
        ([1.0, 2.0], [3.0, 4.0, 5.0]),
        ([3.0] * 12, [3.0] * 12),
        ([3.0] * 12, [3.0] * 5),
        ([3.0] * 37, [3.001] * 12),
        ([3.0] * 12, normal(37, 3.0)),
        (normal(5), normal(7)),
        (normal(8), normal(8, 1.0)),
        (normal(10), normal(9, 2.0)),
        (normal(10), normal(10)),
        (tied(10, 4), tied(7, 4)),
        (tied(10, 3), tied(10, 3, 1)),
        (normal(12), normal(12)),
        (normal(19), normal(20, 0.5)),
        (normal(20), normal(20, 1.5)),
        (tied(20, 6), tied(13, 6)),
        (normal(21), normal(20)),
        (normal(12), normal(37, 0.5)),
        (student(37), student(12)),
        (student(37), student(37, 1.0)),
        (normal(8), formula("uniform", 3, 500)),
        (formula("student", 5, 2_000), normal(5, 1.0)),
        (tied(37, 5), tied(500, 5)),
        (tied(500, 5), tied(500, 5)),
        (tied(500, 40), tied(500, 40, 3)),
        (student(500), student(500)),
        (student(500), student(500, 0.3)),
        (student(500), student(37, 0.0, 2.0)),
        (normal(500), normal(500, 0.0, 1.2)),
        (formula("uniform", 1, 500), formula("uniform", 2, 500, 0.9)),
        (formula("uniform", 1, 9_999), formula("uniform", 7, 10_000)),
        (formula("student", 1, 10_000), formula("student", 7, 9_000, 0.05)),
        (formula("student", 2, 10_000), formula("student", 9, 10_000, 0.0, 1.1)),
        (formula("student", 2, 10_000), formula("student", 9, 10_001, 0.0, 1.1)),
        (formula("student", 11, 20_000), formula("student", 12, 20_000)),
        (formula("student", 11, 20_000), formula("student", 12, 20_000, 0.02)),
        (formula("student", 11, 20_000), formula("student", 12, 20_000, 0.5)),
        (formula("uniform", 21, 20_000), formula("uniform", 22, 500)),
        (formula("uniform", 21, 20_000), formula("uniform", 23, 500, 0.1)),
        (formula("uniform", 21, 20_000), normal(37, 0.5, 0.3)),
        (formula("uniform", 21, 20_000), normal(12, 0.7, 0.2)),
        (formula("uniform", 21, 20_000), [0.25, 0.5]),
        (formula("uniform", 21, 20_000), [0.25]),
        (formula("tied", 31, 20_000), formula("tied", 32, 20_000)),
        (formula("tied", 31, 20_000), formula("tied", 32, 20_000, 1.0)),
        (formula("tied", 31, 20_000), formula("tied", 33, 500)),
    ]


def number(value):
    """As JSON has it: nothing where the library answers NaN."""
    return None if numpy.isnan(value) else float(value)


def cases(of):
    """One case for each pair; what SciPy refuses, or answers with NaN, has no values."""
    found = []
    for reference, current in PAIRS:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                values = of(rows_of(reference), rows_of(current))
            except (ValueError, IndexError, ZeroDivisionError):
                values = None
        if values and "statistic" in values and values["statistic"] is None:
            values = None
        found.append({"reference": reference, "current": current, "expected": values})
    return found


def kolmogorov_smirnov():
    def of(reference, current):
        result = scipy.stats.ks_2samp(reference, current, method="auto")
        # All places where the distributions are as far apart, to the last digits: SciPy names one of them.
        values = numpy.unique(numpy.concatenate([reference, current]))
        share = lambda rows: numpy.searchsorted(numpy.sort(rows), values, side="right") / len(rows)
        distances = numpy.abs(share(reference) - share(current))
        is_single = numpy.sum(distances > result.statistic - 1e-12) == 1
        place = float(result.statistic_location) if is_single else None
        return {"statistic": float(result.statistic), "place": place, "p": float(result.pvalue)}

    return cases(of)


def kolmogorov():
    found = []
    for n in [1, 2, 3, 5, 12, 50, 139, 140, 141, 500, 5_000, 20_000, 100_000, 100_001, 1_000_000, 1_000_001, 50_000_000]:
        scaled = [0.3, 0.45, 0.6, 0.8, 0.86, 0.87, 1.0, 1.2, 1.45, 1.5, 1.9, 2.1, 3.0, 5.0, 12.0, 18.0]
        distances = [z / n**0.5 for z in scaled] + [0.6 / n, 0.95 / n, 1.3 / n, 2.5 / n, 0.51, 0.8, 1 - 0.4 / n, 1.0]
        for distance in distances:
            found.append({"n": n, "distance": distance, "tail": float(scipy.stats.kstwo.sf(distance, n))})
    return found


def wasserstein():
    def of(reference, current):
        distance = scipy.stats.wasserstein_distance(reference, current)
        return {"distance": float(distance), "normed": float(distance / max(numpy.std(reference), 0.001))}

    return cases(of)


def energy_distance():
    return cases(lambda reference, current: {"distance": float(scipy.stats.energy_distance(reference, current))})


def cramer_von_mises():
    def of(reference, current):
        result = scipy.stats.cramervonmises_2samp(reference, current, method="auto")
        return {"statistic": number(result.statistic), "p": number(result.pvalue)}

    return cases(of)


def anderson_darling():
    def of(reference, current):
        result = scipy.stats.anderson_ksamp([reference, current])
        return {"statistic": number(result.statistic), "p": number(result.pvalue)}

    return cases(of)


def mann_whitney():
    def of(reference, current):
        result = scipy.stats.mannwhitneyu(current, reference, method="auto")
        return {"statistic": float(result.statistic), "p": number(result.pvalue)}

    return cases(of)


METHODS = {
    kolmogorov_smirnov: 'scipy.stats.ks_2samp(method="auto")',
    kolmogorov: "scipy.stats.kstwo.sf",
    wasserstein: "scipy.stats.wasserstein_distance; normed: the same / max(numpy.std(reference), 0.001)",
    energy_distance: "scipy.stats.energy_distance",
    cramer_von_mises: 'scipy.stats.cramervonmises_2samp(method="auto")',
    anderson_darling: "scipy.stats.anderson_ksamp([reference, current])",
    mann_whitney: 'scipy.stats.mannwhitneyu(current, reference, method="auto")',
}

if __name__ == "__main__":
    PAIRS = pairs()
    for method, function in METHODS.items():
        write(method.__name__, function, method())
