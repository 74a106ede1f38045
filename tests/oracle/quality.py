"""Writes the expected values of tests/it/oracle/quality.rs: one JSON file per method, beside this script.

    python3.11 -m venv /tmp/oracle && /tmp/oracle/bin/pip install -r tests/oracle/requirements.txt
    /tmp/oracle/bin/python tests/oracle/quality.py measures

    python3.11 -m venv /tmp/nannyml && /tmp/nannyml/bin/pip install nannyml==0.13.1 statsmodels==0.15.0
    NML_DISABLE_USAGE_LOGGING=1 /tmp/nannyml/bin/python tests/oracle/quality.py nannyml

Every value is what the library answers, none is written by hand. Scores are rounded before anything is computed from
them, and kept as counts. NannyML brings its data sets: the US census (ACS, public domain) and its made-up ones.
"""

import json
import math
import pathlib
import sys
import warnings
from collections import Counter
from importlib.metadata import version

import numpy

FOLDER = pathlib.Path(__file__).parent
SEED = 20_151_018
TAIL = 0.025


def write(name, function, libraries, cases):
    """Writes the cases of one method and the function that they come from."""
    lines = ",\n".join("    " + json.dumps(case) for case in cases)
    head = json.dumps({"function": function, "versions": {name: version(name) for name in libraries}}, indent=2)[:-2]
    (FOLDER / f"{name}.json").write_text(f'{head},\n  "cases": [\n{lines}\n  ]\n}}\n')
    print(f"{name}: {len(cases)} cases")


