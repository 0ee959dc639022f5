"""A stock homeserver and our gateway with one key, on a DHT of real libtorrent nodes with a relay in front."""
import base64
import json
import os
import re
import socket
import subprocess
import sys

import pytest

from conftest import BIN, PATIENCE, ROOT, Service, lines
from packets import NOW, Key
from test_dht_libtorrent import Network

# A homeserver's records, in their order; then the gateway's.
SERVED = [("@", "HTTPS"), ("@", "HTTPS"), ("@", "A")]


@pytest.fixture
def network():
    """Libtorrent nodes, and two relays among them, as many as a homeserver uses. Each test has its own: libtorrent takes whoever has put
    something for a node, even a read-only one, and those that are gone would make the next homeserver wait."""
    nodes = Network("--nodes", 16)
    relays = [Service([str(BIN / "pkarr-serve"), "--dht-bind", "127.0.0.1:0", "--http", "127.0.0.1:0", "--bootstrap", node])
              for node in nodes.nodes[:2]]
    try:
        yield {"bootstrap": nodes.nodes[2], "relays": [relay.next()["http"] for relay in relays]}
    finally:
        for relay in relays:
            relay.stop()
        nodes.close()


@pytest.fixture
def environment(network, tmp_path):
    (tmp_path / "run").mkdir()
    return {**os.environ, "PATH": f"{BIN}:{os.environ['PATH']}", "PKARR_BOOTSTRAP": network["bootstrap"], "PKARR_RELAYS": ",".join(network["relays"]),
            "XDG_RUNTIME_DIR": str(tmp_path / "run"), "XDG_STATE_HOME": str(tmp_path / "state")}


@pytest.fixture
def key(run, tmp_path):
    return run("pkarr-build", "--generate-key", tmp_path / "secret").objects[0]["public_key"]


@pytest.fixture
def start(tmp_path):
    """Starts things that are ended with the test."""
    started = []

    def start(*arguments, **options):
        started.append(Service([str(argument) for argument in arguments], **options))
        return started[-1]

    yield start
    for one in started:
        one.stop()
        for pipe in (one.process.stdin, one.process.stdout, one.process.stderr):
            if pipe:
                pipe.close()


@pytest.fixture
def homeserver(start, network, key, tmp_path):
    """homeserver() starts one, which prints what became of each put. It has the same port each time, so that it leaves nobody behind who
    does not answer."""
    relays = [word for url in network["relays"] for word in ("--relay", url)]
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as free:
        free.bind(("", 0))
        port = free.getsockname()[1]
    return lambda: start(sys.executable, ROOT / "Tests" / "homeserver.py", "--key", tmp_path / "secret", "--port", port,
                         "--bootstrap", network["bootstrap"], *relays)


@pytest.fixture
def gateway(start, environment, key, tmp_path):
    def gateway(*settings):
        config = tmp_path / "gateway.conf"
        config.write_text("\n".join([f"key={tmp_path}/secret", "target=127.0.0.1:9", "bind=127.0.0.1:0", "settle=1s", *settings, ""]))
        return start(ROOT / "examples" / "homeserver-gateway", config, env=environment, stdin=subprocess.DEVNULL,
                     stderr=open(tmp_path / "gateway.log", "w"))

    return gateway


def published(run, environment, key):
    done = run("pkarr-resolve", key, env=environment)
    return done.objects[0] if done.objects else None


def kinds(packet):
    return [(record["name"], record["type"]) for record in packet["records"]]


def wait_for_both(gateway, run, environment, key, after=0):
    """Reads receipts until a packet later than the homeserver's has its records and the gateway's; the gateway makes receipts as long as it
    works."""
    while True:
        receipt = gateway.next()
        packet = published(run, environment, key)
        if packet["timestamp"] > after and kinds(packet) == [*SERVED, ("_iroh", "TXT")]:
            return packet, receipt


