"""Writes the expected values of tests/it/oracle.rs: one JSON file per method, beside this script.

    python3 -m venv /tmp/oracle && /tmp/oracle/bin/pip install -r tests/oracle/requirements.txt
    /tmp/oracle/bin/python tests/oracle/expected.py

Every value is what the library answers, none is written by hand; the libraries' versions are in
requirements.txt and, as installed, in every file.
"""

import json
import math
import pathlib
import warnings

import numpy
import scipy
import scipy.optimize
import scipy.stats
import sklearn
import sklearn.metrics
import statsmodels
from statsmodels.stats.proportion import proportion_confint, test_proportions_2indep

FOLDER = pathlib.Path(__file__).parent
SEED = 20_151_018

# One-sided errors: display, each of two turns of display, and decisions over 17 features x 30 looks and more.
TAILS = [0.05, 0.01, 0.005, 1e-4, 9.8e-6, 2.8e-7]


def write(name, function, cases):
    """Writes the cases of one method and the function that they come from."""
    versions = {module.__name__: module.__version__ for module in (numpy, scipy, sklearn, statsmodels)}
    lines = ",\n".join("    " + json.dumps(case) for case in cases)
    head = json.dumps({"function": function, "versions": versions}, indent=2)[:-2]
    (FOLDER / f"{name}.json").write_text(f'{head},\n  "cases": [\n{lines}\n  ]\n}}\n')
    print(f"{name}: {len(cases)} cases")


def normal():
    tails = [0.999999, 0.99, 0.5, 0.2, 1e-12, 1e-30, 1e-100, 1e-290, *TAILS]
    return [
        {"tail": tail, "quantile": float(scipy.stats.norm.ppf(1 - tail)) if tail >= 1e-3 else None,
         "z": float(scipy.stats.norm.isf(tail)), "tail_of_z": float(scipy.stats.norm.sf(scipy.stats.norm.isf(tail)))}
        for tail in tails
    ]  # fmt: skip


def wilson():
    cases = []
    for successes, n in [(0, 10), (10, 10), (1, 3), (7, 20), (50, 100), (2, 1_000), (41_273, 50_000), (1, 1_000_000)]:
        for tail in TAILS:
            # Its alpha is two-sided: each end is one-sided at half of it.
            lower, upper = proportion_confint(successes, n, alpha=2 * tail, method="wilson")
            cases.append({"successes": successes, "n": n, "tail": tail, "lower": float(lower), "upper": float(upper)})
    return cases


def miettinen_nurminen():
    """Bounds of current - reference, and statsmodels' p-value of "current is not above reference"."""
    samples = [
        (7, 20, 3, 20),
        (30, 100, 20, 100),
        (60, 500, 15, 500),
        (15, 500, 15, 500),
        (26, 500, 40, 500),
        (5, 2_500, 40, 25_000),
        (900, 1_000, 29_000, 34_000),
        (13_250, 25_000, 12_500, 25_000),
        (2_400, 25_000, 750, 25_000),
        (35_000, 35_065, 34_000, 34_392),
    ]
    cases = []
    for current, current_n, reference, reference_n in samples:
        counts = (current, current_n, reference, reference_n)
        for tail in TAILS:
            cases.append({"current": [current, current_n], "reference": [reference, reference_n], "tail": tail,
                          "lower": score_bound(counts, tail), "p": float(score_test(counts, 0.0).pvalue)})  # fmt: skip
    return cases


def score_test(counts, difference):
    return test_proportions_2indep(
        *counts, value=difference, compare="diff", method="score", alternative="larger", correction=True
    )


def score(counts, difference):
    """Miettinen and Nurminen's statistic, from the paper's definition: the shares p and q that are most likely among
    those with p - q = difference solve the likelihood equation, which falls in q and has one root."""
    current, current_n, reference, reference_n = counts
    slope = lambda q: (current / (q + difference) - (current_n - current) / (1 - q - difference)
                       + reference / q - (reference_n - reference) / (1 - q))  # fmt: skip
    edge = 1e-15
    q = scipy.optimize.brentq(slope, max(0.0, -difference) + edge, min(1.0, 1.0 - difference) - edge, xtol=1e-16, rtol=1e-15)
    p, n = q + difference, current_n + reference_n
    variance = (p * (1 - p) / current_n + q * (1 - q) / reference_n) * n / (n - 1)
    return (current / current_n - reference / reference_n - difference) / variance**0.5