def defined(function, *arguments, **options):
    """What the function answers, or None where it warns that there is no answer or gives none."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            value = float(function(*arguments, **options))
        except ValueError:
            return None
    is_undefined = any("Undefined" in w.category.__name__ or "No positive class" in str(w.message) for w in caught)
    return value if math.isfinite(value) and not is_undefined else None


def counted(scores, labels):
    """(score, positives, negatives) of each distinct score."""
    scores, labels = numpy.asarray(scores, dtype=float), numpy.asarray(labels, dtype=bool)
    distinct, index = numpy.unique(scores, return_inverse=True)
    positives = numpy.bincount(index, labels, len(distinct)).astype(int)
    n = numpy.bincount(index, minlength=len(distinct))
    return [[float(s), int(p), int(a - p)] for s, p, a in zip(distinct, positives, n)]


def weighted(counts):
    """Scores, labels and weights: what scikit-learn takes instead of repeated rows."""
    rows = [(s, label, n) for s, p, q in counts for label, n in ((1, p), (0, q)) if n > 0]
    return tuple(numpy.array(column) for column in zip(*rows))


def score_samples():
    random = numpy.random.default_rng(SEED)

    def model(n, digits, sureness=1.0):
        """Scores of a model that is too sure (above 1) or not sure enough."""
        odds = random.normal(size=n) * 1.5
        labels = random.random(n) < 1 / (1 + numpy.exp(-odds))
        return counted(numpy.round(1 / (1 + numpy.exp(-odds * sureness)), digits), labels)

    tenths = numpy.arange(11) / 10
    return [
        counted([0.7], [1]),
        counted([0.7], [0]),
        counted([0.2, 0.9], [0, 1]),
        counted([0.5] * 12, [1] * 5 + [0] * 7),
        counted([0.1, 0.2, 0.3, 0.7, 0.8, 0.9], [0, 0, 0, 1, 1, 1]),
        counted([0.1, 0.2, 0.3, 0.7, 0.8, 0.9], [1, 1, 1, 0, 0, 0]),
        counted([0.0, 0.0, 1.0, 1.0, 0.4], [0, 1, 0, 1, 1]),
        counted([0.3, 0.6, 0.9], [1, 1, 1]),
        counted(numpy.repeat(tenths, 20), random.random(220) < numpy.repeat(tenths, 20)),
        model(12, 6),
        model(37, 6),
        model(37, 1),
        model(500, 6, 2.0),
        model(500, 2, 0.5),
        model(20_000, 3),
        model(20_000, 2, 3.0),
        # Not probabilities: only their order counts.
        counted(numpy.round(random.standard_t(1.5, 400), 4), random.random(400) < 0.3),
        counted(numpy.round(random.standard_t(1.5, 400) + numpy.repeat([0, 2], 200), 1), numpy.repeat([0, 1], 200)),
        # A day of many inferences.
        [[step / 20, int(1e8 * step / 20), int(1e8 * (1 - step / 20))] for step in range(1, 20)],
    ]


def scored():
    import sklearn.metrics as metrics

    cases = []
    for counts in score_samples():
        scores, labels, weights = weighted(counts)
        given = {"sample_weight": weights}
        are_probabilities = scores.min() >= 0 and scores.max() <= 1
        case = {
            "counts": counts,
            "roc_auc": defined(metrics.roc_auc_score, labels, scores, **given),
            "roc_auc_bounds": roc_auc_bounds(counts),
            "average_precision": defined(metrics.average_precision_score, labels, scores, **given),
            "brier": None, "log_loss": None, "ece": None, "bins": None,
        }  # fmt: skip
        if are_probabilities:
            both = {"labels": [0, 1], **given}
            case["brier"] = defined(metrics.brier_score_loss, labels, scores, pos_label=1, **both)
            case["log_loss"] = defined(metrics.log_loss, labels, scores, **both)
            case["ece"], case["bins"] = reliability(counts)
        cases.append(case)
    return cases


def roc_auc_bounds(counts):
    """statsmodels' interval, cut to 0 and 1; where its variance is 0 or has no value, the roots of Newcombe's method 5."""
    from statsmodels.stats.nonparametric import rank_compare_2indep

    positives, negatives = (sum(c[side] for c in counts) for side in (1, 2))
    if min(positives, negatives) == 0 or positives + negatives > 100_000:
        return None
    of = [numpy.repeat([c[0] for c in counts], [c[side] for c in counts]) for side in (1, 2)]
    if min(positives, negatives) > 1:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            found = rank_compare_2indep(*of, use_t=False)
        if found.var > 0:
            return [float(numpy.clip(end, 0, 1)) for end in found.conf_int(alpha=2 * TAIL)]
    auc = float(numpy.mean((of[0][:, None] > of[1]) + 0.5 * (of[0][:, None] == of[1])))
    return newcombe(auc, positives, negatives)


def newcombe(auc, positives, negatives):
    import scipy.optimize
    import scipy.stats

    z = scipy.stats.norm.isf(TAIL)

    def excess(value):
        """How far the value is, less the deviations that it may be: Newcombe 2006, method 5, from the paper."""
        half = (positives + negatives) / 2 - 1
        pairs = 1 + half * (1 - value) / (2 - value) + half * value / (1 + value)
        return abs(value - auc) - z * math.sqrt(value * (1 - value) / (positives * negatives) * pairs)

    # At the ends the deviation is 0; an end that is the estimate itself is the bound.
    root = lambda end: end if auc == end else scipy.optimize.brentq(excess, auc if 0 < auc < 1 else abs(auc - 1e-9), end)  # noqa: E731
    return [float(root(0.0)), float(root(1.0))]


def reliability(counts):
    """The bins of scikit-learn's curve, and the mean over observations of their differences."""
    from sklearn.calibration import calibration_curve

    if sum(c[1] + c[2] for c in counts) > 100_000:
        return None, None
    scores = numpy.repeat([c[0] for c in counts], [c[1] + c[2] for c in counts])
    labels = numpy.concatenate([[1] * c[1] + [0] * c[2] for c in counts])
    if len(set(labels)) < 2:
        return None, None
    shares, means = calibration_curve(labels, scores, n_bins=10, strategy="uniform")
    n = numpy.bincount(numpy.searchsorted(numpy.linspace(0, 1, 11)[1:-1], scores), minlength=10)
    n = n[n > 0]
    ece = float(numpy.sum(n * numpy.abs(shares - means)) / n.sum())
    return ece, [[int(a), float(m), float(s)] for a, m, s in zip(n, means, shares)]


