"""pkarr-publish with many packets: pace, relays that are slow or down, retries, going on after a kill, the sum at the end."""
import contextlib
import fcntl
import os
import pty
import select
import threading
import time

import pytest

from conftest import PATIENCE, Service, command, lines
from packets import NOW


def stored(*_):
    return 204, {}, b""


@pytest.fixture
def keys(new_key):
    """keys(count) -> Keys that no other test uses."""
    return lambda count: [new_key() for _ in range(count)]


@pytest.fixture
def packets(tmp_path):
    """packets(keys) -> a file with a packet line of each."""
    def packets(keys, timestamp=NOW):
        path = tmp_path / "packets.ndjson"
        path.write_bytes(lines(*(key.packet(timestamp=timestamp) for key in keys)))
        return path

    return packets


def publish(run, keys, *arguments):
    return run("pkarr-publish", "--no-dht", "--rate", "unlimited", *arguments, input=lines(*(key.packet() for key in keys)))


def names(keys):
    return [key.name for key in keys]


class Connections:
    """Counts the connections that a stand-in relay accepts."""

    def __init__(self, relay):
        self.count, accept = 0, relay.server.get_request

        def get_request():
            self.count += 1
            return accept()

        relay.server.get_request = get_request


def until(condition):
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, "it does not happen"
        time.sleep(0.01)


def test_every_packet_reaches_the_network_unchanged(run, network, keys, tmp_path):
    many = keys(400)
    done = run("pkarr-publish", "--no-relays", "--bootstrap", network[0]["dht"], "--rate", "unlimited",
               input=lines(*(key.packet() for key in many)))
    assert (done.status, done.err) == (0, "pkarr-publish: 400 packets: 400 stored\n")
    assert [receipt["public_key"] for receipt in done.objects] == names(many)
    assert all(len(receipt["dht"]["stored"]) == len(network) for receipt in done.objects)
    found = run("pkarr-resolve", "--no-relays", "--bootstrap", network[5]["dht"], *names(many[::40])).objects
    assert {packet["public_key"]: packet["payload"] for packet in found} == {key.name: key.packet()["payload"] for key in many[::40]}


@pytest.mark.parametrize("rate, count, least", [("20/s", 30, 0.5), ("20", 30, 0.5), ("600/m", 20, 1.0)])
def test_no_faster_than_the_rate(run, relay, keys, rate, count, least):
    """Twenty at once, then one each 50 ms; ten at once, then one each 100 ms."""
    plain, start = relay(stored), time.monotonic()
    done = publish(run, keys(count), "--relay", plain.url, "--rate", rate)
    assert done.status == 0 and plain.count("PUT") == count
    assert time.monotonic() - start >= least


def test_kept_connections_are_used_again_and_there_are_few(run, relay, keys):
    plain = relay(stored)
    connections = Connections(plain)
    done = publish(run, keys(500), "--relay", plain.url)
    assert done.status == 0 and plain.count("PUT") == 500
    assert 1 <= connections.count <= 8


def test_a_relay_that_hangs_holds_up_nobody_else(service, relay, keys, packets):
    """Its few requests wait while another relay gets every packet."""
    release, many, plain = threading.Event(), keys(300), relay(stored)
    hanging = relay(lambda *request: (release.wait(PATIENCE), stored())[1])
    publisher = service("pkarr-publish", "--no-dht", "--rate", "unlimited", "--relay", hanging.url, "--relay", plain.url,
                        stdin=packets(many).open())
    try:
        until(lambda: plain.count("PUT") == len(many))
        assert hanging.count("PUT") <= 8
    finally:
        release.set()
    receipts = [publisher.next() for _ in many]
    assert publisher.process.wait(PATIENCE) == 0
    assert [receipt["public_key"] for receipt in receipts] == names(many)
    outcomes = [receipt["relays"][0] for receipt in receipts]
    assert outcomes[0]["outcome"] == "stored"
    left_out = [outcome for outcome in outcomes if outcome["outcome"] == "not-asked"]
    assert left_out and {outcome["error"] for outcome in left_out} == {"has enough waiting for it"}


