"""Writes the expected values of tests/it/oracle/streams.rs: one JSON file per method, beside this script.

    python3.11 -m venv /tmp/oracle-streams && /tmp/oracle-streams/bin/pip install -r tests/oracle/requirements.txt
    /tmp/oracle-streams/bin/pip install --no-deps gbstats==0.8.0  # Asks for an old NumPy, does not need it.
    /tmp/oracle-streams/bin/python tests/oracle/streams.py

Every value is what the library answers, or NumPy from a definition; none is written by hand. Long inputs are not kept:
both sides make them by the same rule (Source here and there), exactly, from a seed.
"""

import importlib.metadata
import inspect
import json
import math
import pathlib

import gbstats
import numpy
import river
import river.drift
import scipy
import scipy.spatial.distance
import sklearn
import sklearn.metrics
import sklearn.model_selection
from gbstats.frequentist.tests import SequentialConfig, SequentialTwoSidedTTest
from gbstats.models.statistics import SampleMeanStatistic
from sklearn.compose import ColumnTransformer
from sklearn.impute import SimpleImputer
from sklearn.inspection import permutation_importance
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import RepeatedStratifiedKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

FOLDER = pathlib.Path(__file__).parent
SEED = 20_151_018


def write(name, function, libraries, cases):
    """Writes the cases of one method and the function that they come from."""
    versions = {module.__name__: version_of(module) for module in libraries}
    lines = ",\n".join("    " + json.dumps(case, allow_nan=False) for case in cases)
    head = json.dumps({"function": function, "versions": versions}, indent=2)[:-2]
    (FOLDER / f"{name}.json").write_text(f'{head},\n  "cases": [\n{lines}\n  ]\n}}\n')
    print(f"{name}: {len(cases)} cases")


def version_of(module):
    return importlib.metadata.version({"sklearn": "scikit-learn"}.get(module.__name__, module.__name__))


class Source:
    """Numbers from a seed: a small congruential generator and operations that every machine rounds alike."""

    def __init__(self, seed):
        self.state = seed

    def uniform(self):
        self.state = (1_103_515_245 * self.state + 12_345) % 2**31
        return (2 * self.state + 1) / 2**32

    def number(self, kind):
        if kind == "uniform":
            return self.uniform()
        if kind == "coin":
            return 1.0 if self.uniform() < 0.25 else 0.0
        if kind == "bell":
            return self.uniform() + self.uniform() + self.uniform() + self.uniform() - 2.0
        if kind == "heavy":
            # Student's t with two degrees.
            u = self.uniform()
            return (2.0 * u - 1.0) / math.sqrt(2.0 * u * (1.0 - u))
        raise ValueError(kind)


def made(stream):
    """The observations of a stream: those that it holds, or those of its parts (kind, n, times, plus)."""
    if "values" in stream:
        return stream["values"]
    source = Source(stream["seed"])
    return [plus + times * source.number(kind) for kind, n, times, plus in stream["parts"] for _ in range(n)]


def streams():
    random = numpy.random.default_rng(SEED)
    t = lambda n: numpy.round(random.standard_t(1.5, n), 2).tolist()
    return [
        {"values": [3.5]},
        {"values": [float(n % 3) for n in range(12)]},
        {"values": numpy.round(random.normal(size=37), 3).tolist()},
        {"values": t(500)},
        {"values": t(250) + [value + 6.0 for value in t(250)]},
        {"seed": 1, "parts": [["uniform", 1_000, 0.0, 4.0]]},
        {"seed": 2, "parts": [["bell", 1_000, 1.0, 0.0], ["bell", 1_000, 1.0, 1.0]]},
        {"seed": 3, "parts": [["bell", 1_000, 1.0, 1.0], ["bell", 1_000, 1.0, 0.0]]},
        {"seed": 4, "parts": [["coin", 2_000, 1.0, 0.0], ["coin", 500, 1.0, 1.0], ["coin", 2_000, 1.0, 0.0]]},
        {"seed": 5, "parts": [["uniform", 600, 1.0, 0.0], ["uniform", 600, 9.0, -4.0], ["uniform", 600, 1.0, 2.0]]},
        {"seed": 6, "parts": [["bell", 500, 1.0, n / 10] for n in range(12)]},
        {"seed": 7, "parts": [["bell", 20_000, 1.0, 0.0]]},
        {"seed": 8, "parts": [["heavy", 20_000, 1.0, 0.0]]},
        {"seed": 9, "parts": [["heavy", 10_000, 1.0, 0.0], ["heavy", 10_000, 1.0, 2.0]]},
        {"seed": 10, "parts": [["bell", 300, 1.0, 0.0], ["bell", 60, 1.0, 4.0]] * 12},
    ]


