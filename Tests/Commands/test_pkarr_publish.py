"""pkarr-publish as a process: receipts, relays of every kind, refresh, errors."""
import base64
import hashlib
import json
import signal

import pytest

from conftest import lines
from dht_nodes import item_of
from packets import NOW, OldRelay, packet


@pytest.fixture
def publish(run):
    """publish(packets…, "--option"…) -> Finished"""

    def publish(*arguments, **options):
        packets = [argument for argument in arguments if isinstance(argument, (dict, bytes))]
        return run("pkarr-publish", *(argument for argument in arguments if not isinstance(argument, (dict, bytes))),
                   input=lines(*packets), **options)

    return publish


def only(relay):
    return "--no-dht", "--relay", relay.url


def relays(receipt):
    """What a receipt says of its relays, without how long they took."""
    return [{name: value for name, value in relay.items() if name != "round_trip_ms"} for relay in receipt["relays"]]


def test_the_receipt_names_nodes_and_relays_that_stored(publish, network, new_key):
    key = new_key()
    done = publish(key.packet(), "--bootstrap", network[0]["dht"], "--relay", network[1]["http"])
    assert (done.status, done.err) == (0, "")
    [receipt] = done.objects
    # The relay puts the same packet at the same time, which changes nothing.
    assert sorted(receipt["dht"].pop("stored")) == sorted(node["dht"] for node in network)
    assert receipt["relays"][0].pop("nodes") == len(network) and receipt["relays"][0].pop("round_trip_ms") > 0
    nodes = receipt["dht"].pop("nodes")
    assert sorted(node["address"] for node in nodes) == sorted(node["dht"] for node in network)
    for node in nodes:
        # By then the relay may have put it.
        assert node["outcome"] == "stored" and node["round_trip_ms"] > 0 and len(node["node_id"]) == 40
        assert node["had"] in (None, {"timestamp": NOW, "size": 82, "hash": hashlib.sha256(key.text("hello")).hexdigest()})
    assert receipt == {
        "public_key": key.name, "timestamp": NOW, "stored": True, "newer": None, "conflicts": [],
        "unmerged": [], "confirmed": None,
        "dht": {"lookup": "complete", "asked": receipt["dht"]["asked"], "answered": receipt["dht"]["answered"], "refused": [], "silent": 0},
        "relays": [{"url": network[1]["http"], "outcome": "stored", "status": 204}]}


def test_the_environment_names_relays_and_nodes(publish, network, new_key):
    environment = {"PKARR_RELAYS": f"{network[0]['http']}, {network[1]['http']}/", "PKARR_BOOTSTRAP": network[2]["dht"]}
    [receipt] = publish(new_key().packet(), env=environment).objects
    assert [relay["url"] for relay in receipt["relays"]] == [network[0]["http"], network[1]["http"]]
    assert len(receipt["dht"]["stored"]) == len(network)


def test_a_newer_packet_on_the_dht_stops_it_with_75(publish, network, new_key):
    key = new_key()
    assert publish(key.packet(timestamp=NOW + 1), "--no-relays", "--bootstrap", network[0]["dht"]).status == 0
    done = publish(key.packet(), "--no-relays", "--bootstrap", network[1]["dht"])
    assert done.status == 75
    assert done.objects[0]["newer"] == NOW + 1
    assert not done.objects[0]["stored"]
    assert "newer packet" in done.err and "pkarr-resolve" in done.err


def test_a_newer_packet_on_a_relay_stops_it_with_75(publish, network, new_key):
    key = new_key()
    publish(key.packet(timestamp=NOW + 1), "--no-dht", "--relay", network[0]["http"])
    done = publish(key.packet(), "--no-dht", "--relay", network[0]["http"])
    assert done.status == 75
    [receipt] = done.objects
    [relay] = relays(receipt)
    assert relay.pop("message")
    had = {"timestamp": NOW + 1, "size": 82, "hash": hashlib.sha256(key.text("hello")).hexdigest()}
    assert relay == {"url": network[0]["http"], "outcome": "overtaken", "status": 409, "newer": NOW + 1, "had": had}
    assert receipt["conflicts"] == [network[0]["http"]]


def test_nothing_stored_anywhere_is_69(publish, dead_port, new_key):
    done = publish(new_key().packet(), "--relay", f"http://{dead_port}", "--bootstrap", dead_port, "--retries", "0")
    assert done.status == 69
    [receipt] = done.objects
    assert (receipt["stored"], receipt["dht"]["lookup"], receipt["relays"][0]["outcome"]) == (False, "no-answer", "unreachable")
    assert "no node and no relay has stored" in done.err


