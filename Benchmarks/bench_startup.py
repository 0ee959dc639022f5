"""Shells run the commands in loops, so each start counts: time and memory of each command, beside jq."""
import json
import tempfile
from pathlib import Path

from harness import BIN, COMMANDS, Figure, median, output, secret_key, tool

STARTS = 50
ROUNDS = 3
LIMIT_MS, LIMIT_MB = 5, 12
ENDPOINT = {"endpoint_id": "8pinxxgqs41n4aididenw5apqp1urfmzdztr8jt4abrkdn435ewo", "relay_urls": [], "addresses": ["127.0.0.1:4433"],
            "user_data": None}


def measure(results):
    with tempfile.TemporaryDirectory() as folder:
        def line(name, text):
            path = Path(folder) / name
            path.write_text(text)
            return path

        key = secret_key(folder)
        endpoint = line("endpoint", json.dumps(ENDPOINT) + "\n")
        records = line("records", output(BIN / "iroh-txt", "encode", input=json.dumps(ENDPOINT) + "\n"))
        plain = line("plain", json.dumps({"records": [{"name": "_iroh", "type": "TXT", "ttl": 30, "strings": ["addr=127.0.0.1:4433"]}]}) + "\n")
        programs = {f"{name} --version": ("/dev/null", BIN / name, "--version") for name in COMMANDS}
        programs |= {"iroh-txt encode, one line": (endpoint, BIN / "iroh-txt", "encode"),
                     "iroh-txt decode, one line": (records, BIN / "iroh-txt", "decode"),
                     "pkarr-build, one line": (plain, BIN / "pkarr-build", "--key", key),
                     "jq --version": ("/dev/null", "jq", "--version"),
                     "jq, one line": (endpoint, "jq", "-c", ".addresses")}

        def run(source, *command):
            rows = [row.split() for row in output(tool("start"), STARTS, source, *command).splitlines()]
            assert all(row[2] == "0" for row in rows), f"{command} fails"
            return [(float(row[0]), int(row[1]) / 1024) for row in rows]

        numbers = results.rounds({name: lambda program=program: run(*program) for name, program in programs.items()}, ROUNDS)
    best = {name: (min(median(ms for ms, _ in turn) for turn in turns), max(mb for turn in turns for _, mb in turn))
            for name, turns in numbers.items()}
    for name in [name for name in best if name.startswith("jq")]:
        print(f"        {name}: {best.pop(name)[0]:.2f} ms, {max(mb for turn in numbers[name] for _, mb in turn):.1f} MB, for comparison")
    return [figure for name, (ms, mb) in best.items()
            for figure in (Figure(name, ms, LIMIT_MS, " ms"), Figure(f"{name}, memory", mb, LIMIT_MB, " MB"))]
