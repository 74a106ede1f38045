"""Writes patterns.json: error messages as services write them, and the clusters that drain3 finds in them.

    python3 -m venv /tmp/oracle && /tmp/oracle/bin/pip install -r tests/oracle/requirements.txt
    /tmp/oracle/bin/python tests/oracle/patterns.py

drain3 runs with the settings that it comes with and the masks that its own example recommends. With a number as argument it
prints how many messages a second it takes, over so many of them.
"""

import json
import pathlib
import random
import sys
import time

from drain3 import TemplateMiner
from drain3.masking import MaskingInstruction
from drain3.template_miner_config import TemplateMinerConfig

FOLDER = pathlib.Path(__file__).parent
SEED = 20_261_126
MESSAGES = 2_000

# As the example configuration of drain3 has them (examples/drain3.ini).
MASKS = [
    (r"((?<=[^A-Za-z0-9])|^)(([0-9a-f]{2,}:){3,}([0-9a-f]{2,}))((?=[^A-Za-z0-9])|$)", "ID"),
    (r"((?<=[^A-Za-z0-9])|^)(\d{1,3}\.\d{1,3}\.\d{1,3}\.\d{1,3})((?=[^A-Za-z0-9])|$)", "IP"),
    (r"((?<=[^A-Za-z0-9])|^)([0-9a-f]{6,} ?){3,}((?=[^A-Za-z0-9])|$)", "SEQ"),
    (r"((?<=[^A-Za-z0-9])|^)([0-9A-F]{4} ?){4,}((?=[^A-Za-z0-9])|$)", "SEQ"),
    (r"((?<=[^A-Za-z0-9])|^)(0x[a-f0-9A-F]+)((?=[^A-Za-z0-9])|$)", "HEX"),
    (r"((?<=[^A-Za-z0-9])|^)([\-\+]?\d+)((?=[^A-Za-z0-9])|$)", "NUM"),
    (r"(?<=executed cmd )(\".+?\")", "CMD"),
]

# {kind} is filled in. Frequencies fall as 1 / rank.
TEMPLATES = """
Connection to {host}:{port} refused
upstream request timeout after {ms}ms for {path}
could not convert feature {feature} to a number: {word}
model {model} returned NaN for request {uuid}
failed to load weights from {file}: No such file or directory
CUDA out of memory. Tried to allocate {n}.00 MiB (GPU {digit}; {n}.00 MiB total capacity)
expected {n} features, got {n}
user {user} is not authorised to call {path}
TLS handshake with {ip} failed: certificate has expired
deadline exceeded while calling {host} attempt {digit} of {digit}
duplicate key value violates unique constraint {name}_pkey
Kafka broker {host}:{port} disconnected, retrying in {ms} ms
batch {hex} dropped: queue is full ({n} of {n})
no space left on device while writing {file}
invalid token at position {n} in expression
worker {digit} exited with signal {n}
failed to decode image {file}: broken data stream when reading image file
response schema mismatch: field {feature} is required
rate limit of {n} requests per minute reached for client {user}
lock wait timeout exceeded; try restarting transaction {hex}
embedding service answered {n} for tenant {user}
checkpoint {hex} is corrupted at offset {n}
tokenizer has no entry for {word}
gRPC call {name} failed with status UNAVAILABLE after {ms} ms
session {uuid} expired at {time}
could not reach feature store {host} within {ms} ms
heartbeat from {host} missed for {n} seconds
label {word} is unknown to model {model}
prediction queue of {model} holds {n} entries, limit {n}
scheduler could not place job {uuid} on any of {n} nodes
redis cluster {host} is down: {word} not reachable
failed to parse JSON body from {ip}: expected value at line {digit} column {n}
drift job for {model} aborted by operator {user}
permission denied: {file}
DNS lookup of {host} failed
thread pool exhausted: {n} active, {n} waiting
websocket to {ip}:{port} closed with code {n}
payload of {n} bytes exceeds limit of {n} bytes
health check of {host} returned {n} three times in a row
gradient overflow detected, skipping step {n}
""".strip().splitlines()

USERS = [first + last for first in ("an", "bo", "ka", "li", "mo", "ta") for last in ("ra", "lin", "mer", "to", "vik")]
WORDS = "unknown empty null Infinity red_flag n/a missing offline stale blocked".split()
FEATURES = "AGEP SCHL MAR RELP DIS ESP CIT MIG MIL ANC NATIVITY DEAR DEYE DREM SEX RAC1P".split()


def fill(template, draw):
    values = {
        "host": lambda: f"{draw.choice(['db', 'cache', 'feast', 'queue'])}-{draw.choice(['eu', 'us', 'ap'])}-{draw.randint(1, 40)}.internal",
        "port": lambda: str(draw.choice([5432, 6379, 9092, 8080])),
        "ms": lambda: str(draw.randint(1, 30_000)),
        "n": lambda: str(draw.randint(10, 99_999)),
        "digit": lambda: str(draw.randint(0, 9)),
        "path": lambda: f"/v{draw.randint(1, 3)}/{draw.choice(['predict', 'embed', 'score'])}/{draw.randint(1, 9_999)}",
        "feature": lambda: draw.choice(FEATURES),
        "word": lambda: draw.choice(WORDS),
        "user": lambda: draw.choice(USERS),
        "model": lambda: draw.choice(["employment", "pricing", "churn", "fraud", "ranking"]),
        "name": lambda: draw.choice(["orders", "labels", "Predict", "Score", "users"]),
        "uuid": lambda: "{:08x}-{:04x}-4{:03x}-a{:03x}-{:012x}".format(*(draw.getrandbits(b) for b in (32, 16, 12, 12, 48))),
        "hex": lambda: f"{draw.getrandbits(48):012x}",
        "file": lambda: f"/srv/models/{draw.choice(WORDS[:4])}/{draw.getrandbits(32):08x}.bin",
        "ip": lambda: ".".join(str(draw.randint(1, 254)) for _ in range(4)),
        "time": lambda: f"2026-10-{draw.randint(10, 28)}T{draw.randint(10, 23)}:{draw.randint(10, 59)}:00Z",
    }
    parts = template.split("{")
    filled = parts[0]
    for part in parts[1:]:
        kind, rest = part.split("}", 1)
        filled += values[kind]() + rest
    return filled


def messages(count):
    draw = random.Random(SEED)
    weights = [1 / (rank + 1) for rank in range(len(TEMPLATES))]
    return [fill(template, draw) for template in draw.choices(TEMPLATES, weights, k=count)]


def miner():
    config = TemplateMinerConfig()
    config.masking_instructions = [MaskingInstruction(pattern, name) for pattern, name in MASKS]
    return TemplateMiner(config=config)


if __name__ == "__main__":
    if len(sys.argv) > 1:
        lines = messages(int(sys.argv[1]))
        drain = miner()
        began = time.perf_counter()
        for line in lines:
            drain.add_log_message(line)
        print(f"{len(lines) / (time.perf_counter() - began):.0f}")
    else:
        drain = miner()
        cases = [[line, drain.add_log_message(line)["cluster_id"]] for line in messages(MESSAGES)]
        # The cluster that a message is in at the end: those that it was put into may have been widened since.
        rows = ",\n".join("    " + json.dumps(case) for case in cases)
        head = json.dumps({"function": "drain3.TemplateMiner.add_log_message"})[:-1]
        (FOLDER / "patterns.json").write_text(f'{head},\n  "cases": [\n{rows}\n  ]\n}}\n')
        print(f"{len(cases)} messages, {len(drain.drain.clusters)} clusters")