def test_one_of_many_is_enough(publish, network, dead_port, new_key):
    done = publish(new_key().packet(), "--no-dht", "--relay", f"http://{dead_port}", "--relay", network[0]["http"])
    assert done.status == 0
    assert [relay["outcome"] for relay in done.objects[0]["relays"]] == ["unreachable", "stored"]


@pytest.mark.parametrize("status, outcome", [(200, "stored"), (204, "stored"), (400, "refused"), (401, "refused"), (413, "refused"),
                                             (429, "rate-limited"), (500, "failed"), (503, "failed")])
def test_what_relays_answer(publish, relay, new_key, status, outcome):
    odd = relay(lambda *request: (status, {}, b"words"))
    done = publish(new_key().packet(), *only(odd), "--retries", "0")
    said = {"message": "words"} if status >= 400 else {}
    assert relays(done.objects[0]) == [{"url": odd.url, "outcome": outcome, "status": status} | said]
    assert done.status == (0 if outcome == "stored" else 69)
    assert odd.count("PUT") == 1


@pytest.mark.parametrize("nodes, counted", [("17", 17), ("-1", None), ("many", None)])
def test_the_count_of_nodes_is_believed_only_if_it_is_one(publish, relay, new_key, nodes, counted):
    odd = relay(lambda *request: (204, {"Pkarr-Dht-Stored-Nodes": nodes}, b""))
    assert publish(new_key().packet(), *only(odd)).objects[0]["relays"][0].get("nodes") == counted


@pytest.mark.parametrize("status", [409, 412, 428])
def test_a_conflict_without_anything_newer_is_tried_again(publish, relay, new_key, status):
    """The relay is still putting another packet of the key (spec/pkarr-wire.md, 2.1)."""
    key, tries = new_key(), []

    def busy(method, name, headers, body, query):
        if method == "GET":
            return 200, {}, key.payload(timestamp=NOW - 1)
        tries.append(body)
        return (status if len(tries) == 1 else 204), {}, b""

    done = publish(key.packet(), *only(relay(busy)))
    assert (done.status, done.objects[0]["relays"][0]["outcome"]) == (0, "stored")
    assert tries == [key.payload()] * 2


def test_a_relay_that_only_says_conflict_is_given_up_with_75(publish, relay, new_key):
    odd = relay(lambda method, *request: (409 if method == "PUT" else 404, {}, b""))
    done = publish(new_key().packet(), *only(odd))
    assert (done.status, done.objects[0]["relays"][0]["outcome"], odd.count("PUT")) == (75, "conflict", 3)


def test_a_relay_cannot_invent_a_newer_packet(publish, relay, new_key):
    key, other = new_key(), new_key()
    forged = bytes(64) + (NOW + 9).to_bytes(8) + key.text("forged")
    answers = iter([forged, other.payload(timestamp=NOW + 9), b"x" * 100_000])
    odd = relay(lambda method, *request: (409, {}, b"") if method == "PUT" else (200, {}, next(answers)))
    done = publish(key.packet(), *only(odd))
    assert (done.objects[0]["newer"], done.objects[0]["relays"][0]["outcome"]) == (None, "conflict")


def test_an_old_relay_is_told_what_it_should_have(service, relay, new_key):
    key, old = new_key(), relay(OldRelay())
    publisher = service("pkarr-publish", *only(old), "--refresh", "1h")
    for timestamp in (NOW, NOW + 1):
        publisher.process.stdin.write(lines(key.packet(timestamp=timestamp)))
        publisher.process.stdin.flush()
        assert publisher.next()["stored"]
    assert [headers.get("If-Match") for _, _, headers, _, _ in old.requests] == [None, str(NOW)]
    assert publisher.stop() == 0


def test_an_old_relay_that_has_an_older_packet_than_expected_takes_ours(service, relay, new_key):
    key, behaviour = new_key(), OldRelay()
    old = relay(behaviour)
    publisher = service("pkarr-publish", *only(old), "--refresh", "1h")
    for timestamp in (NOW, NOW + 2):
        publisher.process.stdin.write(lines(key.packet(timestamp=timestamp)))
        publisher.process.stdin.flush()
        assert publisher.next()["relays"][0]["outcome"] == "stored"
        # Somebody puts an old packet again.
        behaviour.packets[key.name] = key.payload(timestamp=NOW - 5)
    assert publisher.stop() == 0