def test_after_each_restart_of_the_homeserver_both_are_there_again_within_a_refresh(homeserver, gateway, run, environment, key):
    one = homeserver()
    assert one.next()["ok"]
    records = published(run, environment, key)["records"]
    both = gateway("watch=1s", "refresh=1s")
    wait_for_both(both, run, environment, key)
    for _ in range(3):
        one.stop()
        one = homeserver()
        fresh = one.next()
        assert fresh["ok"], fresh
        # The receipts of a refresh or two: the look that finds the fresh packet, and the put of the merged one.
        packet, _ = wait_for_both(both, run, environment, key, fresh["timestamp"])
        assert packet["records"][:3] == records


def test_a_homeserver_always_starts_however_often_the_gateway_signs(homeserver, gateway, run, environment, key):
    both = gateway("watch=1s", "refresh=1s", "rebuild=200ms")
    both.next()
    for _ in range(6):
        one = homeserver()
        started = one.next()
        assert started["ok"], started
        one.stop()
    wait_for_both(both, run, environment, key, started["timestamp"])


def test_both_start_at_the_same_moment(homeserver, gateway, run, environment, key):
    both, one = gateway("watch=1s", "refresh=1s"), homeserver()
    started = one.next()
    assert started["ok"]
    wait_for_both(both, run, environment, key, started["timestamp"])


def test_the_old_bytes_that_it_puts_each_hour_change_nothing(homeserver, gateway, run, environment, key):
    one = homeserver()
    assert one.next()["ok"]
    both = gateway("watch=1s", "refresh=1s")
    merged, _ = wait_for_both(both, run, environment, key)
    one.process.stdin.write(b"put\n")
    one.process.stdin.flush()
    again = one.next()
    assert again["timestamp"] < merged["timestamp"] and not again["ok"] and again["relays"] == [409, 409]
    assert published(run, environment, key)["payload"] == merged["payload"]


def alias(name, target):
    """A message with one HTTPS record in alias mode at `_pubky`, as users publish where their homeserver is."""
    owner = b"\x06_pubky" + bytes([52]) + name.encode() + b"\0"
    data = b"\0\0" + bytes([52]) + target.encode() + b"\0"
    return bytes.fromhex("000080000000000100000000") + owner + bytes.fromhex("0041000100000e10") + len(data).to_bytes(2) + data


def test_packets_of_users_and_the_name_that_they_use_are_never_touched(homeserver, gateway, run, environment, key, tmp_path):
    user = Key(77)
    packet = user.packet(alias(user.name, key))
    assert run("pkarr-publish", input=lines(packet), env=environment).status == 0
    # The same name under the homeserver's own key, from somebody else who publishes there.
    own = Key(int((tmp_path / "secret").read_text(), 16))
    assert run("pkarr-publish", input=lines(own.packet(alias(key, user.name), NOW)), env=environment).status == 0
    both = gateway("watch=1s", "refresh=1s", "rebuild=200ms")
    both.next()
    while ("_iroh", "TXT") not in kinds(merged := published(run, environment, key)):
        both.next()
    assert kinds(merged) == [("_pubky", "HTTPS"), ("_iroh", "TXT")]
    # Of the record nothing but its place has changed.
    assert alias(key, user.name)[12:] in base64.b64decode(merged["payload"])
    assert published(run, environment, user.name)["payload"] == packet["payload"]


def test_with_the_gateway_as_its_only_relay_and_node_nobody_else_publishes(start, gateway, run, environment, key, tmp_path):
    both = gateway("handout=127.0.0.1:0", "watch=1s", "refresh=1s")
    both.next()
    log = (tmp_path / "gateway.log").read_text()
    addresses = json.loads(re.search(r"pkarr-serve: ready: (.*)", log)[1])

    def homeserver():
        return start(sys.executable, ROOT / "Tests" / "homeserver.py", "--key", tmp_path / "secret", "--bootstrap", addresses["dht"],
                     "--relay", addresses["http"])

    for _ in range(2):
        one = homeserver()
        started = one.next()
        assert (started["ok"], started["asked"], started["stored"], started["relays"]) == (True, 1, 1, [204])
        packet, _ = wait_for_both(both, run, environment, key, started["timestamp"])
        one.process.stdin.write(b"put\n")
        one.process.stdin.flush()
        # The old bytes are taken as ever, and change nothing.
        assert one.next()["relays"] == [204]
        assert published(run, environment, key)["timestamp"] >= packet["timestamp"]
        one.stop()
