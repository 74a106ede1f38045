"""Writes the expected values of tests/it/oracle/binned.rs: one JSON file per method, beside this script.

    python3.11 -m venv /tmp/oracle && /tmp/oracle/bin/pip install -r tests/oracle/requirements.txt
    /tmp/oracle/bin/python tests/oracle/binned.py definitions

    python3.11 -m venv /tmp/evidently && /tmp/evidently/bin/pip install -r benches/requirements/evidently.txt
    PYTHONHASHSEED=0 /tmp/evidently/bin/python tests/oracle/binned.py evidently    # it sums in the order of a set

    python3.11 -m venv /tmp/nannyml
    /tmp/nannyml/bin/pip install nannyml==0.13.1 numpy==2.4.6 pandas==3.1.1 scipy==1.17.1 statsmodels==0.15.0
    /tmp/nannyml/bin/python tests/oracle/binned.py nannyml

Every value is what the library answers, none is written by hand. Large samples are not written out: both sides draw
them by the same small generator, in steps that are exact or rounded alike.
"""

import json
import math
import os
import pathlib
import random
import sys
import warnings
from importlib.metadata import version

import numpy

FOLDER = pathlib.Path(__file__).parent
SEED = 20_151_018
LEAST_SHARE = 1e-4


def write(name, function, libraries, cases):
    """Writes the cases of one method and the function that they come from."""
    lines = ",\n".join("    " + json.dumps(case) for case in cases)
    head = json.dumps({"function": function, "versions": {library: version(library) for library in libraries}}, indent=2)[:-2]
    (FOLDER / f"{name}.json").write_text(f'{head},\n  "cases": [\n{lines}\n  ]\n}}\n')
    print(f"{name}: {len(cases)} cases")


def defined(value):
    """A number, or None for what is not one."""
    return float(value) if math.isfinite(value) else None


def drawn(kind, n, seed, scale=1.0, shift=0.0):
    return {"kind": kind, "n": n, "seed": seed, "scale": scale, "shift": shift}


def given(values):
    return {"rows": [float(value) for value in values]}


def rows(sample):
    """The rows of a sample, as tests/it/oracle/binned.rs makes them: a 64-bit congruential generator (Knuth's MMIX)."""
    if "rows" in sample:
        return numpy.array(sample["rows"], dtype=float)
    state = sample["seed"]

    def uniform():
        nonlocal state
        state = (state * 6_364_136_223_846_793_005 + 1_442_695_040_888_963_407) % 2**64
        return (state >> 33) / 2**31

    def one():
        if sample["kind"] == "uniform":
            return uniform()
        bell = sum(uniform() for _ in range(12)) - 6.0
        return {"bell": lambda: bell, "tenths": lambda: math.floor(bell * 10.0) / 10.0, "whole": lambda: math.floor(bell),
                "heavy": lambda: bell / (uniform() + 0.0009765625)}[sample["kind"]]()  # fmt: skip

    return numpy.array([one() * sample["scale"] + sample["shift"] for _ in range(sample["n"])])