def test_refresh_puts_the_same_bytes_again_until_terminated(service, relay, new_key):
    key, plain = new_key(), relay(lambda *request: (204, {}, b""))
    publisher = service("pkarr-publish", *only(plain), "--refresh", "1s")
    publisher.process.stdin.write(lines(key.packet()))
    publisher.process.stdin.close()
    for _ in range(3):
        assert publisher.next()["timestamp"] == NOW
    assert publisher.process.poll() is None
    assert publisher.stop() == 0
    assert {body for _, _, _, body, _ in plain.requests} == {key.payload()}


def test_refresh_goes_on_with_the_later_packet(service, relay, new_key):
    key, plain = new_key(), relay(lambda *request: (204, {}, b""))
    publisher = service("pkarr-publish", *only(plain), "--refresh", "1s")
    for timestamp in (NOW, NOW + 1):
        publisher.process.stdin.write(lines(key.packet(timestamp=timestamp)))
        publisher.process.stdin.flush()
        assert publisher.next()["timestamp"] == timestamp
    assert publisher.next()["timestamp"] == NOW + 1
    publisher.process.stdin.write(lines(key.packet(timestamp=NOW - 1)))
    publisher.process.stdin.flush()
    late = next(receipt for receipt in iter(publisher.next, None) if receipt["timestamp"] != NOW + 1)
    assert (late["timestamp"], late["stored"], late["newer"]) == (NOW - 1, False, NOW + 1)
    assert publisher.stop() == 0


def test_refresh_ends_with_75_when_all_that_was_given_is_overtaken(service, relay, new_key):
    key, behaviour = new_key(), OldRelay()
    publisher = service("pkarr-publish", *only(relay(behaviour)), "--refresh", "1s")
    publisher.process.stdin.write(lines(key.packet()))
    publisher.process.stdin.close()
    assert publisher.next()["stored"]
    behaviour.packets[key.name] = key.payload(timestamp=NOW + 1)
    receipts = []
    while not receipts or not receipts[-1]["newer"]:
        receipts.append(publisher.next())
    assert receipts[-1]["newer"] == NOW + 1
    assert publisher.process.wait(60) == 75


def test_bad_lines_are_named_and_the_others_published(publish, relay, new_key):
    key, plain = new_key(), relay(lambda *request: (204, {}, b""))
    good = key.payload()
    broken = [b"{", b"[]", b"{}", {"public_key": key.name}, {"public_key": "x", "payload": ""}, {**key.packet(), "payload": "%"},
              packet(key.name, good[:83]), packet(key.name, bytes([good[0] ^ 1]) + good[1:]), packet(new_key().name, good),
              packet(key.name, key.payload(b"\0" * 11)), packet(key.name, key.payload(b"x" * 1001))]
    done = publish(*(line + b"\n" if isinstance(line, bytes) else line for line in broken), key.packet(), *only(plain))
    assert done.status == 65
    assert [receipt["timestamp"] for receipt in done.objects] == [NOW]
    assert plain.count("PUT") == 1
    *told, total = [line for line in done.err.splitlines() if not line.startswith("pkarr-publish: hint:")]
    assert total == f"pkarr-publish: {len(broken) + 1} packets: 1 stored, {len(broken)} lines wrong"
    assert len(told) == len(broken)
    for number, line in enumerate(told, 1):
        assert line.startswith(f"pkarr-publish: standard input, line {number}"), line


def test_thousands_of_keys_in_order(publish, relay, new_key):
    plain, keys = relay(lambda *request: (204, {}, b"")), [new_key() for _ in range(3000)]
    done = publish(*(key.packet() for key in keys), *only(plain), "--rate", "unlimited")
    assert done.status == 0
    assert [receipt["public_key"] for receipt in done.objects] == [key.name for key in keys]


def test_of_thousands_of_packets_of_one_key_the_last_is_published(publish, relay, new_key):
    key, behaviour = new_key(), OldRelay()
    done = publish(*(key.packet(timestamp=NOW + step) for step in range(2000)), *only(relay(behaviour)))
    assert done.status == 0
    assert behaviour.packets[key.name] == key.payload(timestamp=NOW + 1999)
    stamps = [receipt["timestamp"] for receipt in done.objects]
    assert stamps == sorted(stamps) and stamps[-1] == NOW + 1999


