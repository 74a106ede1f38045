"""The peers of the scene `drift`: the same two sets of rows, compared in memory.

Usage: peer_drift.py scipy|evidently REFERENCE.csv CURRENT.csv NUMERIC
The first NUMERIC columns are numbers, the others categories; an empty field is absent. Prints JSON:
{"milliseconds": [...], "cpu_milliseconds": [...], "versions": "..."}; reading the rows is not counted.
"""

import json
import sys
import time

import pandas

REPETITIONS = {"scipy": 15, "evidently": 3}


def scipy_tests(reference, current, numbers, categories):
    from scipy import stats

    def compare():
        for column in numbers:
            stats.ks_2samp(reference[column].dropna(), current[column].dropna())
        for column in categories:
            counts = [rows[column].value_counts(dropna=False) for rows in (reference, current)]
            stats.chi2_contingency(pandas.concat(counts, axis=1).fillna(0).T, correction=False)

    return compare


def evidently_preset(reference, current, numbers, categories):
    from evidently import DataDefinition, Dataset, Report
    from evidently.presets import DataDriftPreset

    definition = DataDefinition(numerical_columns=numbers, categorical_columns=categories)

    def compare():
        before, now = (Dataset.from_pandas(rows, data_definition=definition) for rows in (reference, current))
        Report([DataDriftPreset()]).run(now, before).dict()

    return compare


def versions(peer):
    from importlib.metadata import version

    return ", ".join(f"{name} {version(name)}" for name in dict.fromkeys([peer, "scipy", "pandas", "numpy"]))


def main(peer, reference_path, current_path, numeric):
    read = [pandas.read_csv(path, dtype=None) for path in (reference_path, current_path)]
    columns = list(read[0].columns)
    numbers, categories = columns[: int(numeric)], columns[int(numeric) :]
    for rows in read:
        rows[categories] = rows[categories].astype(str)
    compare = {"scipy": scipy_tests, "evidently": evidently_preset}[peer](*read, numbers, categories)
    compare()  # imports and caches
    milliseconds, cpu_milliseconds = [], []
    for _ in range(REPETITIONS[peer]):
        wall, cpu = time.perf_counter(), time.process_time()
        compare()
        milliseconds.append((time.perf_counter() - wall) * 1e3)
        cpu_milliseconds.append((time.process_time() - cpu) * 1e3)
    print(json.dumps({"milliseconds": milliseconds, "cpu_milliseconds": cpu_milliseconds, "versions": versions(peer)}))


if __name__ == "__main__":
    main(*sys.argv[1:])