def numeric_pairs():
    """References and windows: constant, tied, small, of different sizes, shifted, scaled, with heavy tails."""
    student = numpy.random.default_rng(SEED).standard_t(1.5, 600)
    pairs = [
        (given([3.5]), given([3.5])),
        (given([3.5]), given([4.0])),
        (given([1, 2]), given([0, 1, 2, 3])),
        (given([3] * 12), given([3] * 12)),
        (given([3] * 12), given([9] * 12)),
        (given([3] * 12), given([2.5, 3, 3.5, 3.6])),
        (given([0] * 49 + [1]), given([0] * 20 + [1] * 30)),
        (given([0] * 490 + [1] * 510), given([0] * 400 + [1] * 600)),
        (given([0, 0, 1, 1, 2, 2, 2, 5, 5, 9, 9, 9]), given([0, 1, 1, 2, 5, 5, 5, 7, 9, 9, 9, 9])),
        (given([1, 1, 2, 2, 2, 3, 3, 3, 4, 4]), given([1, 2, 2, 3, 3, 3, 3, 4, 4, 4, 4, 4])),
        (given(student[:12]), given(student[12:24])),
        (given(student[24:61]), given(student[61:98])),
        (given(student[100:350]), given(student[350:600] * 2)),
    ]
    for n in [12, 37, 500, 1_000, 1_001, 5_000, 20_000]:
        pairs += [
            (drawn("bell", n, 1), drawn("bell", n, 2)),
            (drawn("bell", n, 3), drawn("bell", n // 2, 4, shift=0.5)),
            (drawn("uniform", n, 5), drawn("uniform", n + 7, 6, scale=1.5)),
            (drawn("tenths", n, 7, scale=30.0, shift=50.0), drawn("tenths", n, 8, scale=33.0, shift=50.0)),
            (drawn("whole", n, 9), drawn("whole", n, 10, shift=1.0)),
            (drawn("heavy", n, 11), drawn("heavy", n, 12, shift=0.2)),
        ]
        # Windows that are a tenth of the reference: what thresholds from chunks are for.
        if n >= 500:
            pairs += [(drawn("bell", n, 17), drawn("bell", n // 10, 18)), (drawn("tenths", n, 19), drawn("tenths", n // 10, 20, shift=0.5))]
    # One method above, one below: the reference counts, not the window.
    pairs += [(drawn("bell", 1_000, 13), drawn("bell", 5_000, 14)), (drawn("bell", 5_000, 15), drawn("bell", 12, 16))]
    return [{"reference": reference, "current": current} for reference, current in pairs]


def tables():
    """Counts of bins: few and many, empty on a side, equal, nearly equal, with nothing in common, far in the tail."""
    pairs = [
        ([1], [1]),
        ([12], [40]),
        ([1, 0], [0, 1]),
        ([3, 9], [9, 3]),
        ([10, 10], [10, 11]),
        ([7, 5], [12, 0]),
        ([490, 10], [400, 100]),
        ([500, 500, 0], [500, 499, 1]),
        ([500, 499, 1], [500, 500, 0]),
        ([5, 0, 9, 0, 1], [7, 0, 3, 0, 2]),
        ([20, 30, 50], [40, 60, 100]),
        ([100, 0, 200, 0], [0, 300, 0, 50]),
        ([999_999, 1], [999_990, 10]),
        ([500_000, 500_000], [500_001, 499_999]),
        ([10**9, 10**9 + 7], [10**9 - 40_000, 10**9 + 40_000]),
        ([700, 300], [300, 700]),
        ([5_000, 3_000, 2_000], [2_000, 3_000, 5_000]),
        ([100_000, 1], [1, 100_000]),
    ]
    generator = random.Random(SEED)
    for bins, n in [(2, 12), (3, 37), (5, 500), (10, 500), (10, 20_000), (20, 20_000), (50, 20_000), (300, 20_000)]:
        for drift in [0.0, 0.3]:
            weights = [generator.expovariate(1.0) for _ in range(bins)]
            moved = [weight * math.exp(generator.gauss(0.0, drift)) for weight in weights]
            pairs.append((draw(generator, weights, n), draw(generator, moved, n * 2 // 3)))
    return pairs


def draw(generator, weights, n):
    counts = [0] * len(weights)
    for at in generator.choices(range(len(weights)), weights, k=n):
        counts[at] += 1
    return counts


def of_tables(answer):
    return [{"reference": reference, "current": current, **answer(numpy.array(reference), numpy.array(current))}
            for reference, current in tables()]  # fmt: skip


def definitions():
    import scipy.stats
    from scipy.spatial import distance

    def shares(reference, current):
        return reference / reference.sum(), current / current.sum()

    def binning(pair):
        reference, current = rows(pair["reference"]), rows(pair["current"])
        deciles = numpy.unique(numpy.quantile(reference, numpy.arange(1, 10) / 10))
        sturges = numpy.histogram_bin_edges(numpy.concatenate([reference, current]), bins="sturges")
        doane = numpy.histogram_bin_edges(reference, bins="doane")
        opened = numpy.concatenate([[-numpy.inf], deciles, [numpy.inf]])
        bins = {"deciles": (opened, deciles), "sturges": (sturges, sturges), "doane": (doane, doane)}
        answers = {}
        for name, (edges, shown) in bins.items():
            counts = [[int(count) for count in numpy.histogram(side, edges)[0]] for side in (reference, current)]
            answers[name] = {"edges": shown.tolist(), "reference": counts[0], "current": counts[1]}
        return {**pair, **answers}

    def psi(reference, current):
        p, q = (numpy.maximum(side, LEAST_SHARE) for side in shares(reference, current))
        return {"value": float(numpy.sum((q - p) * numpy.log(q / p)))}

    def divergence(reference, current):
        return {"value": defined(scipy.stats.entropy(*shares(reference, current)))}

    def jensen_shannon(reference, current):
        p, q = shares(reference, current)
        return {"bits": float(distance.jensenshannon(p, q, 2)), "nats": float(distance.jensenshannon(p, q))}

    def hellinger(reference, current):
        p, q = (numpy.sqrt(side) for side in shares(reference, current))
        return {"value": float(distance.euclidean(p, q) / math.sqrt(2))}

    def contingency(**options):
        def ask(reference, current):
            table = numpy.array([reference, current])[:, reference + current > 0]
            answers = {}
            for name, correction in [("uncorrected", False), ("corrected", True)]:
                statistic, p, degrees, _ = scipy.stats.chi2_contingency(table, correction=correction, **options)
                answers[name] = {"statistic": float(statistic), "degrees": int(degrees), "p": float(p)}
            return answers

        return ask

    def chi_square(reference, current):
        occurring = reference + current > 0
        expected = reference[occurring] * (current.sum() / reference.sum())
        one_sample = scipy.stats.chisquare(current[occurring], expected)
        return {**contingency()(reference, current), "with_the_reference_as_truth": defined(one_sample.pvalue)}

    tails = [{"statistic": degrees * times + more, "degrees": degrees}
             for degrees in [1, 2, 3, 7, 20, 100, 999, 3_001, 10_000]
             for times, more in [(0.1, 0.0), (0.9, 0.0), (1.0, 0.0), (1.1, 0.0), (1.0, 60.0), (1.5, 200.0), (1.2, 800.0)]]  # fmt: skip
    for tail in tails:
        tail["p"] = float(scipy.stats.chi2.sf(tail["statistic"], tail["degrees"]))

    both = ("numpy", "scipy")
    write("binning", "numpy.histogram over numpy.unique(numpy.quantile(reference, deciles)) and numpy.histogram_bin_edges",
          both, [binning(pair) for pair in numeric_pairs()])  # fmt: skip
    write("population_stability_index", "numpy.sum((q - p) * numpy.log(q / p)) of shares of at least 1e-4", both, of_tables(psi))
    write("kullback_leibler", "scipy.stats.entropy(reference, current)", both, of_tables(divergence))
    write("jensen_shannon", "scipy.spatial.distance.jensenshannon", both, of_tables(jensen_shannon))
    write("hellinger", "scipy.spatial.distance.euclidean of roots / sqrt(2)", both, of_tables(hellinger))
    write("total_variation", "scipy.spatial.distance.cityblock / 2", both,
          of_tables(lambda *counts: {"value": float(distance.cityblock(*shares(*counts)) / 2)}))  # fmt: skip
    write("l_infinity", "scipy.spatial.distance.chebyshev", both,
          of_tables(lambda *counts: {"value": float(distance.chebyshev(*shares(*counts)))}))  # fmt: skip
    write("chi_square", "scipy.stats.chi2_contingency(correction=...), scipy.stats.chisquare", both, of_tables(chi_square))
    write("chi_square_tail", "scipy.stats.chi2.sf", both, tails)
    write("g_test", 'scipy.stats.chi2_contingency(lambda_="log-likelihood", correction=...)', both,
          of_tables(contingency(lambda_="log-likelihood")))  # fmt: skip


def categorical_pairs():
    """How often each category occurs: one only, as rare as can be, new ones, small and large."""
    pairs = [
        ({"a": 12}, {"a": 12}),
        ({"a": 12}, {"b": 12}),
        ({"a": 12}, {"a": 11, "b": 1}),
        ({"a": 7, "b": 5}, {"a": 3, "b": 9}),
        ({"a": 5, "b": 4, "c": 3}, {"a": 3, "b": 4, "c": 5}),
        ({"a": 500, "b": 500}, {"a": 450, "b": 550}),
        ({"a": 500, "b": 500}, {"a": 500, "b": 499, "c": 1}),
        ({"a": 500, "b": 499, "c": 1}, {"a": 500, "b": 500}),
        ({"a": 300, "b": 300, "c": 400}, {"a": 900, "b": 950, "c": 1_150}),
        ({"a": 501, "b": 500}, {"a": 500, "b": 499, "c": 1}),
        ({"a": 1_000}, {"a": 5_000}),
        ({"a": 5_000}, {"a": 5_000}),
        ({"a": 5_000}, {"b": 1_000}),
        ({"a": 2_500, "b": 1_500, "c": 1_000}, {"a": 2_400, "b": 1_450, "c": 1_150}),
        ({"a": 2_500, "b": 1_500, "c": 1_000}, {"a": 1_000, "b": 1_500, "c": 2_000, "d": 500}),
        ({"a": 19_999, "b": 1}, {"a": 20_000}),
        ({"a": 5_000}, {"a": 500}),
        ({"a": 2_500, "b": 1_500, "c": 1_000}, {"a": 240, "b": 155, "c": 105}),
        ({"a": 2_500, "b": 1_500, "c": 1_000}, {"a": 200, "b": 150, "c": 100, "d": 50}),
    ]
    return [{"reference": reference, "current": current} for reference, current in pairs]


def column(side):
    """A pandas column of rows or of counted categories."""
    import pandas

    if "rows" in side or "kind" in side:
        return pandas.Series(rows(side), name="x")
    return pandas.Series([value for value, count in side.items() for _ in range(count)], name="x", dtype=object)


def is_numeric(pair):
    return "rows" in pair["reference"] or "kind" in pair["reference"]


def columns():
    """Numeric columns and categorical ones."""
    return numeric_pairs() + categorical_pairs()


def evidently():
    from evidently import DataDefinition, Dataset, Report
    from evidently.legacy.calculations.stattests.registry import _registered_stat_tests
    from evidently.metrics import ValueDrift

    names = {test.display_name: test.name for tests in _registered_stat_tests.values() for test in tests.values()}

    def ask(pair, method=None):
        definition = DataDefinition(**{"numerical_columns" if is_numeric(pair) else "categorical_columns": ["x"]})
        sides = [Dataset.from_pandas(column(pair[side]).to_frame(), data_definition=definition) for side in ("current", "reference")]
        answer = Report([ValueDrift(column="x", method=method)], include_tests=True).run(*sides).dict()
        metric, test = answer["metrics"][0], answer["tests"][0]
        return {"method": names.get(metric["config"]["method"]), "score": float(metric["value"]),
                "threshold": metric["config"]["threshold"], "drift": test["status"].value == "FAIL"}  # fmt: skip

    def distances(pair):
        return {method: ask(pair, method)["score"] for method in ("psi", "kl_div", "jensenshannon")}

    write("compatible_evidently", "evidently.metrics.ValueDrift", ("evidently", "numpy", "pandas", "scipy"),
          [{**pair, "verdict": ask(pair), **distances(pair)} for pair in columns()])  # fmt: skip


def nannyml():
    os.environ["NML_DISABLE_USAGE_LOGGING"] = "1"
    import nannyml as nml

    def chunks(pair, reference, size):
        """How often the categories occur in each chunk; numbers are cut by their reader."""
        if is_numeric(pair):
            return {}
        return {"chunks": [reference[at : at + size].value_counts().to_dict() for at in range(0, len(reference), size)]}

    def mixed(pair, side):
        """Numbers as they are drawn, categories in any order but sorted."""
        values = column(pair[side])
        return values if is_numeric(pair) else values.sample(frac=1, random_state=SEED, ignore_index=True)

    def answer(pair):
        # The reference is cut into chunks of the window's size, and the window is one chunk.
        reference, current = mixed(pair, "reference"), mixed(pair, "current")
        methods = ["jensen_shannon", "hellinger"] + ([] if is_numeric(pair) else ["chi2", "l_infinity"])
        kind = "continuous_methods" if is_numeric(pair) else "categorical_methods"
        calculator = nml.UnivariateDriftCalculator(column_names=["x"], chunk_size=len(current), **{kind: methods})
        result = calculator.fit(reference.to_frame()).calculate(current.to_frame()).filter(period="analysis").to_df()["x"]
        values = {method: float(result[method]["value"].iloc[0]) for method in methods}
        first = result["jensen_shannon"].iloc[0]
        verdict = {"method": "jensen_shannon", "score": values.pop("jensen_shannon"), "threshold": defined(first["upper_threshold"]),
                   "drift": bool(first["alert"])}  # fmt: skip
        return {**pair, **chunks(pair, reference, len(current)), "verdict": verdict, **values}

    write("compatible_nannyml", "nannyml.UnivariateDriftCalculator(chunk_size=len(current))", ("nannyml", "numpy", "pandas", "scipy"),
          [answer(pair) for pair in columns()])  # fmt: skip


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    {"definitions": definitions, "evidently": evidently, "nannyml": nannyml}[sys.argv[1]]()