def page_hinkley():
    settings = [
        {},
        {"threshold": 5.0},
        {"min_instances": 1, "delta": 0.2, "threshold": 8.0, "alpha": 1.0},
        {"min_instances": 100, "delta": 0.0, "threshold": 20.0, "alpha": 0.99},
    ]
    cases = []
    for stream in streams():
        for setting in settings:
            detector = river.drift.PageHinkley(**setting)
            names = ("min_instances", "delta", "threshold", "alpha")
            cases.append({"stream": stream, **{name: getattr(detector, name) for name in names}, "alarms": alarms(detector, stream)})
    return shared(cases)


def adaptive_windowing():
    settings = [
        {},
        {"delta": 0.1, "clock": 1},
        {"delta": 0.01, "clock": 7, "max_buckets": 2, "min_window_length": 1, "grace_period": 3},
        {"delta": 1e-6, "clock": 16, "max_buckets": 12, "min_window_length": 30, "grace_period": 100},
    ]
    defaults = {name: value.default for name, value in inspect.signature(river.drift.ADWIN).parameters.items()}
    cases = []
    for stream in streams():
        for setting in settings:
            detector = river.drift.ADWIN(**setting)
            # What is left of the window at an alarm, and its mean.
            left = lambda: [int(detector.width), float(detector.estimation)]
            cases.append({"stream": stream, **defaults, **setting, "alarms": alarms(detector, stream, left)})
    return shared(cases)


def alarms(detector, stream, describe=None):
    found = []
    for index, observation in enumerate(made(stream)):
        detector.update(observation)
        if detector.drift_detected:
            found.append([index, *describe()] if describe else index)
    return found


def shared(cases):
    """Streams that hold their values are written once, for the first case of each."""
    seen = {}
    for case in cases:
        key = json.dumps(case["stream"])
        if "values" in case["stream"] and key in seen:
            case["stream"] = {"same_as": seen[key]}
        else:
            seen[key] = len(seen)
            case["stream"] = {"number": seen[key], **case["stream"]}
    return cases


def cusum():
    """Page's sums as how far the cumulative sum lies above its lowest value, in NumPy, restarted after each alarm."""
    cases = []
    for stream in streams():
        observations = numpy.array(made(stream))
        # Rounded values do not add up to such intervals, so that rounding does not decide.
        for target, allowance, interval in [(0.0, 0.5, 5.0037), (0.25, 0.1, 3.0037), (4.0, 0.0, 40.0037)]:
            found, start = [], 0
            while start < len(observations):
                sums = {
                    side: sum_above_lowest(sign * (observations[start:] - target) - allowance) for side, sign in (("up", 1), ("down", -1))
                }
                beyond = (sums["up"] > interval) | (sums["down"] > interval)
                if not beyond.any():
                    break
                at = int(beyond.argmax())
                side = "up" if sums["up"][at] > interval else "down"
                found.append([start + at, side, float(sums[side][at])])
                start += at + 1
            # A few alarms of a stream that is far from the target say as much as all of them.
            case = {"stream": stream, "target": target, "allowance": allowance, "decision_interval": interval}
            cases.append({**case, "count": len(found), "alarms": found[:40]})
    return shared(cases)


def sum_above_lowest(excesses):
    sums = numpy.concatenate([[0.0], numpy.cumsum(excesses)])
    return (sums - numpy.minimum.accumulate(sums))[1:]


