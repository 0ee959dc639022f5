"""pkarr-resolve as a process: which packet it gives out and when, relays that lie, watching, errors."""
import base64
import json
import signal
import subprocess
import threading

import pytest

from conftest import command, lines
from packets import NOW, Key, OldRelay, timestamp_of


@pytest.fixture
def resolve(run):
    """resolve(keys and options…) -> Finished"""
    return lambda *arguments, **options: run("pkarr-resolve", *arguments, **options)


@pytest.fixture
def publish(run):
    def publish(key, timestamp, *arguments):
        assert run("pkarr-publish", *arguments, input=lines(key.packet(timestamp=timestamp))).status == 0

    return publish


def says(payload, status=200, headers={}):
    """A relay that always says the same."""
    return lambda *request: (status, headers, payload)


def only(*relays):
    return "--no-dht", *(word for relay in relays for word in ("--relay", getattr(relay, "url", relay)))


def nodes(*nodes):
    return "--no-relays", *(word for node in nodes for word in ("--bootstrap", node["dht"]))


@pytest.fixture
def hanging(relay):
    """A relay that does not answer before the test ends."""
    release = threading.Event()
    yield relay(lambda *request: (release.wait(60), (404, {}, b""))[1])
    release.set()


def stamps(finished):
    return [packet["timestamp"] for packet in finished.objects]


def test_a_packet_of_the_dht_comes_whole(resolve, publish, network, new_key):
    key = new_key()
    publish(key, NOW, *nodes(network[0]))
    done = resolve(*nodes(network[4]), key.name)
    assert (done.status, done.err) == (0, "")
    [packet] = done.objects
    payload = base64.b64decode(packet["payload"])
    assert payload == key.payload()
    assert (packet["public_key"], packet["timestamp"], packet["size"]) == (key.name, NOW, len(payload) - 72)
    assert packet["records"] == [{"name": "@", "type": "TXT", "ttl": 300, "strings": ["hello"]}]


def test_every_way_to_write_a_key(resolve, publish, relay, new_key):
    key = new_key()
    server = relay(says(key.payload()))
    for written in (key.name, f"pk:{key.name}", f"pubky://{key.name}/pub/x", f"https://_pubky.{key.name}/", key.bytes.hex()):
        assert resolve(*only(server), written).objects[0]["public_key"] == key.name
    assert {request[1] for request in server.requests} == {key.name}


def test_the_newest_packet_wins(resolve, relay, new_key):
    key = new_key()
    old, new, tie = (relay(says(payload)) for payload in (
        key.payload(timestamp=NOW), key.payload(key.text("a"), NOW + 1), key.payload(key.text("b"), NOW + 1)))
    [packet] = resolve(*only(old, new, tie), key.name).objects
    assert packet["records"][0]["strings"] in (["a"], ["b"])
    # With all three heard, the larger message decides.
    [packet] = resolve(*only(tie, new), key.name).objects
    assert packet["records"][0]["strings"] == ["b"]


def test_relay_and_dht_are_asked_at_once(resolve, publish, network, relay, new_key):
    key = new_key()
    publish(key, NOW, *nodes(network[0]))
    assert stamps(resolve("--bootstrap", network[1]["dht"], "--relay", network[2]["http"], key.name)) == [NOW]


def test_a_complete_lookup_is_enough_and_waits_for_no_relay(resolve, publish, network, hanging, new_key):
    key = new_key()
    publish(key, NOW, *nodes(network[0]))
    assert stamps(resolve("--bootstrap", network[0]["dht"], "--relay", hanging.url, key.name)) == [NOW]


def test_most_relays_are_enough_and_wait_for_no_other(resolve, relay, hanging, dead_port, new_key):
    key = new_key()
    good = [relay(says(key.payload())), relay(says(b"", 404))]
    assert stamps(resolve("--bootstrap", dead_port, *(word for one in (*good, hanging) for word in ("--relay", one.url)), key.name)) == [NOW]


def test_one_relay_of_three_is_not_enough(service, relay, new_key):
    """The second relay has a newer packet and answers only after the first has."""
    key, asked = new_key(), threading.Event()

    def late(*request):
        assert asked.wait(60)
        return 200, {}, key.payload(timestamp=NOW + 1)

    def early(*request):
        asked.set()
        return 200, {}, key.payload()

    found = service("pkarr-resolve", *only(relay(early), relay(late), "http://127.0.0.1:9"), key.name)
    assert found.next()["timestamp"] == NOW + 1


def test_what_nobody_has_is_68(resolve, network, relay, new_key):
    key = new_key()
    done = resolve("--bootstrap", network[0]["dht"], "--relay", relay(says(b"", 404)).url, key.name)
    assert (done.status, done.out, done.err) == (68, "", f"pkarr-resolve: {key.name}: nobody has a packet of this key\n")


def test_no_answer_at_all_is_69(resolve, dead_port, new_key):
    key = new_key()
    done = resolve("--bootstrap", dead_port, "--relay", f"http://{dead_port}", key.name)
    assert (done.status, done.out) == (69, "")
    assert f"{key.name}: no source answered" in done.err and f"http://{dead_port}: " in done.err and "the DHT: " in done.err


