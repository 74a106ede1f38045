"""The peers of the scene `files`: two Parquet files compared from the command line, each peer a process of its own.

Usage: peer_files.py make REFERENCE CURRENT ROWS        writes both files: ten numbers, ten categories of 20 values
       peer_files.py scipy|evidently REFERENCE CURRENT  compares them; scipy: ks_2samp of the numbers and nothing else
       peer_files.py measure SECONDS COMMAND...         runs a command for that long at most and prints JSON:
           {"seconds": ..., "cpu_seconds": ..., "mib": ..., "ended": true, "status": 0}
"""

import json
import resource
import subprocess
import sys
import time


def make(reference, current, rows):
    import numpy
    import pandas

    random = numpy.random.default_rng(1)
    names = numpy.array([f"value_{k}" for k in range(20)])
    for path, moved in [(reference, 0.0), (current, 0.2)]:
        columns = {f"number_{i}": random.normal(moved if i == 0 else 0.0, 1.0, int(rows)) for i in range(10)}
        columns |= {f"category_{i}": names[(random.random(int(rows)) ** 2 * 20).astype(int)] for i in range(10)}
        pandas.DataFrame(columns).to_parquet(path)


def scipy(reference, current):
    import pandas
    from scipy import stats

    numbers = [f"number_{i}" for i in range(10)]
    before, now = (pandas.read_parquet(path, columns=numbers) for path in (reference, current))
    for column in numbers:
        stats.ks_2samp(before[column], now[column])


def evidently(reference, current):
    import pandas
    from evidently import DataDefinition, Dataset, Report
    from evidently.presets import DataDriftPreset

    kinds = {kind: [f"{kind}_{i}" for i in range(10)] for kind in ("number", "category")}
    definition = DataDefinition(numerical_columns=kinds["number"], categorical_columns=kinds["category"])
    before, now = (Dataset.from_pandas(pandas.read_parquet(path), data_definition=definition) for path in (reference, current))
    Report([DataDriftPreset()]).run(now, before).dict()


def measure(seconds, *command):
    began = time.perf_counter()
    status, ended = None, True
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    try:
        status = process.wait(timeout=float(seconds))
    except subprocess.TimeoutExpired:
        ended = False
        process.kill()
        process.wait()
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    figures = {
        "seconds": time.perf_counter() - began,
        "cpu_seconds": used.ru_utime + used.ru_stime,
        "mib": used.ru_maxrss / 1024,
        "ended": ended,
        "status": status,
    }
    print(json.dumps(figures))


if __name__ == "__main__":
    {"make": make, "scipy": scipy, "evidently": evidently, "measure": measure}[sys.argv[1]](*sys.argv[2:])