def one_against_rest():
    """Rows of (probabilities, true class)."""
    from sklearn.metrics import roc_auc_score

    random = numpy.random.default_rng(SEED)
    cases = []
    for classes, n, digits in [(3, 12, 3), (3, 300, 2), (5, 500, 4)]:
        truth = numpy.concatenate([numpy.arange(classes), random.integers(classes, size=n - classes)])
        odds = random.normal(size=(n, classes)) + 1.2 * numpy.eye(classes)[truth]
        scores = numpy.round(numpy.exp(odds) / numpy.exp(odds).sum(axis=1, keepdims=True), digits)
        # Rounded so that they sum to 1, which scikit-learn asks for.
        scores[:, -1] = numpy.round(1 - scores[:, :-1].sum(axis=1), digits)
        auc = roc_auc_score(truth, scores, multi_class="ovr", average="macro")
        rows = [[[float(s) for s in row], int(t)] for row, t in zip(scores, truth)]
        cases.append({"rows": rows, "roc_auc": float(auc)})
    return cases


def regression_samples():
    random = numpy.random.default_rng(SEED)

    def given(truth, prediction, digits=4):
        return {"pairs": [[float(t), float(p)] for t, p in zip(numpy.round(truth, digits), numpy.round(prediction, digits))]}

    heavy = random.standard_t(1.5, (2, 500))
    return [
        given([3.0], [4.5]),
        given([3.0, 3.0, 3.0], [1.0, 2.0, 4.0]),
        given([1.0, 2.0], [1.0, 2.0]),
        given(*random.normal(size=(2, 12))),
        given(t := random.normal(size=37), t + 0.1 * random.normal(size=37)),
        given(t := random.normal(size=500) * 100, t + random.normal(size=500) * 20 + 5),
        given(heavy[0], heavy[0] + heavy[1]),
        given(1e9 + (t := random.normal(size=500)), 1e9 + t * 0.9),
        {"drawn": 20_000, "seed": 7, "shift": 0.25},
        {"drawn": 20_000, "seed": 8, "shift": 1_000_000.0},
    ]


def uniforms(seed):
    """Draws between 0 and 1, as tests/it/oracle/quality.rs makes them: a 64-bit congruential generator (Knuth's MMIX)."""
    state = seed

    def uniform():
        nonlocal state
        state = (state * 6_364_136_223_846_793_005 + 1_442_695_040_888_963_407) % 2**64
        return (state >> 33) / 2**31

    return uniform


def pairs(sample):
    """The pairs of a sample."""
    if "pairs" in sample:
        return numpy.array(sample["pairs"]).T
    uniform = uniforms(sample["seed"])
    drawn = [(truth := uniform() + sample["shift"], truth + (uniform() - 0.375)) for _ in range(sample["drawn"])]
    return numpy.array(drawn).T


def regression():
    import sklearn.metrics as metrics
    from statsmodels.stats.weightstats import DescrStatsW

    cases = []
    for sample in regression_samples():
        truth, prediction = pairs(sample)
        is_constant = len(set(truth)) == 1
        errors = numpy.abs(prediction - truth)
        bounds = DescrStatsW(errors).zconfint_mean(alpha=2 * TAIL) if len(truth) > 1 else None
        cases.append({
            **sample,
            "mean_absolute_error": float(metrics.mean_absolute_error(truth, prediction)),
            "bounds": bounds and [max(0.0, float(end)) for end in bounds],
            "root_mean_squared_error": float(metrics.root_mean_squared_error(truth, prediction)),
            "mean_error": float(numpy.mean(prediction - truth)),
            # scikit-learn calls a constant truth 0 or 1: nothing is explained.
            "r2": None if is_constant else defined(metrics.r2_score, truth, prediction),
        })  # fmt: skip
    return cases


