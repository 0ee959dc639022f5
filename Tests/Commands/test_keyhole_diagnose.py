"""keyhole-diagnose as a process: each step to a key with its reason, the verdict and the exit status."""
import itertools
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import threading

import pytest

from conftest import BIN, PATIENCE, lines
from quic_commands import id_of

# Nothing of the shell that runs the tests.
ENVIRONMENT = {"PKARR_BOOTSTRAP": "", "PKARR_RELAYS": "", "IROH_RELAYS": "", "NO_COLOR": "", "TERM": "xterm"}
HTTP = ["sh", "-c", "read -r line; printf 'HTTP/1.0 200 OK\\r\\n\\r\\nhello'"]
NUMBERS = itertools.count(8_000_001)


@pytest.fixture
def number():
    """Of a secret key that no other test uses."""
    return next(NUMBERS)


@pytest.fixture
def stun(service):
    """stun(option…) -> a running quic-relay that answers STUN too; .url, and .options that name its STUN servers"""

    def stun(*options, servers=("127.0.0.1:0", "127.0.0.2:0")):
        running = service("quic-relay", "--http", "127.0.0.1:0", *(word for one in servers for word in ("--stun", one)), *options)
        ready = running.next()
        running.url = ready["http"][0] + "/"
        running.options = [word for one in ready.get("stun", []) for word in ("--stun", one)]
        return running

    return stun


@pytest.fixture
def packet_of(run, key_file):
    """packet_of(number, addresses=…, relays=…) -> the packet line of an endpoint"""

    def packet_of(number, addresses=(), relays=()):
        endpoint = {"endpoint_id": id_of(number), "relay_urls": list(relays), "addresses": list(addresses)}
        records = run("iroh-txt", "encode", input=lines(endpoint)).bytes if addresses or relays else lines({"records": []})
        built = run("pkarr-build", "--key", key_file(number), input=records)
        assert built.status == 0, built.err
        return built.objects[0]

    return packet_of


@pytest.fixture
def published(run, packet_of, network):
    """published(number, …) -> options that lead to a DHT where the endpoint's packet is"""

    def published(number, **endpoint):
        place = ("--bootstrap", network[0]["dht"], "--relay", network[1]["http"])
        assert run("pkarr-publish", *place, input=lines(packet_of(number, **endpoint))).status == 0
        return place

    return published


@pytest.fixture
def diagnose(run):
    """diagnose(option…) -> Finished, with .steps by their names and .verdict"""

    def diagnose(*arguments, env=()):
        # The router of whoever runs the tests is not ours to ask.
        done = run("keyhole-diagnose", "--no-port-map", *arguments, env={**ENVIRONMENT, **dict(env)})
        assert done.err == ""
        *steps, done.verdict = done.objects
        assert done.verdict["status"] == done.status and all("verdict" not in step for step in steps)
        done.steps = {}
        for step in steps:
            assert list(step)[:3] == ["step", "ok", "ms"]
            done.steps.setdefault(step["step"], []).append(step)
        return done

    return diagnose


def test_each_step_to_a_key_that_is_reached_is_told_with_its_time(diagnose, published, listen, number, stun):
    listener = listen(program=HTTP, key=number)
    done = diagnose(id_of(number), *published(number, addresses=[listener.address]), *stun().options)
    assert (done.status, done.verdict["outcome"], done.verdict["advice"]) == (0, "direct", None)
    assert done.verdict["problems"] == []
    for source in done.steps["source"]:
        assert source["ok"] and source["found"] and source["age_s"] < 60 and source["ms"] > 0
    assert done.steps["source"][0]["timestamp"] == done.steps["packet"][0]["timestamp"]
    assert {source["source"] == "dht" for source in done.steps["source"]} == {True, False}
    assert done.steps["endpoint"][0]["endpoint"]["addresses"] == [listener.address]
    [way] = done.steps["dial"]
    assert (way["ok"], way["path"], way["remote"], way["reason"]) == (True, "direct", listener.address, None)
    [connection] = done.steps["connection"]
    assert connection["ok"] and connection["peer"] == id_of(number) and connection["path"] == "direct" and connection["rtt_ms"] > 0
    [request] = done.steps["request"]
    assert (request["ok"], request["answer"]) == (True, "HTTP/1.0 200 OK") and request["since_start_ms"] > connection["ms"]


def test_two_stun_servers_tell_that_udp_gets_out_and_that_there_is_no_nat(diagnose, network, stun):
    relay = stun()
    done = diagnose("--no-dht", "--relay", network[0]["http"], "--iroh-relay", relay.url, *relay.options)
    assert (done.status, done.verdict["outcome"]) == (0, "well")
    four = next(step for step in done.steps["udp"] if step["family"] == "ipv4")
    assert four["ok"] and four["reason"] is None and four["ms"] > 0
    [one] = done.steps["relay"]
    assert one["ok"] and one["relay"] == relay.url and one["ping_ms"] > 0
    # A key that nobody has shows who answers.
    [source] = done.steps["source"]
    assert source["ok"] and "found" not in source
    for address in done.steps["address"]:
        assert address["source"] in ("host", "reflexive") and isinstance(address["published"], bool)