def test_a_reader_that_goes_away_ends_it_cleanly(service, relay, new_key):
    publisher = service("pkarr-publish", *only(relay(lambda *request: (204, {}, b""))), "--refresh", "1h")
    publisher.process.stdin.write(lines(new_key().packet()))
    publisher.process.stdin.flush()
    publisher.next()
    publisher.process.stdout.close()
    assert publisher.process.wait(60) == 0


def test_nothing_in_nothing_out(publish, dead_port):
    done = publish("--no-dht", "--relay", f"http://{dead_port}")
    assert (done.status, done.out, done.err) == (0, "", "")


@pytest.mark.parametrize("arguments", [
    ["--relay", "ftp://a/"], ["--relay", "http://"], ["--relay", "http://a/?b"], ["--relay", "http://u@a/"], ["--relay", "http://a:0/"],
    ["--relay", "http://a", "--no-relays"], ["--bootstrap", "a:1", "--no-dht"], ["--no-dht", "--no-relays"], ["--bootstrap", "a"],
    ["--refresh", "5"], ["--refresh", "0s"], ["--rate", "0"], ["--rate", "4/h"], ["--rate", "-1"], ["--rate", "1/s/s"],
    ["--jobs", "0"], ["--jobs", "65"], ["--retries", "-1"], ["--refresh", "5m", "--resume", "x"], ["surplus"]])
def test_wrong_arguments(run, arguments):
    assert run("pkarr-publish", *arguments).status == 64


def test_bad_variables_are_configuration_errors(run):
    for name, value in (("PKARR_RELAYS", "http://a,gopher://b"), ("PKARR_BOOTSTRAP", "a")):
        ended = run("pkarr-publish", env={name: value})
        assert ended.status == 78
        assert name in ended.err


def test_no_source_at_all_is_a_usage_error(run):
    assert run("pkarr-publish", env={"PKARR_RELAYS": "", "PKARR_BOOTSTRAP": ""}).status == 64


def test_a_terminated_one_shot_ends_at_once(service, relay, new_key):
    publisher = service("pkarr-publish", *only(relay(lambda *request: (204, {}, b""))))
    publisher.process.stdin.write(lines(new_key().packet()))
    publisher.process.stdin.flush()
    publisher.next()
    publisher.process.send_signal(signal.SIGINT)
    assert publisher.process.wait(60) == 0


def test_what_is_printed_is_what_resolving_gives_back(publish, run, network, new_key):
    key = new_key()
    publish(key.packet(), "--no-relays", "--bootstrap", network[0]["dht"])
    [found] = run("pkarr-resolve", "--no-relays", "--bootstrap", network[3]["dht"], key.name).objects
    assert base64.b64decode(found["payload"]) == key.payload()
    # A packet line as it comes may go straight in again.
    assert publish(json.dumps(found).encode() + b"\n", "--no-relays", "--bootstrap", network[1]["dht"]).status == 0


HOUR = 3_600_000_000


def held(key, timestamp, text="hello"):
    return item_of(key, key.text(text), timestamp)


def test_a_receipt_tells_of_each_node_what_it_had_and_what_it_did(publish, stand_ins, new_key):
    """Nodes that store, refuse for different reasons and do not answer the put, whatever they had before."""
    key = new_key()
    network = stand_ins([held(key, NOW - HOUR), held(key, NOW), {}, {}, held(key, NOW) | {"sig": bytes(64)}])
    network.nodes[2].put = [205, "message \x1b[31mtoo big"]
    network.nodes[3].put = None
    addresses = [node.address for node in network.nodes]
    [receipt] = publish(key.packet(), "--no-relays", "--bootstrap", addresses[0]).objects
    nodes = {node["address"]: node for node in receipt["dht"]["nodes"]}
    assert [nodes[address]["outcome"] for address in addresses] == ["stored", "stored", "refused", "silent", "stored"]
    digest = hashlib.sha256(key.text("hello")).hexdigest()
    assert nodes[addresses[0]]["had"]["timestamp"] == NOW - HOUR
    assert nodes[addresses[1]]["had"] == {"timestamp": NOW, "size": 82, "hash": digest}
    assert nodes[addresses[2]]["had"] is None and nodes[addresses[3]]["had"] is None
    assert "had" not in nodes[addresses[4]]
    assert (nodes[addresses[2]]["code"], nodes[addresses[2]]["message"]) == (205, "message \x1b[31mtoo big")
    assert "round_trip_ms" not in nodes[addresses[3]] and nodes[addresses[0]]["round_trip_ms"] > 0
    assert [node["node_id"] for node in receipt["dht"]["nodes"]] == [
        node.id.hex() for node in sorted(network.nodes, key=lambda node: int.from_bytes(node.id) ^ int(hashlib.sha1(key.bytes).hexdigest(), 16))]