def isotonic():
    """Points of (x, y, weight), and what is fitted at other places."""
    from sklearn.isotonic import IsotonicRegression

    random = numpy.random.default_rng(SEED)
    heavy = random.standard_t(1.5, (2, 200))
    samples = [
        ([2.0], [5.0], [1.0]),
        ([1.0, 1.0, 2.0], [3.0, 5.0, 4.0], [1.0, 3.0, 2.0]),
        ([1, 2, 3, 4], [4, 3, 2, 1], [1, 1, 1, 1]),
        (numpy.arange(12), random.normal(size=12), numpy.ones(12)),
        (random.integers(10, size=60), random.random(60) < 0.5, random.integers(1, 9, size=60)),
        (x := random.random(500), random.random(500) < x, numpy.ones(500)),
        (numpy.sort(heavy[0]), heavy[1] + numpy.linspace(-2, 2, 200), random.integers(1, 50, size=200)),
    ]
    cases = []
    for x, y, weight in samples:
        x, y, weight = (numpy.round(numpy.asarray(column, dtype=float), 4) for column in (x, y, weight))
        fitted = IsotonicRegression(out_of_bounds="clip").fit(x, y, sample_weight=weight)
        places = numpy.round(numpy.concatenate([[x.min() - 1, x.max() + 1], x[:40], random.uniform(x.min(), x.max(), 40)]), 4)
        cases.append({"points": numpy.stack([x, y, weight], axis=1).tolist(),
                      "at": [[float(p), float(v)] for p, v in zip(places, fitted.predict(places))]})  # fmt: skip
    return cases


def bootstrap():
    """Cells of counts with a statistic of them, and SciPy's intervals over their rows."""
    import scipy.stats
    from sklearn.metrics import average_precision_score

    random = numpy.random.default_rng(SEED)
    skewed = numpy.round(random.lognormal(size=200), 1)
    values = [
        ("mean", [[float(v), int(n)] for v, n in zip(*numpy.unique(skewed, return_counts=True))], 20_000),
        ("mean", [[0.0, 40], [1.0, 9], [10.0, 3]], 20_000),
        ("deviation", [[float(v), int(n)] for v, n in zip(*numpy.unique(skewed, return_counts=True))], 20_000),
    ]
    odds = random.normal(size=300)
    scores = numpy.round(1 / (1 + numpy.exp(-odds)), 2)
    ranked = counted(scores, random.random(300) < 0.4 * scores)
    values.append(("average_precision", [[s, p, n] for s, p, n in ranked], 4_000))
    cases = []
    for statistic, cells, resamples in values:
        if statistic == "average_precision":
            s, label, n = weighted(cells)
            rows = (numpy.repeat(s, n), numpy.repeat(label, n))
            function = lambda s, label: average_precision_score(label, s)  # noqa: E731
            options = {"paired": True, "vectorized": False}
        else:
            rows = (numpy.repeat([c[0] for c in cells], [c[1] for c in cells]),)
            function = numpy.mean if statistic == "mean" else numpy.std
            options = {"vectorized": True}
        case = {"statistic": statistic, "cells": cells}
        for method in ("percentile", "BCa"):
            found = scipy.stats.bootstrap(rows, function, confidence_level=1 - 2 * TAIL, n_resamples=resamples,
                                          method=method, rng=numpy.random.default_rng(SEED), **options)  # fmt: skip
            case[method] = [float(end) for end in found.confidence_interval]
            case["standard_error"] = float(found.standard_error)
        cases.append(case)
    return cases


MILLI = 1_000
METRICS = ["accuracy", "precision", "recall", "f1", "roc_auc"]