def test_a_peer_that_is_only_at_a_relay_is_reached_there(diagnose, published, listen, number, stun):
    relay = stun()
    # Its address is not among what is published.
    listener = listen("--relay", relay.url, program=HTTP, key=number)
    assert listener.endpoint["relay_urls"] == [relay.url]
    done = diagnose(id_of(number), *published(number, relays=[relay.url]), "--no-request", *relay.options)
    [way] = done.steps["dial"]
    assert (way["ok"], way["path"], way["remote"]) == (True, "relay", relay.url)
    assert done.steps["connection"][0]["path"] == "relay"
    assert done.steps["relay"][0]["ok"] and "request" not in done.steps
    # Whether there is a hole to punch depends on the addresses of this machine: loopback ones are told to nobody.
    [direct] = done.steps["direct"]
    how, problems = ("direct", []) if direct["ok"] else ("relayed", ["stays-relayed"])
    assert (done.status, done.verdict["outcome"], done.verdict["problems"]) == (0, how, problems)


def test_nobody_has_a_packet(diagnose, number, network):
    done = diagnose(id_of(number), "--bootstrap", network[0]["dht"])
    assert (done.status, done.verdict["outcome"]) == (68, "no-packet")
    [source] = done.steps["source"]
    assert (source["source"], source["ok"], source["found"], source["reason"]) == ("dht", False, False, "no packet of this key")
    assert "dial" not in done.steps and "pkarr-publish" in done.verdict["advice"]


def test_a_packet_without_an_endpoint(diagnose, number, published):
    done = diagnose(id_of(number), *published(number))
    assert (done.status, done.verdict["outcome"]) == (68, "no-endpoint")
    assert (done.steps["packet"][0]["ok"], done.steps["endpoint"][0]["ok"]) == (True, False)
    assert done.steps["endpoint"][0]["reason"] == "no _iroh records"


def test_no_source_answers(diagnose, number, dead_port, stun):
    done = diagnose(id_of(number), "--no-dht", "--relay", f"http://{dead_port}", *stun().options)
    assert (done.status, done.verdict["outcome"]) == (69, "sources-silent")
    assert done.steps["source"][0]["ok"] is False and done.steps["source"][0]["reason"]


def test_nothing_at_all_answers(diagnose, dead_port):
    done = diagnose("--no-dht", "--relay", f"http://{dead_port}", "--iroh-relay", f"http://{dead_port}/", "--stun", dead_port)
    assert (done.status, done.verdict["outcome"]) == (69, "no-way-out")
    assert not any(step["ok"] for step in done.steps["relay"] + done.steps["source"])


def test_the_packet_names_no_relay_and_its_address_does_not_answer(diagnose, number, published, dead_port):
    done = diagnose(id_of(number), *published(number, addresses=[dead_port]))
    assert (done.status, done.verdict["outcome"]) == (69, "unreachable")
    [way] = done.steps["dial"]
    assert (way["ok"], way["remote"], way["reason"]) == (False, dead_port, "no answer")
    assert done.steps["connection"][0]["ok"] is False
    assert "names no relay" in done.verdict["verdict"] and "--relay" in done.verdict["advice"]


def test_a_peer_that_is_not_at_its_relay(diagnose, number, published, stun):
    relay = stun()
    done = diagnose(id_of(number), *published(number, relays=[relay.url]), *relay.options)
    assert (done.status, done.verdict["outcome"]) == (69, "unreachable")
    assert done.steps["relay"][0]["ok"] and done.steps["dial"][0]["reason"].endswith("the peer is not at this relay")
    assert "quic-listen does not run there" in done.verdict["advice"]


def test_somebody_else_at_the_address(diagnose, number, published, listen):
    stranger = listen(program=HTTP, key=next(NUMBERS))
    done = diagnose(id_of(number), *published(number, addresses=[stranger.address]))
    assert (done.status, done.verdict["outcome"]) == (76, "wrong-peer")
    assert done.steps["dial"][0]["reason"] == "proved to be somebody else" and "request" not in done.steps


def test_a_relay_that_refuses_us(diagnose, number, published, stun, tmp_path):
    access = tmp_path / "access"
    access.write_text(id_of(next(NUMBERS)) + "\n")
    relay = stun("--access", access)
    done = diagnose(id_of(number), *published(number, relays=[relay.url]), *relay.options)
    assert (done.status, done.verdict["outcome"]) == (77, "relay-refuses")
    assert done.steps["relay"][0]["ok"] is False and "refuses" in done.steps["relay"][0]["reason"]