def test_a_receipt_names_the_nodes_whose_newer_packet_stopped_it(publish, stand_ins, new_key):
    key = new_key()
    network = stand_ins([held(key, NOW + 1), {}, {}])
    done = publish(key.packet(), "--no-relays", "--bootstrap", network.nodes[1].address)
    assert done.status == 75
    [node] = done.objects[0]["dht"]["nodes"]
    assert (node["address"], node["outcome"], node["had"]["timestamp"]) == (network.nodes[0].address, "not-asked", NOW + 1)


def test_a_page_to_log_in_at_has_not_stored_anything(publish, relay, new_key):
    """The login page of a guest network answers 200 to anything that is sent on to it."""
    portal = relay(lambda method, name, *request: (200, {}, b"<html>Log in</html>") if name == "login" else (302, {"Location": "/login"}, b""))
    done = publish(new_key().packet(), *only(portal))
    [answer] = done.objects[0]["relays"]
    assert (done.status, answer["outcome"], answer["status"]) == (69, "failed", 200)
    assert f"{portal.url}/login" in answer["error"]


@pytest.mark.parametrize("columns", [60, 80, 140])
def test_a_terminal_gets_a_table(terminal, stand_ins, relay, new_key, columns):
    key = new_key()
    network = stand_ins([held(key, NOW - HOUR), {}, {}])
    network.nodes[1].put = [205, "message \x1b[31mtoo big"]
    network.nodes[2].put = None
    busy = relay(lambda *request: (429, {}, b"slow down"))
    shown = terminal(columns, "pkarr-publish", "--bootstrap", network.nodes[0].address, "--relay", busy.url, input=lines(key.packet()),
                     env={"NO_COLOR": "1"})
    assert (shown.status, shown.err) == (0, "")
    text = shown.out.splitlines()
    assert text[0] == key.name and text[1].split()[:3] == ["RESULT", "BEFORE", "SOURCE"]
    assert all(len(line) <= columns for line in text) and "\x1b" not in shown.out
    rows = {row[0]: row[1:] for row in map(str.split, text) if row}
    assert rows["stored"][:4] == ["1", "h", "older", network.nodes[0].address]
    assert rows["refused"][:2] == ["nothing", network.nodes[1].address] and rows["silent"][:2] == ["nothing", network.nodes[2].address]
    together = " ".join(shown.out.split())
    assert "error 205: message \\u{1b}[31mtoo big" in together and "status 429; slow down" in together
    assert "stored: 1 of 3 nodes, 0 of 1 relay; 10 nodes are regarded as well stored" in together


def test_of_many_packets_a_terminal_gets_a_line_each_and_the_failures_in_full(terminal, relay, new_key, tmp_path):
    keys = [new_key() for _ in range(4)]
    picky = relay(lambda method, name, *request: (400, {}, b"no") if name == keys[2].name else (204, {}, b""))
    shown = terminal(100, "pkarr-publish", *only(picky), input=lines(*(key.packet() for key in keys)), env={"NO_COLOR": "1"})
    text = shown.out.splitlines()
    assert [line.split()[0] for line in text if line[:52] in [key.name for key in keys]] == [key.name for key in keys]
    for key in (keys[1], keys[3]):
        assert f"{key.name}  stored: 1 of 1 relay" in text
    refusal = text.index(keys[2].name)
    assert text[refusal + 2].split()[0] == "refused"
    assert shown.status == 69


def test_a_terminal_is_told_of_a_newer_packet(terminal, relay, new_key):
    key = new_key()
    ahead = relay(lambda method, *request: (409, {}, b"") if method == "PUT" else (200, {}, key.payload(timestamp=NOW + HOUR)))
    shown = terminal(100, "pkarr-publish", *only(ahead), input=lines(key.packet()), env={"NO_COLOR": "1"})
    assert shown.status == 75
    assert ["overtaken", "1", "h", "newer", ahead.url] == shown.out.splitlines()[2].split()[:5]
    assert "a newer packet is there, signed " in shown.out