def per_thousand(scores):
    """How often each score occurs that is a multiple of a thousandth."""
    return numpy.bincount(numpy.rint(numpy.asarray(scores) * MILLI).astype(int), minlength=MILLI + 1)


def estimates(result, period="analysis"):
    """What NannyML estimates for each chunk, how far it may be by chance, and what the quality was."""
    table = result.filter(period=period).to_df()
    return [{metric: {key: float(table[(metric, column)].iloc[i]) for key, column in
                      (("value", "value"), ("error", "sampling_error"), ("realised", "realized"))} for metric in METRICS}
            for i in range(len(table))]  # fmt: skip


def estimated_quality():
    """The census: what was learnt in 2015 and estimated later, decisions at one half. Once with scores squared, so that
    they have to be calibrated."""
    import nannyml

    reference, analysis, targets = nannyml.load_us_census_ma_employment_data()
    analysis = analysis.merge(targets, on="id")
    cases = []
    for reference_rows, chunk_rows, chunks, power in [(68_785, 20_000, 10, 1), (5_000, 2_500, 4, 1), (68_785, 50_000, 4, 2)]:
        parts = []
        for rows in (reference.head(reference_rows), analysis.head(chunk_rows * chunks)):
            score = numpy.rint(rows["predicted_probability"].to_numpy() ** power * MILLI) / MILLI
            parts.append(rows[["employed"]].assign(score=score, decision=(score >= 0.5).astype(int)).reset_index(drop=True))
        estimator = nannyml.CBPE(problem_type="classification_binary", y_true="employed", y_pred="decision",
                                 y_pred_proba="score", metrics=METRICS, chunk_size=chunk_rows)  # fmt: skip
        estimator.fit(parts[0])
        found = estimates(estimator.estimate(parts[1]))
        positive = parts[0]["employed"] == 1
        starts = range(0, chunk_rows * chunks, chunk_rows)
        cases.append({
            "positives": per_thousand(parts[0]["score"][positive]).tolist(),
            "negatives": per_thousand(parts[0]["score"][~positive]).tolist(),
            "needs_calibration": bool(estimator.needs_calibration),
            "chunks": [{"counts": per_thousand(parts[1]["score"][i : i + chunk_rows]).tolist(), **estimate}
                       for i, estimate in zip(starts, found)],
        })  # fmt: skip
    return cases


STEPS = 20


def estimated_quality_of_classes():
    """NannyML's made-up credit cards: three classes, with probabilities rounded to twentieths."""
    import nannyml

    reference, analysis, targets = nannyml.load_synthetic_multiclass_classification_dataset()
    analysis = analysis.merge(targets, on="id")
    classes = sorted(reference["y_true"].unique())
    columns = {name: f"y_pred_proba_{name}" for name in classes}
    *others, last = columns.values()
    for rows in (reference, analysis):
        steps = {column: numpy.rint(rows[column] * STEPS) for column in others}
        # They have to sum to 1.
        for column, step in {**steps, last: STEPS - sum(steps.values())}.items():
            rows[column] = step / STEPS
    chunk_rows = 10_000
    analysis = analysis.tail(4 * chunk_rows).reset_index(drop=True)
    estimator = nannyml.CBPE(problem_type="classification_multiclass", y_true="y_true", y_pred="y_pred",
                             y_pred_proba=columns, metrics=METRICS, chunk_size=chunk_rows)  # fmt: skip
    estimator.fit(reference)
    found = estimates(estimator.estimate(analysis))

    def counted_rows(rows, keys):
        """Twentieths of each class, then positions of the classes that the keys name, then how many."""
        parts = [numpy.rint(rows[columns[name]] * STEPS).astype(int) for name in classes]
        parts += [rows[key].map(classes.index) for key in keys]
        return [[*map(int, row), n] for row, n in sorted(Counter(zip(*parts)).items())]

    chunks = [analysis.iloc[i : i + chunk_rows] for i in range(0, len(analysis), chunk_rows)]
    return [{
        "reference": counted_rows(reference, ["y_pred", "y_true"]),
        "calibrated": [isinstance(estimator._calibrators[name], nannyml.calibration.IsotonicCalibrator) for name in classes],
        "chunks": [{"predictions": counted_rows(chunk, ["y_pred"]), **estimate} for chunk, estimate in zip(chunks, found)],
    }]  # fmt: skip