def test_a_server_that_does_not_answer_the_request(diagnose, number, published, listen):
    listener = listen(program=["sh", "-c", "exit 0"], key=number)
    done = diagnose(id_of(number), *published(number, addresses=[listener.address]))
    assert (done.status, done.verdict["outcome"]) == (69, "not-served")
    assert done.steps["connection"][0]["ok"] and done.steps["request"][0]["ok"] is False


def test_another_protocol_is_sent_no_request(diagnose, number, published, listen):
    listener = listen("--alpn", "echo", program=["cat"], key=number)
    done = diagnose(id_of(number), "--alpn", "echo", *published(number, addresses=[listener.address]))
    assert (done.status, done.verdict["outcome"]) == (0, "direct") and "request" not in done.steps
    assert done.steps["connection"][0]["alpn"] == "echo"


def test_it_ends_when_its_time_is_over(diagnose, number, relay):
    release = threading.Event()
    hanging = relay(lambda *request: (release.wait(60), (404, {}, b""))[1])
    done = diagnose(id_of(number), "--no-dht", "--relay", hanging.url, "--timeout", "1s")
    release.set()
    assert (done.status, done.verdict["outcome"]) == (75, "incomplete")
    assert (done.steps["source"][0]["ok"], done.steps["source"][0]["reason"]) == (None, "no answer yet")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_has_the_verdict_given_at_once(service, relay, number):
    release = threading.Event()
    asked = threading.Event()
    hanging = relay(lambda *request: (asked.set(), release.wait(PATIENCE), (404, {}, b""))[2])
    running = service("keyhole-diagnose", "--no-port-map", "--no-dht", "--relay", hanging.url, env={**os.environ, **ENVIRONMENT})
    assert asked.wait(PATIENCE)
    running.process.send_signal(number)
    while "verdict" not in (line := running.next()):
        pass
    release.set()
    assert (line["outcome"], line["status"], running.process.wait(PATIENCE)) == ("incomplete", 75, 75)


def test_a_terminal_shows_lines_for_a_person_and_the_advice_last(terminal, number, published, dead_port):
    place = published(number, addresses=[dead_port])
    shown = terminal(80, "keyhole-diagnose", "--no-port-map", id_of(number), *place, env={**ENVIRONMENT, "NO_COLOR": "1"})
    assert (shown.status, shown.err) == (69, "")
    assert max(map(len, shown.out.splitlines())) <= 80
    assert re.search(rf"^no  dial +[0-9.]+ m?s  {dead_port}: no answer$", shown.out, re.MULTILINE)
    assert re.search(r"\nverdict: unreachable\n(  .*\n)+advice:\n(  .*\n)+$", shown.out)
    assert "\x1b" not in shown.out


def test_colour_is_for_terminals_that_have_it(terminal, number, network):
    shown = terminal(80, "keyhole-diagnose", "--no-port-map", id_of(number), "--bootstrap", network[0]["dht"], env=ENVIRONMENT)
    assert "\x1b[31mno\x1b[0m  source" in shown.out


def test_it_ends_in_order_when_its_reader_goes(service, number, relay):
    hanging = relay(lambda *request: (404, {}, b""))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as silent:
        silent.bind(("127.0.0.1", 0))
        stun = "127.0.0.1:%d" % silent.getsockname()[1]
        running = service("keyhole-diagnose", "--no-port-map", "--no-dht", "--relay", hanging.url, "--stun", stun, env={**os.environ, **ENVIRONMENT})
        running.next()
        running.process.stdout.close()
        assert running.process.wait(60) == 0


def test_without_port_map_the_router_is_not_asked(tmp_path, network):
    alone = shutil.copy(BIN / "keyhole-diagnose", tmp_path)
    done = subprocess.run([alone, "--no-dht", "--relay", network[0]["http"]], capture_output=True, timeout=PATIENCE,
                          env={**os.environ, **ENVIRONMENT, "PATH": str(tmp_path)})
    lines = [line for line in map(json.loads, done.stdout.splitlines()) if line.get("step") == "port-mapping"]
    assert [(line["protocol"], line["ok"], line["reason"]) for line in lines] == [
        (protocol, None, "there is no port-map here to ask by") for protocol in ("pcp", "natpmp", "upnp")]
    assert done.returncode == 0


@pytest.mark.parametrize("wrong", [["nokey"], ["--timeout", "10ms"], ["--alpn", ""], ["--no-dht", "--no-relays"], ["--stun", "here"]])
def test_wrong_calls(run, wrong):
    done = run("keyhole-diagnose", *wrong, env=ENVIRONMENT)
    assert (done.status, done.out) == (64, "")
