"""Publishers of one key that don't know of each other: nothing is replaced that has not been merged, and all settle on one packet."""
import base64
import fcntl
import json
import os
import subprocess
import time

import pytest

from conftest import BIN, PATIENCE, lines
from packets import NOW, OldRelay


def basis(packet, previous, *known):
    """The packet line as pkarr-build prints it."""
    return {**packet, "previous": previous, "known": list(known)}


@pytest.fixture
def publish(run):
    return lambda packet, *arguments, **options: run("pkarr-publish", *arguments, input=lines(packet), **options)


def dht(network, node=0):
    return "--no-relays", "--bootstrap", network[node]["dht"]


def only(relay):
    return "--no-dht", "--relay", relay.url


def newest(run, network, key):
    [packet] = run("pkarr-resolve", *dht(network, 3), key.name).objects
    return packet["timestamp"]


def test_a_packet_that_is_built_on_what_is_there_is_stored_and_found_again(run, publish, network, new_key):
    key = new_key()
    for timestamp, previous in ((NOW, None), (NOW + 5, NOW)):
        packet = basis(key.packet(timestamp=timestamp), previous)
        done = publish(packet, "--bootstrap", network[0]["dht"], "--relay", network[1]["http"])
        [receipt] = done.objects
        assert (done.status, done.err) == (0, "")
        assert (receipt["confirmed"], receipt["unmerged"], receipt["relays"][0]["outcome"]) == (True, [], "stored")
        assert len(receipt["dht"]["stored"]) == len(network)


@pytest.mark.parametrize("previous", [None, NOW])
def test_what_was_not_merged_is_not_replaced_though_it_is_older_and_the_receipt_shows_it(run, publish, network, new_key, previous):
    key = new_key()
    theirs, ours = key.packet(key.text("theirs"), NOW + 5), key.packet(key.text("ours"), NOW + 9)
    assert publish(theirs, *dht(network)).status == 0
    done = publish(basis(ours, previous), "--bootstrap", network[1]["dht"], "--relay", network[2]["http"])
    [receipt] = done.objects
    assert done.status == 75 and "which is not merged into this one" in done.err
    assert (receipt["stored"], receipt["newer"], receipt["confirmed"]) == (False, None, None)
    assert receipt["unmerged"] == [{**theirs, "timestamp": NOW + 5}]
    assert receipt["relays"][0]["outcome"] == "not-asked"
    assert newest(run, network, key) == NOW + 5
    # What is known is replaced, and so is everything on request.
    assert publish(basis(ours, previous, NOW + 5), *dht(network, 1)).status == 0
    assert publish(basis(key.packet(timestamp=NOW + 10), previous), "--overwrite", *dht(network, 1)).status == 0
    assert newest(run, network, key) == NOW + 10


def test_with_relays_only_each_is_asked_before_and_after(publish, relay, new_key):
    key, held = new_key(), {}

    def answer(method, name, headers, body, query):
        if method == "PUT":
            held[name] = body
            return 204, {}, b""
        return (200, {}, held[name]) if name in held else (404, {}, b"")

    stand_in = relay(answer)
    done = publish(basis(key.packet(timestamp=NOW), None), *only(stand_in))
    assert (done.status, done.objects[0]["confirmed"]) == (0, True)
    assert [request[0] for request in stand_in.requests] == ["GET", "PUT", "GET"]
    done = publish(basis(key.packet(timestamp=NOW + 9), NOW - 1), *only(stand_in))
    assert (done.status, done.objects[0]["unmerged"]) == (75, [{**key.packet(timestamp=NOW), "timestamp": NOW}])
    assert stand_in.count("PUT") == 1


def test_somebody_who_comes_between_is_noticed_by_reading_back(publish, relay, new_key):
    key, held = new_key(), {}
    theirs = key.payload(key.text("theirs"), NOW + 20)

    def answer(method, name, headers, body, query):
        if method == "PUT":
            held[name] = theirs
            return 204, {}, b""
        return (200, {}, held[name]) if name in held else (404, {}, b"")

    done = publish(basis(key.packet(timestamp=NOW), None), *only(relay(answer)))
    [receipt] = done.objects
    assert (done.status, receipt["stored"], receipt["confirmed"], receipt["newer"]) == (75, True, False, NOW + 20)
    assert base64.b64decode(receipt["unmerged"][0]["payload"]) == theirs