def test_one_source_that_answers_makes_it_68(resolve, dead_port, relay, new_key):
    assert resolve(*only(f"http://{dead_port}", relay(says(b"", 404))), new_key().name).status == 68


LIES = {
    "bad signature": lambda key: bytes([key.payload()[0] ^ 1]) + key.payload()[1:],
    "other timestamp": lambda key: key.payload()[:64] + (NOW + 1).to_bytes(8) + key.payload()[72:],
    "another key's packet": lambda key: Key(7).payload(),
    "truncated": lambda key: key.payload()[:-1],
    "one byte": lambda key: b"x",
    "no DNS": lambda key: key.payload(b"\xff" * 20),
    "too long": lambda key: key.payload(b"\0" * 1001),
    "a page": lambda key: b"<html>Not a relay</html>" * 40,
    "huge": lambda key: b"x" * 10_000_000,
}


@pytest.mark.parametrize("lie", LIES)
def test_a_relay_that_lies_counts_as_no_answer(resolve, relay, new_key, lie):
    key = new_key()
    liar, honest = relay(says(LIES[lie](key))), relay(says(key.payload()))
    done = resolve(*only(liar), key.name)
    assert (done.status, done.out) == (69, "")
    assert liar.url in done.err
    assert stamps(resolve(*only(liar, honest), key.name)) == [NOW]


@pytest.mark.parametrize("status", [400, 403, 429, 500, 503])
def test_a_relay_in_trouble_counts_as_no_answer(resolve, relay, new_key, status):
    done = resolve(*only(relay(says(b"sorry", status))), new_key().name)
    assert done.status == 69
    assert f"status {status}" in done.err


@pytest.mark.parametrize("empty", [(200, b""), (304, b"")])
def test_an_answer_without_a_packet_is_asked_for_again(resolve, relay, new_key, empty):
    key, answers = new_key(), []

    def forgetful(*request):
        answers.append(request)
        return (empty[0], {}, empty[1]) if len(answers) == 1 else (200, {}, key.payload())

    assert stamps(resolve(*only(relay(forgetful)), key.name)) == [NOW]
    assert resolve(*only(relay(says(b"", empty[0]))), key.name).status == 69


def test_every_question_goes_past_caches_and_names_no_date(resolve, relay, new_key):
    server = relay(says(b"", 404))
    resolve(*only(server), new_key().name)
    [(method, _, headers, _, query)] = server.requests
    assert (method, query) == ("GET", "policy=NetworkOnly")
    assert "no-cache" in headers["Cache-Control"]
    assert "If-Modified-Since" not in headers


def test_old_relays_are_understood(resolve, publish, relay, new_key):
    key, old = new_key(), relay(OldRelay())
    publish(key, NOW, *only(old))
    assert stamps(resolve(*only(old), key.name)) == [NOW]


def test_many_keys_at_once(resolve, publish, network, new_key, run):
    keys, missing = [new_key() for _ in range(60)], new_key()
    assert run("pkarr-publish", *nodes(network[0]), input=lines(*(key.packet() for key in keys))).status == 0
    done = resolve(*nodes(network[1]), *(key.name for key in keys), missing.name, keys[0].name)
    assert done.status == 68
    assert sorted(packet["public_key"] for packet in done.objects) == sorted(key.name for key in keys)


def test_watching_prints_at_once_and_then_each_newer_packet(service, relay, new_key):
    """What the relay has goes up and down and up; an older packet is no news."""
    key, held = new_key(), iter([NOW, NOW, NOW - 1, NOW + 1])
    served = relay(lambda *request: (200, {}, key.payload(timestamp=next(held, NOW))))
    watched = service("pkarr-resolve", *only(served), "--watch", "1s", key.name)
    assert [watched.next()["timestamp"] for _ in range(2)] == [NOW, NOW + 1]
    assert served.count("GET") == 4
    assert watched.stop() == 0
    assert watched.process.stdout.read() == b""


def test_watching_adds_what_slower_sources_know(service, relay, new_key):
    key, printed = new_key(), threading.Event()

    def late(*request):
        assert printed.wait(60)
        return 200, {}, key.payload(timestamp=NOW + 1)

    early = [relay(says(key.payload())) for _ in range(2)]
    watched = service("pkarr-resolve", *only(*early, relay(late)), "--watch", "1h", key.name)
    assert watched.next()["timestamp"] == NOW
    printed.set()
    assert watched.next()["timestamp"] == NOW + 1
    assert watched.stop() == 0


def test_watching_waits_for_a_key_that_nobody_has_yet(service, relay, new_key):
    key, answers = new_key(), iter([(404, {}, b""), (503, {}, b"")])
    watched = service("pkarr-resolve", *only(relay(lambda *request: next(answers, (200, {}, key.payload())))), "--watch", "1s", key.name)
    assert watched.next()["timestamp"] == NOW
    assert watched.stop() == 0
    assert "nobody has a packet" in watched.process.stderr.read().decode()


