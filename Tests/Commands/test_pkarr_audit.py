"""pkarr-resolve --audit as a process: who has what, and what it comes to, for programs and in a terminal."""
import hashlib
import json
import signal
import time

import pytest

from conftest import lines
from dht_nodes import item_of
from packets import NOW, Key

HOUR = 3_600_000_000


@pytest.fixture
def audit(run):
    """audit(keys and options…) -> Finished"""
    return lambda *arguments, **options: run("pkarr-resolve", "--audit", *arguments, **options)


def dht(*nodes):
    return "--no-relays", *(word for node in nodes for word in ("--bootstrap", node))


def only(*relays):
    return "--no-dht", *(word for relay in relays for word in ("--relay", getattr(relay, "url", relay)))


def says(payload, status=200, headers={}):
    """A relay that always says the same."""
    return lambda *request: (status, headers, payload)


def held(key, timestamp=NOW, text="hello"):
    return item_of(key, key.text(text), timestamp)


def verdict(finished):
    """The last line, which is the only one without a source."""
    assert ["source" in line for line in finished.objects] == [True] * (len(finished.objects) - 1) + [False], finished.err
    return finished.objects[-1]


def outcomes(finished):
    """Outcome by address or URL."""
    return {line.get("address") or line["url"]: line["outcome"] for line in finished.objects if "source" in line}


def test_every_node_and_relay_tells_what_it_has(audit, run, network, new_key):
    key = new_key()
    assert run("pkarr-publish", *dht(network[0]["dht"]), input=lines(key.packet())).status == 0
    done = audit("--bootstrap", network[2]["dht"], "--relay", network[1]["http"], key.name)
    assert (done.status, done.err) == (0, "")
    last = verdict(done)
    assert outcomes(done) == {network[1]["http"]: "newest"} | {node["dht"]: "newest" for node in network}
    message = key.text("hello")
    for line in done.objects[:-1]:
        assert (line["public_key"], line["timestamp"], line["size"]) == (key.name, NOW, len(message))
        assert line["hash"] == hashlib.sha256(message).hexdigest()
        assert line["round_trip_ms"] > 0 and line["age_s"] > 0
    nodes = [line for line in done.objects if line.get("source") == "node"]
    distances = [int(line["node_id"], 16) ^ int(hashlib.sha1(key.bytes).hexdigest(), 16) for line in nodes]
    assert distances == sorted(distances) and all(line["closest"] for line in nodes)
    assert (last["outcome"], last["problems"], last["advice"], last["records"]) == ("agreed", [], None, 1)
    assert (last["timestamp"], last["hash"], last["well_stored"]) == (NOW, hashlib.sha256(message).hexdigest(), False)
    assert (last["nodes"]["asked"], last["nodes"]["newest"], last["nodes"]["lookup"]) == (6, 6, "complete")
    assert (last["relays"]["asked"], last["relays"]["newest"], last["lagging_relays"]) == (1, 1, [])
    assert "held by 6 nodes" in last["verdict"] and "served by 1 of 1 relay" in last["verdict"]