def test_what_is_stored_but_not_found_again_is_not_published(publish, relay, new_key):
    done = publish(basis(new_key().packet(), None), *only(relay(lambda method, *_: (204 if method == "PUT" else 404, {}, b""))))
    assert (done.status, done.objects[0]["stored"], done.objects[0]["confirmed"]) == (75, True, False)
    assert "stored, but is not found again" in done.err


def test_an_old_relay_compares_and_what_it_has_instead_is_shown(publish, relay, new_key):
    key, behaviour = new_key(), OldRelay()
    old = relay(behaviour)
    assert publish(basis(key.packet(timestamp=NOW), None), *only(old)).status == 0
    assert publish(basis(key.packet(timestamp=NOW + 5), NOW), *only(old)).status == 0
    puts = [headers.get("If-Match") for method, _, headers, _, _ in old.requests if method == "PUT"]
    assert puts == [None, str(NOW)]

    class Overtaken(OldRelay):
        """Somebody comes between the question and the put."""
        def __call__(self, method, name, headers, body, query):
            if method == "PUT":
                self.packets[name] = key.payload(key.text("theirs"), NOW + 6)
            return super().__call__(method, name, headers, body, query)

    busy = Overtaken()
    busy.packets[key.name] = key.payload(timestamp=NOW + 5)
    done = publish(basis(key.packet(timestamp=NOW + 9), NOW + 5), *only(relay(busy)))
    [receipt] = done.objects
    assert (done.status, receipt["stored"], receipt["relays"][0]["status"]) == (75, False, 412)
    assert [packet["timestamp"] for packet in receipt["unmerged"]] == [NOW + 6]


@pytest.mark.parametrize("fields, reason", [({"previous": -1}, "previous: expected a timestamp or null"), ({"previous": "x"}, "previous: expected"),
                                            ({"previous": 1, "known": 7}, "known: expected an array"),
                                            ({"previous": 1, "known": [True]}, "known[0]: expected a timestamp")])
def test_a_packet_line_that_tells_nonsense_of_its_making_is_refused(publish, dead_port, new_key, fields, reason):
    done = publish({**new_key().packet(), **fields}, "--no-relays", "--bootstrap", dead_port)
    assert (done.status, done.out) == (65, "") and f"line 1: {reason}" in done.err


def test_with_a_state_an_old_packet_is_never_news_again(run, publish, network, new_key, tmp_path):
    key, state = new_key(), ("--state", tmp_path / "state")
    publish(key.packet(timestamp=NOW), *dht(network))
    assert run("pkarr-resolve", *state, *dht(network, 1), key.name).objects[0]["timestamp"] == NOW
    publish(key.packet(timestamp=NOW + 5), *state, *dht(network))
    floor = json.loads((tmp_path / "state" / f"{key.name}.floor").read_text())
    assert floor == {"public_key": key.name, "timestamp": NOW + 5, "payload": base64.b64encode(key.payload(timestamp=NOW + 5)).decode()}
    done = publish(key.packet(timestamp=NOW + 1), *state, "--no-dht", "--relay", "http://127.0.0.1:9")
    assert (done.status, done.objects[0]["newer"], done.objects[0]["relays"]) == (75, NOW + 5, [])


def test_an_old_packet_that_a_relay_shows_again_is_not_printed(run, relay, new_key, tmp_path):
    key, state = new_key(), ("--state", tmp_path / "state")
    held = [key.payload(timestamp=NOW + 5)]
    stand_in = relay(lambda *_: (200, {}, held[0]))
    assert run("pkarr-resolve", *state, *only(stand_in), key.name).objects[0]["timestamp"] == NOW + 5
    held[0] = key.payload(timestamp=NOW)
    done = run("pkarr-resolve", *state, *only(stand_in), key.name)
    assert (done.status, done.out) == (75, "") and "older than one seen before" in done.err
    # Without a memory it is as good as any.
    assert run("pkarr-resolve", *only(stand_in), key.name).status == 0
    held[0] = key.payload(timestamp=NOW + 9)
    assert run("pkarr-resolve", *state, *only(stand_in), key.name).objects[0]["timestamp"] == NOW + 9