def score_bound(counts, tail):
    """The difference at which the statistic is the normal quantile. Not by confint_proportions_2indep: it looks for the
    end within a quarter of Wald's, fails where it lies farther, and is off in the fourth digit for small samples."""
    z, observed = scipy.stats.norm.isf(tail), counts[0] / counts[1] - counts[2] / counts[3]
    assert abs(score(counts, 0.0) - score_test(counts, 0.0).statistic) < 1e-9, counts
    return float(scipy.optimize.brentq(lambda difference: score(counts, difference) - z, -1 + 1e-9, observed, xtol=1e-14))


def ratio_of_shares():
    """Bounds of current / reference: where statsmodels' statistic is the normal quantile."""
    samples = [
        (7, 20, 3, 20),
        (0, 30, 5, 40),
        (12, 12, 5, 12),
        (5, 2_500, 40, 25_000),
        (900, 1_000, 29_000, 34_000),
        (1_300, 10_000, 1_000, 10_000),
        (2, 1_000_000, 9, 1_000_000),
    ]
    cases = []
    for counts in samples:
        statistic = lambda log: float(
            test_proportions_2indep(
                *counts, value=math.exp(log), compare="ratio", method="score", alternative="larger", correction=True
            ).statistic
        )
        observed = math.log(max(counts[0], 0.01) / counts[1] / (counts[2] / counts[3]))
        for tail in TAILS:
            z = scipy.stats.norm.isf(tail)
            find = lambda level, low, high: math.exp(scipy.optimize.brentq(lambda log: statistic(log) - level, low, high, xtol=1e-14))
            cases.append({"current": counts[:2], "reference": counts[2:], "tail": tail,
                          "lower": find(z, observed - 12, observed) if counts[0] else 0.0,
                          "upper": find(-z, observed, observed + 12)})  # fmt: skip
    return cases


def mcnemar():
    pairs = [(0, 0), (0, 7), (1, 0), (5, 0), (4, 1), (12, 5), (9, 9), (30, 12), (28, 3), (300, 240), (2_000, 1_800)]
    return [
        # With nothing to test SciPy refuses n = 0 or says 1; here it is 1.
        {"lost": lost, "gained": gained,
         "p": float(scipy.stats.binomtest(lost, lost + gained, alternative="greater").pvalue) if lost + gained else 1.0}
        for lost, gained in pairs
    ]  # fmt: skip


def benjamini_hochberg():
    random = numpy.random.default_rng(SEED)
    lists = [
        [0.03],
        [0.01, 0.04, 0.03, 0.005],
        [0.5, 0.5, 0.5],
        [1.0, 0.0, 0.2, 0.2],
        [1e-12, 0.9, 0.04, 0.05, 1e-3],
        [float(p) for p in random.random(18)],
        [float(p) for p in random.random(60) ** 6],
    ]
    return [
        {"p": p, "adjusted": [float(q) for q in scipy.stats.false_discovery_control(p, method="bh")]} for p in lists
    ]


def hypergeometric():
    cases = []
    for population, marked, draws in [
        (10, 4, 5),
        (99, 98, 49),
        (1_000, 3, 500),
        (1_000, 500, 500),
        (68_785, 20_000, 34_392),
        (140_000, 70_000, 70_000),
        (5_000_000, 40, 2_500_000),
        (1_000_000, 300_000, 500_000),
    ]:
        law = scipy.stats.hypergeom(population, marked, draws)
        least, most = law.support()
        deviation = float(law.std())
        mode = (draws + 1) * (marked + 1) // (population + 2)
        drawn = {mode, *(round(mode + s * deviation) for s in (-6, -3, -1, 1, 3, 6))}
        for k in sorted(k for k in drawn if least <= k <= most):
            cases.append({"population": population, "marked": marked, "draws": draws, "drawn": int(k),
                          "log_probability": float(law.logpmf(k))})  # fmt: skip
    return cases


def poisson():
    """Events and exposure now and before, and the p-value of "not more often than before"."""
    cases = []
    for now, exposure, before, exposure_before in [
        (0, 1.0, 0, 1.0),
        (1, 1.0, 0, 1.0),
        (3, 1_000.0, 0, 336_000.0),
        (15, 1_000.0, 3_360, 336_000.0),
        (60, 1_000.0, 3_360, 336_000.0),
        (9, 500.0, 700, 336_000.0),
        (2_000, 48.0, 9_000, 336.0),
        (1_400, 48.0, 9_800, 336.0),
        (1_300, 48.0, 9_800, 336.0),
        (500_500, 1.0, 500_000, 1.0),
        (60, 1.0, 1, 1_000.0),
    ]:
        share = exposure / (exposure + exposure_before)
        p = scipy.stats.binomtest(now, now + before, share, alternative="greater").pvalue if now + before > 0 else 1.0
        cases.append({"now": [now, exposure], "before": [before, exposure_before], "p": float(p)})
    return cases