def test_nodes_that_disagree_lie_refuse_and_are_silent(audit, stand_ins, new_key):
    key, other = new_key(), new_key()
    texts = sorted(["one", "two"], key=key.text)
    forged = held(key, NOW + 5) | {"sig": bytes(64)}
    items = {
        "newest": held(key, NOW, texts[1]), "different": held(key, NOW, texts[0]), "older": held(key, NOW - HOUR),
        "not-a-packet": item_of(key, b"no DNS message", NOW - 2 * HOUR), "nothing": {}, "silent": None,
        "refused": [201, "out of \x1b[31mmemory"], "invalid": forged,
    }
    network = stand_ins([*items.values(), held(other, NOW + 9), held(key, -1)])
    addresses = [node.address for node in network.nodes]
    done = audit(*dht(addresses[0]), key.name)
    assert outcomes(done) == dict(zip(addresses, [*items, "invalid", "invalid"]))
    by_outcome = {line["outcome"]: line for line in done.objects}
    assert by_outcome["older"]["older_by_us"] == HOUR and by_outcome["older"]["hash"] == hashlib.sha256(key.text("hello")).hexdigest()
    assert by_outcome["not-a-packet"]["hash"] == hashlib.sha256(b"no DNS message").hexdigest()
    assert (by_outcome["refused"]["code"], by_outcome["refused"]["message"]) == (201, "out of \x1b[31mmemory")
    assert "round_trip_ms" not in by_outcome["silent"] and "hash" not in by_outcome["nothing"]
    reasons = {line["error"] for line in done.objects if line["outcome"] == "invalid"}
    assert reasons == {"an item that the key has not signed", "the item of another key", "an item with a negative sequence"}
    last = verdict(done)
    assert last["problems"] == ["same-timestamp", "outdated-nodes", "thin"]
    assert (done.status, last["outcome"], last["timestamp"]) == (75, "same-timestamp", NOW)
    assert {name: last["nodes"][name] for name in ("asked", "newest", "invalid", "silent")} == {
        "asked": 10, "newest": 1, "invalid": 3, "silent": 1}


def test_ten_nodes_are_well_stored_and_the_fewest_that_are(audit, stand_ins, new_key):
    key = new_key()
    network = stand_ins([held(key)] * 10 + [{}] * 3)
    done = audit(*dht(network.nodes[0].address), key.name)
    assert (done.status, verdict(done)["outcome"], verdict(done)["well_stored"]) == (0, "well-stored", True)
    network.nodes[4].item = {}
    done = audit(*dht(network.nodes[0].address), key.name)
    assert (done.status, verdict(done)["outcome"], verdict(done)["nodes"]["newest"]) == (75, "thin", 9)


def test_a_newer_item_that_is_no_packet_is_bad_data(audit, stand_ins, new_key):
    key = new_key()
    network = stand_ins([held(key)] * 3 + [item_of(key, b"\xff" * 20, NOW + 1)])
    done = audit(*dht(network.nodes[0].address), key.name)
    last = verdict(done)
    assert (done.status, last["outcome"], last["newer_item"], last["timestamp"]) == (65, "not-a-packet", NOW + 1, NOW)


def test_records_out_of_reach_are_bad_data(audit, relay, new_key):
    key = new_key()
    # The name of another key.
    done = audit(*only(relay(says(key.payload(Key(3).text("hello"))))), key.name)
    assert (done.status, verdict(done)["outcome"]) == (65, "unusable-records")
    assert "outside the key's zone" in verdict(done)["record_warnings"][0]


def test_relays_of_every_kind(audit, relay, dead_port, new_key):
    key = new_key()
    lie = bytes([key.payload()[0] ^ 1]) + key.payload()[1:]

    def portal(method, name, *request):
        return (200, {}, b"<html>Log in</html>") if name == "login" else (302, {"Location": "/login"}, b"")

    kinds = {
        "newest": says(key.payload()), "older": says(key.payload(timestamp=NOW - 1)), "nothing": says(b"", 404),
        "failed": says(b"no closest nodes", 500), "rate-limited": says(b"slow down", 429), "refused": says(b"", 400), "invalid": portal}
    relays = {name: relay(answer) for name, answer in kinds.items()}
    liar = relay(says(lie))
    done = audit(*only(*relays.values(), liar, f"http://{dead_port}"), key.name)
    assert outcomes(done) == {relay.url: name for name, relay in relays.items()} | {liar.url: "invalid", f"http://{dead_port}": "unreachable"}
    by_outcome = {line["outcome"]: line for line in done.objects if line.get("url") != liar.url}
    statuses = {name: line.get("status") for name, line in by_outcome.items() if "source" in line}
    assert statuses == {"newest": 200, "older": 200, "nothing": 404, "failed": 500, "rate-limited": 429, "refused": 400, "invalid": 200,
                        "unreachable": None}
    assert by_outcome["failed"]["error"] == "status 500: no closest nodes"
    assert by_outcome["invalid"]["redirected_to"] == f"{relays['invalid'].url}/login"
    assert by_outcome["unreachable"]["error"]
    last = verdict(done)
    assert (done.status, last["outcome"]) == (75, "lagging-relays")
    assert last["lagging_relays"] == [relays["older"].url, relays["nothing"].url]
    assert last["nodes"] is None and last["relays"]["answered"] == 3