def test_a_relay_that_is_down_is_not_asked_about_every_packet(run, relay, keys, dead_port):
    many, plain = keys(200), relay(stored)
    done = publish(run, many, "--relay", f"http://{dead_port}", "--relay", plain.url)
    assert done.status == 0 and plain.count("PUT") == len(many)
    outcomes = [receipt["relays"][0]["outcome"] for receipt in done.objects]
    # Three failures are needed, and as many as may be under way can fail with the last of them.
    assert 3 <= outcomes.count("unreachable") < len(many) / 2
    assert outcomes.count("not-asked") == len(many) - outcomes.count("unreachable")


def test_a_dht_that_does_not_answer_does_not_hold_up_the_relays_for_long(run, relay, keys, dead_port):
    many, plain = keys(200), relay(stored)
    done = run("pkarr-publish", "--rate", "unlimited", "--relay", plain.url, "--bootstrap", dead_port,
               input=lines(*(key.packet() for key in many)))
    assert (done.status, plain.count("PUT")) == (0, len(many))
    assert [receipt["public_key"] for receipt in done.objects] == names(many)
    assert {receipt["dht"]["lookup"] for receipt in done.objects} == {"no-answer"}
    # Those that were under way when it was found out have asked somebody, and the others nobody.
    assert 3 <= sum(receipt["dht"]["asked"] > 0 for receipt in done.objects) < len(many) / 2


def date(seconds):
    return time.strftime("%a, %d %b %Y %H:%M:%S GMT", time.gmtime(time.time() + seconds))


@pytest.mark.parametrize("say, least", [(lambda: "2", 2), (lambda: date(3), 2), (lambda: "soon", 0), (lambda: "-1", 0)])
def test_429_leaves_the_relay_alone_for_as_long_as_it_says(run, relay, keys, say, least):
    times, many = [], keys(3)

    def limited(*_):
        times.append(time.monotonic())
        return (429, {"Retry-After": say()}, b"") if len(times) == 1 else (204, {}, b"")

    # One at a time, so that nothing else is on its way when the relay says it.
    done = publish(run, many, "--relay", relay(limited).url, "--rate", "60/m")
    assert done.status == 0 and len(times) == len(many) + 1
    assert all(later - times[0] >= least for later in times[1:])
    assert [receipt.get("attempts", 1) for receipt in done.objects] == [2, 1, 1]


def test_what_reached_nobody_is_tried_again_and_receipts_stay_in_order(run, relay, keys):
    many, seen = keys(20), []

    def shaky(method, key, *_):
        seen.append(key)
        return (503 if key in names(many[::5]) and seen.count(key) < 3 else 204), {}, b""

    done = publish(run, many, "--relay", relay(shaky).url)
    assert done.status == 0
    assert [receipt["public_key"] for receipt in done.objects] == names(many)
    assert [receipt.get("attempts", 1) for receipt in done.objects] == [3 if index % 5 == 0 else 1 for index in range(20)]
    assert done.err == "pkarr-publish: 20 packets: 20 stored, 4 tried more than once\n"


def test_what_is_overtaken_or_refused_is_not_tried_again_and_the_sum_tells_of_all(run, relay, keys):
    refused, overtaken, failing, good = keys(2), keys(3), keys(4), keys(5)
    seen = []

    def answer(method, key, *_):
        seen.append((method, key))
        if method == "GET":
            return 200, {}, next(other for other in overtaken if other.name == key).payload(timestamp=NOW + 1)
        return {**dict.fromkeys(names(refused), 400), **dict.fromkeys(names(overtaken), 409),
                **dict.fromkeys(names(failing), 500)}.get(key, 204), {}, b""

    url = relay(answer).url
    done = publish(run, [*refused, *overtaken, *failing, *good], "--relay", url, "--retries", "1")
    assert done.status == 75
    for key, times in [(refused, 1), (overtaken, 1), (failing, 2), (good, 1)]:
        assert [seen.count(("PUT", name)) for name in names(key)] == [times] * len(key)
    assert done.err.splitlines()[-3:] == [
        "pkarr-publish: 14 packets: 5 stored, 3 overtaken by a newer packet, 2 refused, 4 reached nobody, 4 tried more than once",
        f"pkarr-publish: 4 because of {url}: failed, status 500", f"pkarr-publish: 2 because of {url}: refused, status 400"]
    assert publish(run, [*refused, *good], "--relay", url).status == 69


def test_hundreds_of_failures_do_not_make_hundreds_of_warnings(run, relay, keys):
    done = publish(run, keys(200), "--relay", relay(lambda *_: (400, {}, b"")).url)
    assert done.status == 69 and len(done.objects) == 200
    assert done.err.count("warning:") == 20
    assert "200 packets: 0 stored, 200 refused" in done.err