def confidence_sequence():
    """The interval of a difference of two means that are 0; its squared standard error times all observations is the variance."""
    cases = []
    for control, treatment in [(2, 2), (12, 25), (500, 500), (2_500, 2_500), (20_000, 10_000), (5 * 10**8, 5 * 10**8)]:
        for variance in (1e-6, 0.09, 1.0, 2.5e7):
            sides = [SampleMeanStatistic(n=n, sum=0.0, sum_squares=variance * (n - 1)) for n in (control, treatment)]
            for alpha in (0.5, 0.05, 0.01, 1e-6):
                test = SequentialTwoSidedTTest(*sides, SequentialConfig(alpha=alpha, difference_type="absolute"))
                n = control + treatment
                cases.append({"variance": float(test.variance * n), "n": n, "alpha": alpha, "half_width": float(test.confidence_interval[1])})
    return cases


def maximum_mean_discrepancy():
    random = numpy.random.default_rng(SEED)
    normal = lambda n, dimension, shift=0.0, scale=1.0: numpy.round(shift + scale * random.normal(size=(n, dimension)), 3)
    heavy = lambda n, dimension: numpy.round(random.standard_t(1.5, (n, dimension)), 3)
    grid = lambda n, dimension, high: random.integers(0, high, (n, dimension)).astype(float)
    pairs = [
        (normal(1, 3), normal(12, 3)),
        (numpy.full((12, 2), 0.1), numpy.full((37, 2), 0.1)),
        (normal(2, 1), normal(2, 1)),
        (normal(12, 3), normal(12, 3)),
        (normal(12, 3), normal(12, 3, shift=1.5)),
        (normal(37, 8), normal(25, 8, shift=0.4)),
        (normal(37, 64), normal(12, 64, scale=1.2)),
        (grid(37, 2, 4), grid(50, 2, 3)),
        (grid(60, 1, 2), grid(40, 1, 2)),
        (heavy(300, 2), heavy(200, 2)),
        (heavy(150, 3), 3.0 * heavy(150, 3)),
        (normal(500, 2), normal(400, 2, shift=0.12)),
        (1e6 + normal(40, 2), 1e6 + normal(40, 2, shift=1.0)),
    ]
    cases = []
    for reference, current in pairs:
        flat = [[float(x) for x in side.astype(numpy.float32).ravel()] if abs(side).max() > 1e5 else side.ravel().tolist() for side in (reference, current)]
        case = {"dimension": reference.shape[1], "reference": flat[0], "current": flat[1]}
        cases.append({**case, **by_definition(reference, current, random)})
    return cases


def by_definition(reference, current, random):
    """The unbiased estimate, the median distance and the p-value; null where there is no estimate or no width."""
    m, n = len(reference), len(current)
    # As the vectors are kept.
    rows = numpy.concatenate([reference, current]).astype(numpy.float32).astype(float)
    distances = scipy.spatial.distance.pdist(rows)
    width = float(numpy.median(distances))
    if min(m, n) < 2 or width == 0.0:
        return {"squared": None, "bandwidth": None, "p": None, "permutations": 0}
    kernel = numpy.exp(-scipy.spatial.distance.squareform(distances) ** 2 / (2 * width**2))
    numpy.fill_diagonal(kernel, 0.0)

    def squared(order):
        one, other = order[:m], order[m:]
        within = kernel[numpy.ix_(one, one)].sum() / (m * (m - 1)) + kernel[numpy.ix_(other, other)].sum() / (n * (n - 1))
        return float(within - 2 * kernel[numpy.ix_(one, other)].mean())

    observed = squared(numpy.arange(m + n))
    permutations = 4_000 if m + n < 500 else 500
    beyond = sum(squared(random.permutation(m + n)) >= observed - 1e-12 for _ in range(permutations))
    p = (1 + beyond) / (1 + permutations)
    return {"squared": observed, "bandwidth": width, "p": p, "permutations": permutations}


def large_discrepancy():
    """Two sets that are too large to be compared whole, by all their pairs: what a sample of them estimates."""
    cases = []
    for shift in (0.0, 0.5):
        source = Source(21)
        sides = [[[plus + source.number("bell") for _ in range(3)] for _ in range(4_000)] for plus in (0.0, shift)]
        reference, current = (numpy.array(side) for side in sides)
        width = float(numpy.median(scipy.spatial.distance.pdist(numpy.concatenate([reference, current]))))
        mean = lambda one, other: numpy.exp(-scipy.spatial.distance.cdist(one, other, "sqeuclidean") / (2 * width**2)).sum()
        n = len(reference)
        within = sum((mean(side, side) - n) / (n * (n - 1)) for side in (reference, current))
        squared = float(within - 2 * mean(reference, current) / n**2)
        cases.append({"seed": 21, "n": n, "dimension": 3, "shift": shift, "squared": squared, "bandwidth": width})
    return cases


