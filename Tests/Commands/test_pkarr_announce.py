"""pkarr-announce, which cron and a timer run: records that stay the same are published now and then."""
import json
import os
import subprocess

import pytest

from conftest import BIN, PATIENCE, ROOT, lines

RECORDS = {"records": [{"name": "www", "type": "A", "ttl": 3600, "address": "203.0.113.7"}]}


@pytest.fixture
def key(new_key, tmp_path):
    key = new_key()
    (tmp_path / "secret").write_text(key.secret.private_bytes_raw().hex())
    (tmp_path / "secret").chmod(0o600)
    (tmp_path / "records").write_text(json.dumps(RECORDS))
    return key


@pytest.fixture
def announce(network, key, tmp_path):
    """announce() -> the process, ended"""
    (tmp_path / "run").mkdir()
    env = {**os.environ, "PATH": f"{BIN}:{os.environ['PATH']}", "PKARR_BOOTSTRAP": network[0]["dht"], "PKARR_RELAYS": network[1]["http"],
           "XDG_RUNTIME_DIR": str(tmp_path / "run"), "STATE_DIRECTORY": str(tmp_path / "state")}

    def announce(*arguments, **more):
        words = arguments or (tmp_path / "secret", tmp_path / "records")
        return subprocess.run([str(ROOT / "examples" / "pkarr-announce"), *map(str, words)], env={**env, **more}, stdin=subprocess.DEVNULL,
                              capture_output=True, text=True, timeout=PATIENCE)

    return announce


def test_records_are_published_with_those_of_others_and_again_unchanged(announce, key, run, network, tmp_path):
    run("pkarr-publish", "--no-relays", "--bootstrap", network[2]["dht"], input=lines(key.packet(key.text("others"))))
    first, second = announce(), announce()
    assert (first.returncode, second.returncode) == (0, 0), first.stderr + second.stderr
    receipts = [json.loads(done.stdout) for done in (first, second)]
    assert all(receipt["stored"] for receipt in receipts) and receipts[0]["timestamp"] == receipts[1]["timestamp"]
    [found] = run("pkarr-resolve", "--no-relays", "--bootstrap", network[3]["dht"], key.name).objects
    assert [(record["name"], record["type"]) for record in found["records"]] == [("@", "TXT"), ("www", "A")]
    assert os.listdir(tmp_path / "run") == []


def test_nothing_is_published_when_nobody_can_tell_what_is_there(announce, dead_port):
    done = announce(PKARR_BOOTSTRAP=dead_port, PKARR_RELAYS=f"http://{dead_port}")
    assert (done.returncode, done.stdout) == (69, "") and "nothing is published" in done.stderr


def test_what_is_wrong_with_the_files_is_told_before_anybody_is_asked(announce, tmp_path):
    (tmp_path / "records").write_text("{")
    assert announce().returncode == 65
    assert announce(tmp_path / "missing", tmp_path / "records").returncode == 78


@pytest.mark.parametrize("arguments", [["one"], ["one", "two", "three"], ["--wrong"]])
def test_a_wrong_call_is_a_usage_error(announce, arguments):
    done = announce(*arguments)
    assert done.returncode == 64 and "usage: pkarr-announce" in done.stderr