def test_a_gone_reader_ends_watching(service, relay, new_key):
    watched = service("pkarr-resolve", *only(relay(says(new_key().payload(), 404))), "--watch", "1h", new_key().name)
    watched.process.stdout.close()
    assert watched.process.wait(60) == 0


def test_a_gone_reader_is_no_error(relay, new_key):
    key = new_key()
    resolving = subprocess.Popen(command("pkarr-resolve", *only(relay(says(key.payload()))), key.name), stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    resolving.stdout.close()
    assert resolving.wait(60) == 0
    assert resolving.stderr.read() == b""
    resolving.stderr.close()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it_cleanly(service, hanging, new_key, number):
    resolving = service("pkarr-resolve", *only(hanging), new_key().name)
    while not hanging.requests:
        assert resolving.process.poll() is None
    resolving.process.send_signal(number)
    assert resolving.process.wait(60) == 0


@pytest.mark.parametrize("arguments", [
    [], ["--stdin", "y" * 52], ["--stdin", "--watch", "1m"], ["--stdin", "--audit"], ["short"], ["y" * 51 + "9"], ["pk:" + "y" * 51], ["--watch", "0s", "y" * 52], ["--watch", "never", "y" * 52],
    ["--no-dht", "--no-relays", "y" * 52], ["--relay", "nonsense", "y" * 52]])
def test_wrong_arguments(resolve, arguments):
    assert resolve(*arguments).status == 64


def test_bad_variables_are_configuration_errors(resolve):
    assert resolve("y" * 52, env={"PKARR_RELAYS": "nonsense"}).status == 78


def test_messages_as_objects(resolve, relay, new_key):
    done = resolve(*only(relay(says(b"", 404))), "--log-format", "json", new_key().name)
    message = json.loads(done.err)
    assert (message["level"], message["command"]) == ("error", "pkarr-resolve")


def test_keys_on_standard_input_are_answered_each_with_a_line(resolve, relay, new_key):
    """In any form, with or without a packet; what asks for nothing is passed over, and a bad line costs nobody else an answer."""
    key, nobodys = new_key(), new_key()
    server = relay(lambda method, name, *rest: (200, {}, key.payload()) if name == key.name else (404, {}, b""))
    done = resolve(*only(server), "--stdin", input=lines(
        key.name, {"listening": "127.0.0.1:1"}, "", {"public_key": nobodys.name, "fresh": False}, "nonsense", {"public_key": 5}, f"  pk:{key.name}\r"))
    answers = done.objects
    assert sorted(answer["public_key"] for answer in answers) == sorted([key.name, nobodys.name, key.name])
    assert [answer for answer in answers if answer["public_key"] == nobodys.name] == [
        {"public_key": nobodys.name, "status": 68, "error": "nobody has a packet of this key"}]
    assert {answer["timestamp"] for answer in answers if answer["public_key"] == key.name} == {NOW}
    assert done.status == 65
    assert "line 5" in done.err and "line 6" in done.err


def test_without_a_bad_line_the_answers_tell_all(resolve, relay, dead_port, new_key):
    done = resolve(*only(f"http://{dead_port}"), "--stdin", input=lines(new_key().name))
    assert (done.status, done.objects[0]["status"]) == (0, 69)
    assert resolve(*only(relay(says(b"", 404))), "--stdin").status == 0


def test_questions_about_one_key_share_a_look_up_but_for_fresh_ones(service, relay, new_key):
    """The second question comes while the relay is still silent, and so does the fresh one, which has to be asked again."""
    key, silent, asked = new_key(), threading.Event(), threading.Semaphore(0)

    def slow(*request):
        asked.release()
        assert silent.wait(60)
        return 200, {}, key.payload(timestamp=NOW + server.count("GET"))

    server = relay(slow)
    resolving = service("pkarr-resolve", *only(server), "--stdin")
    for question in (key.name, {"public_key": key.name}, {"public_key": key.name, "fresh": True}):
        resolving.process.stdin.write(lines(question))
        resolving.process.stdin.flush()
        if question == key.name:
            assert asked.acquire(timeout=60)
    # A key that nobody is asked about yet: when this has been asked, the lines before it have been read.
    resolving.process.stdin.write(lines(new_key().name))
    resolving.process.stdin.flush()
    assert asked.acquire(timeout=60)
    silent.set()
    stamps = []
    while len(stamps) < 3:
        answer = resolving.next()
        if answer["public_key"] == key.name:
            stamps.append(answer["timestamp"])
    assert stamps[0] == stamps[1] != stamps[2]
    assert [request[1] for request in server.requests].count(key.name) == 2


def test_many_more_questions_than_look_ups_at_once_are_all_answered(resolve, relay, new_key):
    keys = [new_key() for _ in range(700)]
    done = resolve(*only(relay(says(b"", 404))), "--stdin", input=lines(*(key.name for key in keys)))
    assert (done.status, {answer["public_key"] for answer in done.objects}) == (0, {key.name for key in keys})