def test_a_relays_cache_is_told_from_its_dht(audit, relay, new_key):
    """First what every reader gets, then past the caches: the other way round the look-up would have filled the cache."""
    key = new_key()

    def caching(method, name, headers, body, query):
        if query == "policy=NetworkOnly":
            return 200, {}, key.payload(timestamp=NOW + 9)
        return 200, {"Age": "77", "Memento-Datetime": "Tue, 24 Nov 2026 09:30:43 GMT"}, key.payload()

    cached = relay(caching)
    done = audit(*only(cached), key.name)
    assert [query for *_, query in cached.requests] == ["", "policy=NetworkOnly"]
    assert "Cache-Control" not in cached.requests[0][2] and "no-cache" in cached.requests[1][2]["Cache-Control"]
    line = done.objects[0]
    assert (line["outcome"], line["older_by_us"], line["cached_s"], line["last_seen"]) == ("older", 9, 77, 1_795_512_643_000_000)
    assert (line["network"]["outcome"], line["network"]["timestamp"]) == ("newest", NOW + 9)
    assert (done.status, verdict(done)["problems"]) == (75, ["lagging-relays"])
    assert "caches are behind" in verdict(done)["advice"]


def test_what_nobody_has_is_68(audit, network, relay, new_key):
    done = audit("--bootstrap", network[0]["dht"], "--relay", relay(says(b"", 404)).url, new_key().name)
    assert (done.status, verdict(done)["outcome"], verdict(done)["nodes"]["nothing"]) == (68, "not-found", 6)
    assert "timestamp" not in verdict(done) and "pkarr-publish" in verdict(done)["advice"]


def test_no_answer_at_all_is_69(audit, dead_port, new_key):
    done = audit("--bootstrap", dead_port, "--relay", f"http://{dead_port}", new_key().name)
    assert (done.status, verdict(done)["outcome"]) == (69, "unanswered")
    assert outcomes(done) == {dead_port: "silent", f"http://{dead_port}": "unreachable"}
    assert "no node answered" in verdict(done)["verdict"]


def test_a_timestamp_in_the_future_is_told_of(audit, relay, new_key):
    key, ahead = new_key(), time.time_ns() // 1000 + 2 * HOUR
    done = audit(*only(relay(says(key.payload(timestamp=ahead)))), key.name)
    assert (done.status, verdict(done)["outcome"], verdict(done)["in_future"]) == (75, "in-future", True)
    assert verdict(done)["age_s"] < 0 and "1 hour ahead" in verdict(done)["verdict"]


def test_what_was_seen_before_is_remembered(audit, relay, new_key, tmp_path):
    key, held = new_key(), [NOW + 1, NOW]
    replaying = relay(lambda *request: (200, {}, key.payload(timestamp=held[0])))
    arguments = *only(replaying), "--state", tmp_path / "state", key.name
    assert audit(*arguments).status == 0
    held.pop(0)
    done = audit(*arguments)
    assert (done.status, verdict(done)["problems"], verdict(done)["floor"]) == (75, ["rolled-back"], NOW + 1)


def test_several_keys_are_audited_one_after_another(audit, relay, new_key):
    keys = [new_key() for _ in range(3)]
    payloads = {keys[0].name: (200, {}, keys[0].payload()), keys[2].name: (200, {}, keys[2].payload())}
    server = relay(lambda method, name, *request: payloads.get(name, (404, {}, b"")))
    done = audit(*only(server), *(key.name for key in keys), keys[0].name)
    assert done.status == 68
    assert [(line["public_key"], line["outcome"]) for line in done.objects if "source" not in line] == [
        (keys[0].name, "agreed"), (keys[1].name, "not-found"), (keys[2].name, "agreed")]
    assert [name for _, name, *_ in server.requests] == [key.name for key in keys for _ in range(2)]