def test_a_run_that_was_killed_goes_on_where_it_was(run, service, relay, keys, packets, tmp_path):
    many, journal, asked, release = keys(100), tmp_path / "journal", [], threading.Event()

    def half(method, key, *_):
        asked.append(key)
        if many.index(next(other for other in many if other.name == key)) >= 50:
            release.wait(PATIENCE)
        return stored()

    arguments = "pkarr-publish", "--no-dht", "--rate", "unlimited", "--relay", relay(half).url, "--resume", journal
    path = packets(many)
    publisher = service(*arguments, stdin=path.open())
    try:
        receipts = [publisher.next() for _ in range(50)]
        assert [receipt["public_key"] for receipt in receipts] == names(many[:50])
        # The receipt is written before the note that it is stored, so the last one may not be noted yet.
        until(lambda: journal.read_text().count("\n") == 51)
        publisher.process.kill()
        publisher.process.wait(PATIENCE)
    finally:
        release.set()
    # What a kill in the middle of a line would leave.
    with journal.open("a") as file:
        file.write(names(many)[70] + " 17640")
    asked.clear()
    done = run(*arguments, input=path.read_bytes())
    assert done.status == 0
    assert sorted(asked) == sorted(names(many[50:]))
    assert [receipt["public_key"] for receipt in done.objects] == names(many[50:])
    assert done.err == "pkarr-publish: 100 packets: 50 stored, 50 skipped as stored before\n"
    assert not journal.exists(), "nothing is left to go on with"


def test_what_a_run_could_not_store_is_what_the_next_one_tries(run, relay, keys, tmp_path):
    many, journal, asked, broken = keys(10), tmp_path / "journal", [], True

    def answer(method, key, *_):
        asked.append(key)
        return (500 if broken and key in names(many[:2]) else 204), {}, b""

    url = relay(answer).url
    first = publish(run, many, "--relay", url, "--resume", journal, "--retries", "0")
    assert first.status == 69 and "run it again with the same --resume" in first.err
    broken = False
    asked.clear()
    assert publish(run, many, "--relay", url, "--resume", journal).status == 0
    assert sorted(asked) == sorted(names(many[:2]))


def entry(key, timestamp=NOW, age=0):
    return f"{key.name} {timestamp} {int(time.time()) - age}\n"


HEADING = "keyhole journal of stored packets, 1\n"


@pytest.mark.parametrize("content, is_asked", [
    (lambda key: HEADING + entry(key), False),
    (lambda key: HEADING + entry(key, age=3590), False),
    # Long ago, from another clock's future, of another packet, torn, of no use.
    (lambda key: HEADING + entry(key, age=3601), True),
    (lambda key: HEADING + entry(key, age=-3600), True),
    (lambda key: HEADING + entry(key, timestamp=NOW - 1), True),
    (lambda key: HEADING + entry(key)[:-1], True),
    (lambda key: HEADING + "rubbish\n" + entry(key), False),
    (lambda key: HEADING + entry(key, timestamp=NOW - 1) + entry(key), False),
    (lambda key: HEADING + entry(key) * 5, False),
    (lambda key: HEADING[:10], True),
    (lambda key: "", True),
])
def test_what_a_journal_means(run, relay, new_key, tmp_path, content, is_asked):
    key, journal, plain = new_key(), tmp_path / "journal", relay(stored)
    journal.write_text(content(key))
    assert publish(run, [key], "--relay", plain.url, "--resume", journal).status == 0
    assert plain.count("PUT") == is_asked
    assert os.listdir(tmp_path) == []


def test_a_file_that_is_no_journal_is_left_alone(run, relay, keys, packets):
    path = packets(keys(1))
    before = path.read_bytes()
    done = publish(run, [], "--relay", relay(stored).url, "--resume", path)
    assert (done.status, done.out, path.read_bytes()) == (78, "", before)
    assert "was not written by pkarr-publish" in done.err