def classification():
    random = numpy.random.default_rng(SEED)
    samples = [
        (["0", "1"], 400, 0.8),
        (["0", "1"], 37, 0.5),
        (["cat", "dog", "eel"], 200, 0.6),
        ([f"intent{i}" for i in range(12)], 1_500, 0.75),
    ]
    cases = []
    for classes, n, accuracy in samples:
        truth = random.choice(classes, n, p=(weights := random.dirichlet(numpy.full(len(classes), 3.0))))
        predicted = numpy.where(random.random(n) < accuracy, truth, random.choice(classes, n, p=weights))
        cases.append(scores(classes, truth, predicted))
    # A class that is predicted and never true, one that is true and never predicted, and neither.
    truth = numpy.array(["a"] * 8 + ["b"] * 6 + ["c"] * 5)
    predicted = numpy.array(["a"] * 8 + ["a"] * 3 + ["b"] * 3 + ["d"] * 5)
    cases.append(scores(["a", "b", "c", "d", "e"], truth, predicted))
    # A class that is too rare for the macro average.
    truth = numpy.array(["a"] * 8 + ["b"] * 6 + ["c"] * 2)
    predicted = numpy.array(["a"] * 7 + ["d"] + ["b"] * 4 + ["c"] * 2 + ["c", "a"])
    cases.append(scores(["a", "b", "c", "d"], truth, predicted))
    return cases


def scores(classes, truth, predicted):
    """All scores of one sample; null where scikit-learn warns that a score is ill-defined."""
    pairs, counts = numpy.unique(numpy.stack([predicted, truth], axis=1), axis=0, return_counts=True)

    def score(function, **arguments):
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            value = float(function(truth, predicted, **arguments))
        is_ill_defined = any(issubclass(w.category, sklearn.exceptions.UndefinedMetricWarning) for w in caught)
        return None if is_ill_defined else value

    def of_class(function, name):
        # average="macro" over one label is that label against the rest, as average="binary" with it as pos_label.
        return score(function, labels=[name], average="macro")

    metrics = sklearn.metrics
    return {
        "pairs": [[str(p), str(t), int(n)] for (p, t), n in zip(pairs, counts)],
        "accuracy": score(metrics.accuracy_score),
        "micro": {
            "precision": score(metrics.precision_score, average="micro"),
            "recall": score(metrics.recall_score, average="micro"),
            "f1": score(metrics.f1_score, average="micro"),
        },
        "macro_f1_of_true_classes": float(
            metrics.f1_score(truth, predicted, average="macro", labels=sorted(set(truth)), zero_division=0)
        ),
        "micro_f1_of_true_classes": float(
            metrics.f1_score(truth, predicted, average="micro", labels=sorted(set(truth)), zero_division=0)
        ),
        "classes": {
            name: {
                "precision": of_class(metrics.precision_score, name),
                "recall": of_class(metrics.recall_score, name),
                "f1": of_class(metrics.f1_score, name),
            }
            for name in classes
        },
    }


def quantile():
    random = numpy.random.default_rng(SEED)
    samples = [[2.5], [1.0, 2.0], sorted(float(x) for x in random.normal(size=31)), [0.0] * 5 + [1.0] * 5]
    return [
        {"sorted": sample, "level": level, "quantile": float(numpy.quantile(sample, level))}
        for sample in samples
        for level in (0.0, 0.05, 0.5, 0.95, 0.999, 1.0)
    ]


METHODS = {
    normal: "scipy.stats.norm: ppf(1 - tail), isf(tail), sf(isf(tail))",
    wilson: 'statsmodels.stats.proportion.proportion_confint(alpha=2 * tail, method="wilson")',
    miettinen_nurminen: 'lower: scipy.optimize.brentq over the statistic of Miettinen and Nurminen; '
    'p: statsmodels.stats.proportion.test_proportions_2indep(method="score", alternative="larger", correction=True)',
    ratio_of_shares: 'scipy.optimize.brentq over the statistic of '
    'statsmodels.stats.proportion.test_proportions_2indep(compare="ratio", method="score", correction=True)',
    mcnemar: 'scipy.stats.binomtest(lost, lost + gained, alternative="greater")',
    benjamini_hochberg: 'scipy.stats.false_discovery_control(method="bh")',
    hypergeometric: "scipy.stats.hypergeom.logpmf",
    poisson: 'scipy.stats.binomtest(now, now + before, share of the exposure, alternative="greater")',
    classification: "sklearn.metrics: accuracy_score, precision_score, recall_score, f1_score",
    quantile: "numpy.quantile",
}

if __name__ == "__main__":
    for method, function in METHODS.items():
        write(method.__name__, function, method())
