"""Shells run the commands in loops, so each start counts: time and memory of each command, beside jq."""
import json
import subprocess
import tempfile
from pathlib import Path

from harness import BIN, COMMANDS, Figure, median, output, tool

# Many short rounds: what counts is the best, and others may be at work on the machine.
STARTS = 10
ROUNDS = 20
LIMIT_MS, LIMIT_MB = 5, 12
# Shown, not judged.
COMPARED = ("jq", "pkarr-resolve, a relay", "quic-dial, an endpoint")
# The discard port, where nothing listens.
NOBODY = "http://127.0.0.1:9"


def measure(results):
    with tempfile.TemporaryDirectory() as folder:
        def line(name, text):
            path = Path(folder) / name
            path.write_text(text)
            return path

        key = Path(folder) / "secret"
        public = json.loads(output(BIN / "pkarr-build", "--generate-key", key))["public_key"]
        place = {"endpoint_id": public, "relay_urls": [], "addresses": ["127.0.0.1:4433"], "user_data": None}
        endpoint = line("endpoint", json.dumps(place) + "\n")
        nowhere = line("nowhere", json.dumps(place | {"addresses": []}) + "\n")
        records = line("records", output(BIN / "iroh-txt", "encode", input=json.dumps(place) + "\n"))
        packet = line("packet", output(BIN / "pkarr-build", "--key", key, input=records.read_text()))
        signed = json.loads(packet.read_text())
        # The first letter holds bits of the signature.
        forged = line("forged", json.dumps(signed | {"payload": ("B" if signed["payload"][0] == "A" else "A") + signed["payload"][1:]}) + "\n")
        # What is run, its standard input and the exit status it has to have.
        programs = {f"{name} --version": ("/dev/null", 0, BIN / name, "--version") for name in COMMANDS} | {
            "iroh-txt encode, an endpoint": (endpoint, 0, BIN / "iroh-txt", "encode"),
            "iroh-txt decode, records": (records, 0, BIN / "iroh-txt", "decode"),
            "iroh-txt decode, a packet": (packet, 0, BIN / "iroh-txt", "decode"),
            "pkarr-build, records": (records, 0, BIN / "pkarr-build", "--key", key),
            "pkarr-build, records and a packet": (packet, 0, BIN / "pkarr-build", "--key", key, "--records", records),
            # Refused after all that needs no network.
            "pkarr-publish, a forged packet": (forged, 65, BIN / "pkarr-publish"),
            # No filters, but worth knowing: up to what would be the first packet, and with libcurl, which the first request loads.
            "quic-dial, an endpoint without address": ("/dev/null", 69, BIN / "quic-dial", "--stdio", "--endpoint", nowhere),
            "pkarr-resolve, a relay that is not there": ("/dev/null", 69, BIN / "pkarr-resolve", "--no-dht", "--relay", NOBODY, public),
            "jq --version": ("/dev/null", 0, "jq", "--version"),
            "jq, an endpoint": (endpoint, 0, "jq", "-c", ".addresses"),
        }

        def run(source, status, *command):
            rows = [row.split() for row in output(tool("start"), STARTS, source, *command, stderr=subprocess.DEVNULL).splitlines()]
            assert all(int(row[2]) == status for row in rows), f"{command} ends with {rows[0][2]}"
            return [(float(row[0]), int(row[1]) / 1024, float(row[3])) for row in rows]

        numbers = results.rounds({name: lambda program=program: run(*program) for name, program in programs.items()}, ROUNDS)
    figures = []
    for name, turns in numbers.items():
        ms, mb, processor = min(median(row[0] for row in turn) for turn in turns), max(row[1] for turn in turns for row in turn), \
            median(row[2] for turn in turns for row in turn)
        if name.startswith(COMPARED):
            print(f"        {name}: {ms:.2f} ms ({processor:.2f} ms of processor time), {mb:.1f} MB, for comparison")
            continue
        figures += [Figure(name, ms, LIMIT_MS, " ms", note=f"{processor:.2f} ms of processor time"),
                    Figure(f"{name}, memory", mb, LIMIT_MB, " MB")]
    return figures