def logistic():
    random = numpy.random.default_rng(SEED)
    cases = []

    def add(columns, outcome, extra=None):
        rows = numpy.round(numpy.column_stack(columns), 3)
        cases.append({**(extra or {"rows": rows.tolist(), "outcomes": [bool(o) for o in outcome]}), **fitted(rows, outcome)})

    for n in (12, 37, 500):
        one, other = random.normal(size=n), random.standard_t(1.5, n)
        kind = random.integers(0, 5, n)
        outcome = random.random(n) < 1 / (1 + numpy.exp(-(one + 0.3 * (kind == 1))))
        add([one, 1e3 + 1e2 * other, kind == 0, kind == 1, numpy.full(n, 0.1), 2 * one], outcome)
    # All separated, one against many, and a value that only one row has.
    add([numpy.arange(40.0)], numpy.arange(40) >= 20)
    add([random.normal(size=60), random.normal(size=60)], numpy.arange(60) == 0)
    add([random.normal(size=80), numpy.arange(80) == 7], random.random(80) < 0.5)
    source = Source(31)
    made_rows = [[source.number(kind) for kind in ("bell", "heavy", "coin", "uniform")] for _ in range(20_000)]
    made_outcomes = [source.uniform() < 0.3 + 0.2 * row[2] + 0.1 * row[0] for row in made_rows]
    cases.append({"seed": 31, "n": 20_000, **fitted(numpy.array(made_rows), made_outcomes)})
    return cases


def fitted(rows, outcomes):
    model = make_pipeline(StandardScaler(), LogisticRegression(C=1.0, solver="newton-cholesky", tol=1e-12, max_iter=10_000))
    model.fit(rows, outcomes)
    return {"intercept": float(model[-1].intercept_[0]), "coefficients": [float(c) for c in model[-1].coef_[0]]}


def domain_classifier():
    random = numpy.random.default_rng(SEED)
    number = lambda values, digits=2: [None if math.isnan(v) else round(float(v), digits) for v in values]
    gaps = lambda values, share: numpy.where(random.random(len(values)) < share, math.nan, values)
    choice = lambda n, names, weights: [str(v) for v in random.choice(names, n, p=weights)]
    some = lambda values, share: [None if random.random() < share else v for v in values]
    colours, even, skewed = ["red", "green", "blue"], [1 / 3, 1 / 3, 1 / 3], [0.6, 0.3, 0.1]
    tables = []
    for m, n in [(12, 12), (37, 37), (37, 120), (500, 500)]:
        # Nothing moved; a number moved; a category did; a part went missing.
        tables.append({"a": [number(random.normal(size=k)) for k in (m, n)], "b": [choice(k, colours, even) for k in (m, n)]})
        tables.append({"a": [number(random.normal(size=m)), number(random.normal(size=n) + 1.0)], "c": [number(random.normal(size=k)) for k in (m, n)]})
        tables.append({"b": [choice(m, colours, even), choice(n, colours, skewed)], "a": [number(random.normal(size=k)) for k in (m, n)]})
        tables.append({"a": [number(gaps(random.normal(size=k), share)) for k, share in ((m, 0.1), (n, 0.4))],
                       "b": [some(choice(k, colours, even), share) for k, share in ((m, 0.3), (n, 0.1))]})  # fmt: skip
    t = lambda n: random.standard_t(1.5, n)
    tables.append({"a": [number(t(400)), number(t(300))], "c": [number(t(400)), number(t(300) + 1.0)]})
    tables.append({"a": [number(random.normal(size=400)), number(3 * random.normal(size=400))]})
    tables.append({"a": [[1.5] * 40, [1.5] * 40], "b": [["same"] * 40] * 2})
    # More categories than have a column of their own.
    names = [f"v{n}" for n in range(60)]
    tables.append({"b": [choice(600, names, numpy.full(60, 1 / 60)), choice(500, names, numpy.arange(1, 61) / 1_830)]})
    return [{"features": [{"name": name, "reference": sides[0], "current": sides[1]} for name, sides in table.items()],
             **cross_validated(table)} for table in tables]  # fmt: skip


