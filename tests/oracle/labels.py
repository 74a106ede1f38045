"""Writes the expected values of tests/it/oracle/labels.rs: confident_learning.json, beside this script.

    python3.11 -m venv /tmp/oracle-labels
    /tmp/oracle-labels/bin/pip install -r tests/oracle/requirements.txt
    /tmp/oracle-labels/bin/python tests/oracle/labels.py

Every value is what cleanlab answers, none is written by hand. Probabilities are numbers of single precision, which both
sides hold exactly.
"""

import importlib.metadata
import json
import pathlib
import warnings

import numpy
from cleanlab.count import compute_confident_joint, get_confident_thresholds
from cleanlab.filter import find_label_issues
from cleanlab.rank import get_label_quality_scores

FOLDER = pathlib.Path(__file__).parent
SEED = 20_151_018
FILTERS = ["prune_by_noise_rate", "prune_by_class", "both"]


def made(random, rows, shares, noise, sharpness):
    """Labels of which a share is wrong, and what a model thinks that knows the true ones a little."""
    classes = len(shares)
    truth = random.choice(classes, rows, p=shares)
    truth[:classes] = numpy.arange(classes)
    labels = numpy.where(random.random(rows) < noise, random.integers(0, classes, rows), truth)
    labels[:classes] = numpy.arange(classes)
    scores = random.gumbel(size=(rows, classes))
    scores[numpy.arange(rows), truth] += sharpness
    probabilities = numpy.exp(scores - scores.max(axis=1, keepdims=True))
    probabilities = (probabilities / probabilities.sum(axis=1, keepdims=True)).astype(numpy.float32)
    return labels, probabilities


def is_definite(labels, probabilities):
    """Whether the joint is the same whatever order the classes have: of counts that are rounded equally far cleanlab lets
    one give way that depends on it."""
    last = probabilities.shape[1] - 1
    joint = compute_confident_joint(labels, probabilities.astype(float))
    turned = compute_confident_joint(last - labels, probabilities[:, ::-1].astype(float))
    return (joint == turned[::-1, ::-1]).all()


def case(labels, probabilities):
    exact = probabilities.astype(float)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        issues = {
            name: numpy.flatnonzero(find_label_issues(labels, exact, filter_by=name, n_jobs=1)).tolist()
            for name in FILTERS
        }
    return {
        "labels": labels.tolist(),
        "probabilities": [[float(value) for value in row] for row in probabilities],
        "thresholds": [float(value) for value in get_confident_thresholds(labels, exact)],
        "counted": compute_confident_joint(labels, exact, calibrate=False).tolist(),
        "joint": compute_confident_joint(labels, exact).tolist(),
        "issues": issues,
        "normalized_margin": [
            float(value) for value in get_label_quality_scores(labels, exact, method="normalized_margin")
        ],
    }


def cases():
    random = numpy.random.default_rng(SEED)
    return [
        case(*next(found for found in iter(lambda: made(random, *arguments), None) if is_definite(*found)))
        for arguments in [
            (60, [0.5, 0.5], 0.1, 2.0),
            (200, [0.9, 0.1], 0.15, 3.0),
            (150, [0.5, 0.3, 0.2], 0.2, 2.0),
            (250, [0.05, 0.15, 0.3, 0.5], 0.3, 1.0),
            (250, [0.1] * 10, 0.1, 4.0),
            (120, [0.25] * 4, 0.0, 6.0),
        ]
    ]


if __name__ == "__main__":
    versions = {name: importlib.metadata.version(name) for name in ("numpy", "cleanlab")}
    function = "cleanlab: compute_confident_joint, find_label_issues, get_label_quality_scores"
    head = json.dumps({"function": function, "versions": versions}, indent=2)[:-2]
    lines = ",\n".join("    " + json.dumps(one, allow_nan=False) for one in cases())
    (FOLDER / "confident_learning.json").write_text(f'{head},\n  "cases": [\n{lines}\n  ]\n}}\n')