def test_a_packet_from_the_future_is_shown_with_a_warning_and_not_remembered(run, relay, new_key, tmp_path):
    key, ahead = new_key(), time.time_ns() // 1000 + 3_600_000_000
    done = run("pkarr-resolve", "--state", tmp_path, *only(relay(lambda *_: (200, {}, key.payload(timestamp=ahead)))), key.name)
    assert done.objects[0]["timestamp"] == ahead and " s in the future" in done.err
    assert os.listdir(tmp_path) == []


def test_a_damaged_file_of_one_key_keeps_no_other_from_being_published(run, network, new_key, tmp_path):
    state, keys = tmp_path / "state", [new_key() for _ in range(4)]
    packets = "".join(json.dumps(key.packet()) + "\n" for key in keys).encode()
    options = (*dht(network), "--state", state)
    assert run("pkarr-publish", *options, input=packets).status == 0
    damaged = state / f"{keys[1].name}.floor"
    damaged.write_text("rubbish")
    done = run("pkarr-publish", *options, input=packets)
    assert done.status == 78
    assert [receipt["stored"] for receipt in done.objects] == [True, False, True, True]
    assert f"{damaged} is damaged" in done.objects[1]["obstacle"]
    assert f"{keys[1].name}: the packet was not published: state file {damaged} is damaged" in done.err and f"rm {damaged}" in done.err
    assert damaged.read_text() == "rubbish"


def test_processes_with_one_state_publish_a_key_one_after_the_other(service, relay, new_key, tmp_path):
    key, stand_in = new_key(), relay(lambda *_: (204, {}, b""))
    with open(tmp_path / f"{key.name}.lock", "w") as lock:
        lock.write("4711\n")
        lock.flush()
        fcntl.flock(lock, fcntl.LOCK_EX)
        publisher = service("pkarr-publish", "--state", tmp_path, *only(stand_in))
        publisher.process.stdin.write(lines(key.packet()))
        publisher.process.stdin.close()
        assert publisher.process.stderr.readline() == f"pkarr-publish: process 4711 holds the lock {lock.name}; waiting for it\n".encode()
        assert stand_in.requests == []
    assert publisher.next()["stored"] and publisher.process.wait(PATIENCE) == 0


# The loop that keyhole-merging(7) shows, with a number of tries that says that something is wrong.
LOOP = """
receipt='{"timestamp":0,"unmerged":[]}' tries=0
while :; do
    status=0
    receipt=$({ pkarr-resolve KEY || [ $? -eq 68 ] || echo lost >&2; printf '%s\\n' "$receipt"; } |
        pkarr-build --key secret --records "$1" |
        pkarr-publish) || status=$?
    [ $status -ne 0 ] || exit 0
    [ $status -eq 75 ] || exit $status
    tries=$((tries + 1))
    [ $tries -lt 50 ] || exit 1
done
"""
ROUNDS = int(os.environ.get("RACE_ROUNDS", 8))


@pytest.mark.parametrize("means", ["dht", "dht-and-relays"])
def test_two_cron_jobs_that_race_lose_nothing_and_settle_on_one_packet(run, network, tmp_path, means):
    public = run("pkarr-build", "--generate-key", tmp_path / "secret").objects[0]["public_key"]
    environment = {**os.environ, "PATH": f"{BIN}:{os.environ['PATH']}",
                   "PKARR_RELAYS": "" if means == "dht" else f"{network[4]['http']},{network[5]['http']}"}
    script = tmp_path / "loop"
    script.write_text(LOOP.replace("KEY", public))
    for turn in range(ROUNDS):
        runs = []
        for index in range(2):
            records = tmp_path / f"records{index}"
            records.write_text(json.dumps({"records": [{"name": f"_{index}", "type": "TXT", "ttl": 30, "strings": [str(turn)]}]}))
            runs.append(subprocess.Popen(["sh", "-u", script, records], cwd=tmp_path, stderr=subprocess.PIPE,
                                         env={**environment, "PKARR_BOOTSTRAP": network[index]["dht"]}))
        for one in runs:
            errors = one.communicate(timeout=PATIENCE)[1].decode()
            assert one.returncode == 0, errors
        held = set()
        for node in network:
            [packet] = run("pkarr-resolve", "--no-dht", "--relay", node["http"], public).objects
            held.add(packet["payload"])
        assert len(held) == 1
        assert sorted((record["name"], record["strings"]) for record in packet["records"]) == [("_0", [str(turn)]), ("_1", [str(turn)])]