def cross_validated(table):
    """The mean ROC-AUC of repeated folds, and by how much it falls when a column is shuffled in the fold left out."""
    columns = [sum(sides, []) for sides in table.values()]
    is_text = [any(isinstance(value, str) for value in column) for column in columns]
    rows = numpy.empty((len(columns[0]), len(columns)), dtype=object)
    for index, column in enumerate(columns):
        missing = "(absent)" if is_text[index] else math.nan
        rows[:, index] = [missing if value is None else value for value in column]
    first = next(iter(table.values()))
    is_current = numpy.array([False] * len(first[0]) + [True] * len(first[1]))
    numbers = [index for index, text in enumerate(is_text) if not text]
    texts = [index for index, text in enumerate(is_text) if text]
    encoder = OneHotEncoder(max_categories=21, handle_unknown="infrequent_if_exist", sparse_output=False)
    columns = ColumnTransformer([("numbers", SimpleImputer(add_indicator=True), numbers), ("texts", encoder, texts)])
    model = make_pipeline(columns, StandardScaler(), LogisticRegression(C=1.0, max_iter=10_000))
    # Small tables change with their folds, so that the mean of many divisions is compared; shuffling takes longest.
    repeats = 100 if len(rows) < 100 else 20 if len(rows) < 200 else 2
    areas, drops = [], []
    folds = RepeatedStratifiedKFold(n_splits=5, n_repeats=repeats, random_state=SEED)
    for seen, unseen in folds.split(rows, is_current):
        model.fit(rows[seen], is_current[seen])
        areas.append(sklearn.metrics.roc_auc_score(is_current[unseen], model.decision_function(rows[unseen])))
        if len(drops) < 100:
            shuffled = permutation_importance(model, rows[unseen], is_current[unseen], scoring="roc_auc", n_repeats=5, random_state=SEED)
            drops.append(shuffled.importances_mean)
    return {"repeats": repeats, "auc": float(numpy.mean(areas)), "drops": [float(d) for d in numpy.mean(drops, axis=0)]}


def large_domains():
    """Rows from a seed: three numbers, of which the first moved, and a category of eight."""
    cases = []
    for shift in (0.0, 0.3):
        source = Source(41)
        side = lambda plus: [[plus + source.number("bell"), source.number("bell"), source.number("heavy"), math.floor(8 * source.uniform())] for _ in range(20_000)]  # fmt: skip
        sides = [side(0.0), side(shift)]
        rows = [row[:3] + [float(row[3] == kind) for kind in range(8)] for row in sides[0] + sides[1]]
        is_current = numpy.arange(40_000) >= 20_000
        model = make_pipeline(StandardScaler(), LogisticRegression(C=1.0))
        score = sklearn.model_selection.cross_val_score
        folds = sklearn.model_selection.StratifiedKFold(5, shuffle=True, random_state=SEED)
        auc = float(score(model, numpy.array(rows), is_current, scoring="roc_auc", cv=folds).mean())
        cases.append({"seed": 41, "n": 20_000, "shift": shift, "auc": auc})
    return cases


METHODS = [
    (page_hinkley, 'river.drift.PageHinkley(mode="both")', [river]),
    (adaptive_windowing, "river.drift.ADWIN", [river]),
    (cusum, "numpy: cumsum less minimum.accumulate", [numpy]),
    (confidence_sequence, "gbstats.frequentist.tests.SequentialTwoSidedTTest.confidence_interval", [gbstats]),
    (maximum_mean_discrepancy, "numpy, from the definition; distances by scipy.spatial.distance.pdist", [numpy, scipy]),
    (large_discrepancy, "numpy, from the definition over all pairs", [numpy, scipy]),
    (logistic, "sklearn: StandardScaler, LogisticRegression(C=1)", [numpy, sklearn]),
    (domain_classifier, "sklearn: SimpleImputer, OneHotEncoder, StandardScaler, LogisticRegression(C=1); roc_auc_score, permutation_importance", [numpy, sklearn]),  # fmt: skip
    (large_domains, 'sklearn.model_selection.cross_val_score(scoring="roc_auc")', [numpy, sklearn]),
]

if __name__ == "__main__":
    for method, function, libraries in METHODS:
        write(method.__name__, function, libraries, method())