def inferences(n, seed, lean):
    """Rows of (prediction, two features, error), as tests/it/oracle/quality.rs makes them. Errors grow with the product of
    the features, and both features with `lean`."""
    uniform = uniforms(seed)

    def feature():
        low, high, chosen = uniform(), uniform(), uniform()
        return max(low, high) if chosen < lean else low

    rows = []
    for _ in range(n):
        a, b = feature(), feature()
        rows.append((500.0 + 600.0 * a - 300.0 * b, a, b, (uniform() + uniform() - 1.0) * (50.0 + 400.0 * (a * b))))
    return numpy.array(rows)


def estimated_error():
    """What DLE estimates with boosted trees for windows that are ever less like the reference, and what their errors were."""
    import nannyml
    import pandas

    def table(n, seed, lean):
        rows = pandas.DataFrame(inferences(n, seed, lean), columns=["y_pred", "a", "b", "error"])
        return rows.assign(y_true=rows["y_pred"] - rows["error"]).drop(columns="error")

    reference, rows = {"n": 20_000, "seed": 1, "lean": 0.0}, 5_000
    estimator = nannyml.DLE(feature_column_names=["a", "b"], y_true="y_true", y_pred="y_pred", metrics=["mae", "rmse"],
                            chunk_size=rows)  # fmt: skip
    estimator.fit(table(**reference))
    windows = [{"n": rows, "seed": 2 + i, "lean": lean} for i, lean in enumerate((0.0, 0.5, 1.0))]
    data = pandas.concat([table(**window) for window in windows], ignore_index=True)
    found = estimator.estimate(data).filter(period="analysis").to_df()
    return [{
        "reference": reference,
        "windows": [{
            **window,
            **{metric: {"estimated": float(found[(metric, "value")].iloc[i]), "realised": float(found[(metric, "realized")].iloc[i])}
               for metric in ("mae", "rmse")},
        } for i, window in enumerate(windows)],
    }]  # fmt: skip


SCIENCE = ("numpy", "scipy", "scikit-learn", "statsmodels")
NANNYML = ("nannyml", "numpy", "pandas", "scikit-learn", "scipy", "lightgbm")
FILES = {
    "measures": {
        scored: "sklearn.metrics: roc_auc_score, average_precision_score, brier_score_loss, log_loss; "
        'sklearn.calibration.calibration_curve(strategy="uniform"); '
        "statsmodels.stats.nonparametric.rank_compare_2indep(use_t=False).conf_int",
        one_against_rest: 'sklearn.metrics.roc_auc_score(multi_class="ovr", average="macro")',
        regression: "sklearn.metrics: mean_absolute_error, root_mean_squared_error, r2_score; numpy.mean; "
        "statsmodels.stats.weightstats.DescrStatsW.zconfint_mean",
        isotonic: 'sklearn.isotonic.IsotonicRegression(out_of_bounds="clip")',
        bootstrap: "scipy.stats.bootstrap",
    },
    "nannyml": {
        estimated_quality: 'nannyml.CBPE(problem_type="classification_binary")',
        estimated_quality_of_classes: 'nannyml.CBPE(problem_type="classification_multiclass")',
        estimated_error: "nannyml.DLE",
    },
}

if __name__ == "__main__":
    if len(sys.argv) != 2 or sys.argv[1] not in FILES:
        sys.exit(f"usage: quality.py {' | '.join(FILES)}")
    for method, function in FILES[sys.argv[1]].items():
        write(method.__name__, function, SCIENCE if sys.argv[1] == "measures" else NANNYML, method())