def test_watching_audits_again_until_terminated(service, relay, new_key):
    key, given = new_key(), iter([(404, {}, b"")] * 2)
    watched = service("pkarr-resolve", "--audit", *only(relay(lambda *request: next(given, (200, {}, key.payload())))), "--watch", "1s", key.name)
    words = [watched.next()["outcome"] for _ in range(6)]
    assert words == ["nothing", "not-found", "newest", "agreed", "newest", "agreed"]
    watched.process.send_signal(signal.SIGINT)
    assert watched.process.wait(60) == 0


def test_a_gone_reader_ends_watching(service, relay, new_key):
    watched = service("pkarr-resolve", "--audit", *only(relay(says(b"", 404))), "--watch", "1h", new_key().name)
    watched.next()
    watched.process.stdout.close()
    assert watched.process.wait(60) == 0


@pytest.mark.parametrize("columns", [50, 80, 120])
def test_a_terminal_gets_a_table_that_fits(terminal, stand_ins, relay, new_key, columns):
    key = new_key()
    network = stand_ins([held(key)] * 3 + [held(key, NOW - HOUR), [201, "\x1b]0;title\x07"], {}])
    busy = relay(says(b"slow down", 429))
    shown = terminal(columns, "pkarr-resolve", "--audit", "--bootstrap", network.nodes[0].address, "--relay", busy.url, key.name,
                     env={"NO_COLOR": "1"})
    assert shown.status == 75
    text = shown.out.splitlines()
    assert text[0] == key.name
    for line in text[1:]:
        assert len(line) <= columns or hashlib.sha256(key.text("hello")).hexdigest() in line, line
    assert "\x1b" not in shown.out and "\\u{1b}]0;title\\u{7}" in shown.out.replace("\n    ", "")
    rows = [line.split() for line in text[:text.index("")]]
    assert text[1].split()[:2] == ["HAS", "AGE"]
    counts = {word: sum(row[:1] == [word] for row in rows) for word in ("newest", "older", "refused", "nothing", "rate-limited")}
    assert counts == {"newest": 3, "older": 1, "refused": 1, "nothing": 1, "rate-limited": 1}
    assert "verdict: outdated-nodes, thin" in text
    together = " ".join(shown.out.split())
    assert "nodes: 6 asked, 3 newest, 1 older, 1 nothing, 1 refused" in together
    assert "status 429: slow down" in together
    assert f"timestamp {NOW}" in together and hashlib.sha256(key.text("hello")).hexdigest() in together
    assert "Put the newest packet again" in together


def test_a_terminal_gets_colour_unless_it_is_unwanted(terminal, relay, new_key):
    key = new_key()
    arguments = ("pkarr-resolve", "--audit", *only(relay(says(key.payload()))), key.name)
    assert "\x1b[32mnewest\x1b[0m" in terminal(100, *arguments, env={"NO_COLOR": "", "TERM": "xterm"}).out
    for unwanted in ({"NO_COLOR": "1", "TERM": "xterm"}, {"NO_COLOR": "", "TERM": "dumb"}):
        assert "\x1b" not in terminal(100, *arguments, env=unwanted).out


def test_a_terminal_and_a_pipe_get_the_same_facts(audit, terminal, relay, new_key):
    key = new_key()
    arguments = (*only(relay(says(key.payload())), relay(says(b"", 404))), key.name)
    last, shown = verdict(audit(*arguments)), terminal(200, "pkarr-resolve", "--audit", *arguments, env={"NO_COLOR": "1"})
    together = " ".join(shown.out.split())
    for fact in (last["outcome"], last["verdict"], last["advice"], last["hash"], str(last["timestamp"])):
        assert fact in together
    assert not any(line.startswith("{") for line in shown.out.splitlines())


def test_auditing_needs_a_key(audit):
    assert audit().status == 64


def test_an_audit_is_one_object_a_line(audit, relay, new_key):
    done = audit(*only(relay(says(b"", 404))), new_key().name)
    assert [json.loads(line)["outcome"] for line in done.out.splitlines()] == ["nothing", "not-found"]