def test_two_runs_do_not_share_a_journal(run, service, relay, keys, tmp_path):
    plain, journal = relay(stored), tmp_path / "journal"
    first = service("pkarr-publish", "--no-dht", "--relay", plain.url, "--resume", journal)
    first.process.stdin.write(lines(keys(1)[0].packet()))
    first.process.stdin.flush()
    first.next()
    second = publish(run, keys(1), "--relay", plain.url, "--resume", journal)
    assert second.status == 75 and "another pkarr-publish is working with it" in second.err
    first.process.stdin.close()
    assert first.process.wait(PATIENCE) == 0


def test_a_journal_that_cannot_be_opened(run, relay, keys, tmp_path):
    done = publish(run, keys(1), "--relay", relay(stored).url, "--resume", tmp_path / "missing" / "journal")
    assert done.status == 78 and "No such file" in done.err
    assert publish(run, keys(1), "--relay", relay(stored).url, "--resume", tmp_path).status == 78


def test_a_packet_that_had_to_wait_for_its_lock_is_published_beside_the_others(service, network, keys, packets, tmp_path):
    """When its lock is free, the one that may be under way on the DHT is another."""
    many, state = keys(300), tmp_path / "state"
    state.mkdir()
    with (state / f"{many[0].name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        publisher = service("pkarr-publish", "--no-relays", "--bootstrap", network[0]["dht"], "--rate", "unlimited", "--jobs", "1",
                            "--state", state, stdin=packets(many).open())
        assert b"waiting for it" in publisher.process.stderr.readline()
    receipts = [publisher.next() for _ in many]
    assert publisher.process.wait(PATIENCE) == 0
    assert [receipt["public_key"] for receipt in receipts] == names(many)
    assert not any("attempts" in receipt for receipt in receipts)


class Screen:
    """What a command writes to a terminal that is its standard error."""

    def __init__(self, *arguments, **options):
        self.end, other = pty.openpty()
        self.text = ""
        self.started = Service(command(*arguments), stderr=other, **options)
        os.close(other)

    def until(self, text):
        deadline = time.monotonic() + PATIENCE
        while text not in self.text:
            assert time.monotonic() < deadline and self.read(), f"{text!r} is not shown: {self.text!r}"

    def read(self):
        """Whether there may be more."""
        if not select.select([self.end], [], [], PATIENCE)[0]:
            return False
        # The other side has closed it.
        with contextlib.suppress(OSError):
            more = os.read(self.end, 4096).decode()
            self.text += more
            return bool(more)
        return False

    def finish(self):
        while self.read():
            pass
        os.close(self.end)
        status = self.started.process.wait(PATIENCE)
        self.started.process.stdout.close()
        return status


def test_a_terminal_shows_how_far_it_is(relay, keys, packets):
    release, many = threading.Event(), keys(12)
    slow = relay(lambda method, key, *_: (key in names(many[4:]) and release.wait(PATIENCE), stored())[1])
    screen = Screen("pkarr-publish", "--no-dht", "--rate", "unlimited", "--relay", slow.url, stdin=packets(many).open(),
                    env={**os.environ, "TERM": "xterm"})
    try:
        screen.until("pkarr-publish: 4 of 12 (33 %), ")
        screen.until(" left")
    finally:
        release.set()
    assert screen.finish() == 0
    # The line is taken away, and the sum is left.
    assert screen.text.endswith("\r\x1b[K" + "pkarr-publish: 12 packets: 12 stored\r\n")


@pytest.mark.parametrize("terminal", ["dumb", None])
def test_a_terminal_that_cannot_rewrite_a_line_shows_only_the_sum(relay, keys, packets, terminal):
    environment = {**os.environ, "TERM": terminal or ""}
    if terminal is None:
        del environment["TERM"]
    # Long enough for a line to have been shown if there were one.
    screen = Screen("pkarr-publish", "--no-dht", "--rate", "60/m", "--relay", relay(stored).url, stdin=packets(keys(3)).open(), env=environment)
    assert screen.finish() == 0
    assert screen.text == "pkarr-publish: 3 packets: 3 stored\r\n"


def test_a_signal_ends_a_long_run_with_what_is_done(service, relay, keys, packets, tmp_path):
    many, journal = keys(50), tmp_path / "journal"
    publisher = service("pkarr-publish", "--no-dht", "--rate", "60/m", "--relay", relay(stored).url, "--resume", journal,
                        stdin=packets(many).open())
    publisher.next()
    publisher.process.terminate()
    assert publisher.process.wait(PATIENCE) == 0
    assert "; ended by a signal" in publisher.process.stderr.read().decode()
    assert journal.exists()
