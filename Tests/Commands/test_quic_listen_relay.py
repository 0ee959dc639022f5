"""quic-listen and its home relay: which it chooses, when it leaves it, and what becomes of the endpoint line."""
import http.server
import os
import signal
import socket
import subprocess
import threading

import pytest

from conftest import PATIENCE, command
from quic_commands import LISTENER, id_of
from relay_service import make_certificate

NO_RELAYS = {name: value for name, value in os.environ.items() if name != "IROH_RELAYS"}


@pytest.fixture
def relay(service):
    """relay(option…) -> a running quic-relay with its url"""

    def relay(*options, address="127.0.0.1:0"):
        running = service("quic-relay", "--http", address, *options)
        running.url = running.next()["http"][0] + "/"
        return running

    return relay


@pytest.fixture
def listener(service, key_file):
    """listener(option…) -> quic-listen serving cat, whose lines are still to be read"""

    def listener(*options, env=NO_RELAYS, program=("cat",)):
        return service("quic-listen", "--key", key_file(), "--bind", "127.0.0.1:0", *options, "--", *program, env=env)

    return listener


@pytest.fixture
def token_file(tmp_path):
    def token_file(word):
        path = tmp_path / f"token-{word}"
        path.write_text(word + "\n")
        path.chmod(0o600)
        return path

    return token_file


@pytest.fixture
def dead():
    """A URL where nobody listens, and nobody else comes to listen meanwhile."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{bound.getsockname()[1]}/"


# Outgoing connections come from 127.0.0.1, so that none takes a port here while its relay is away.
ELSEWHERE = "127.0.0.77"


def says(running, *texts):
    """The messages that hold each of the texts, in whichever order they come; the test fails if the command ends instead."""
    found = {}
    while len(found) < len(texts):
        line = running.process.stderr.readline().decode()
        assert line, f"it ended and said only {found}"
        found |= {text: line for text in texts if text in line}
    return [found[text] for text in texts]


def ended(running):
    """How it ended, and what it had to say."""
    out, err = running.process.communicate(timeout=PATIENCE)
    return running.process.returncode, out.decode(), err.decode()


# Which relay

def test_it_is_reached_through_its_relay_alone(relay, listener, dial):
    running = relay()
    endpoint = listener("--relay", running.url).next()
    assert endpoint["endpoint_id"] == id_of(LISTENER)
    assert endpoint["relay_urls"] == [running.url]
    assert dial([], relays=endpoint["relay_urls"], input=b"hello").out == "hello"


def test_a_program_knows_that_its_peer_came_through_a_relay(relay, listener, dial):
    running = relay()
    endpoint = listener("--relay", running.url, program=("env",), env={**NO_RELAYS, "QUICREMOTEIP": "192.0.2.1"}).next()
    shown = dial([], relays=endpoint["relay_urls"]).out.splitlines()
    assert "QUICPATH=relay" in shown
    assert not [line for line in shown if line.startswith("QUICREMOTEIP=")]


def test_the_environment_names_relays_when_no_option_does(relay, listener):
    one, other = relay(), relay()
    env = {**NO_RELAYS, "IROH_RELAYS": one.url}
    assert listener(env=env).next()["relay_urls"] == [one.url]
    assert listener("--relay", other.url, env=env).next()["relay_urls"] == [other.url]
    assert listener("--no-relays", env=env).next()["relay_urls"] == []


def test_without_a_relay_named_none_is_used(listener):
    running = listener()
    assert running.next()["relay_urls"] == []
    running.stop()
    assert running.process.stderr.read() == b""


def test_of_two_relays_the_one_that_lives_is_chosen(relay, listener, dead):
    living = relay()
    assert listener("--relay", dead, "--relay", living.url).next()["relay_urls"] == [living.url]


def test_a_private_authority_is_trusted_when_the_environment_names_it(service, listener, tmp_path):
    url = service("quic-relay", "--https", "127.0.0.1:0", *make_certificate(tmp_path, "localhost")).next()["https"][0] + "/"
    url = url.replace("127.0.0.1", "localhost")
    env = {**NO_RELAYS, "SSL_CERT_FILE": str(tmp_path / "cert.pem")}
    assert listener("--relay", url, env=env).next()["relay_urls"] == [url]
    stranger = listener("--relay", url)
    assert "certificate" in says(stranger, "no relay can be reached")[0]
    assert stranger.next()["relay_urls"] == []


def test_the_list_in_a_file_adds_to_the_options(relay, listener, dead, tmp_path):
    living = relay()
    listed = tmp_path / "relays"
    listed.write_text(f"# ours\n\n  {living.url}  # in the cellar\n")
    assert listener("--relay", dead, "--relay-list", listed).next()["relay_urls"] == [living.url]


# When it is gone

def test_a_relay_that_goes_away_is_left_for_another(relay, listener, dial):
    relays = {one.url: one for one in (relay(), relay())}
    running = listener(*[word for url in relays for word in ("--relay", url)])
    [first] = running.next()["relay_urls"]
    relays.pop(first).process.kill()
    [(second, _)] = relays.items()
    assert running.next()["relay_urls"] == [second]
    assert dial([], relays=[second], input=b"hello").out == "hello"
    running.stop()
    messages = running.process.stderr.read().decode().splitlines()
    assert len(messages) == 3
    assert messages[0].startswith(f"quic-listen: the home relay is {first} (")
    assert messages[1].startswith(f"quic-listen: warning: no connection to the home relay {first}, which is tried again: ")
    assert messages[2].startswith(f"quic-listen: warning: the home relay is now {second} (")


def test_the_only_relay_stays_announced_while_it_is_away_and_serves_when_it_is_back(relay, listener, dial):
    first = relay(address=f"{ELSEWHERE}:0")
    running = listener("--relay", first.url)
    assert running.next()["relay_urls"] == [first.url]
    first.process.kill()
    first.process.wait()
    says(running, "no connection to the home relay")
    relay(address=first.url.split("/")[2])
    says(running, f"the home relay {first.url} is connected again")
    assert dial([], relays=[first.url], input=b"hello").out == "hello"
    running.process.terminate()
    assert ended(running)[1] == ""


def test_while_no_relay_answers_addresses_are_announced_and_a_relay_that_comes_is_added(relay, listener, dial):
    gone = relay(address=f"{ELSEWHERE}:0")
    gone.stop()
    running = listener("--relay", gone.url)
    endpoint = running.next()
    assert endpoint["relay_urls"] == []
    assert dial(endpoint["addresses"], input=b"hello").out == "hello"
    says(running, f"no relay can be reached, all are tried again: {gone.url}: ", "no relay is connected after 3 s")
    late = relay(address=gone.url.split("/")[2])
    assert running.next()["relay_urls"] == [late.url]


def test_what_sends_a_browser_elsewhere_is_no_relay(listener):
    class Portal(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(302 if self.path == "/ping" else 200)
            self.send_header("Location", f"http://127.0.0.1:{self.server.server_address[1]}/login")
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Portal) as portal:
        threading.Thread(target=portal.serve_forever, daemon=True).start()
        running = listener("--relay", f"http://127.0.0.1:{portal.server_address[1]}")
        [message] = says(running, "no relay can be reached")
        assert "302" in message and "/login" in message and "captive portal" in message
        assert running.next()["relay_urls"] == []
        running.stop()
        portal.shutdown()


def test_the_older_of_two_with_one_key_says_why_nothing_reaches_it_any_more(relay, listener):
    running = relay()
    older = listener("--relay", running.url)
    assert older.next()["relay_urls"] == [running.url]
    newer = listener("--relay", running.url)
    assert newer.next()["relay_urls"] == [running.url]
    says(older, f"another endpoint with this key has connected to {running.url}")


# When it refuses us

@pytest.fixture
def guarded(relay, tmp_path):
    """A relay that admits whoever has the token "sesame"."""
    access = tmp_path / "access"
    access.write_text("token sesame\n")
    access.chmod(0o600)
    return relay("--access", access)


def test_the_token_opens_a_guarded_relay(guarded, listener, token_file):
    assert listener("--relay", guarded.url, "--relay-token", token_file("sesame")).next()["relay_urls"] == [guarded.url]


@pytest.mark.parametrize("word", [None, "open"])
def test_a_relay_that_does_not_take_the_token_ends_it_with_code_77_and_one_line(guarded, listener, token_file, word):
    options = ["--relay-token", token_file(word)] if word else []
    status, out, err = ended(listener("--relay", guarded.url, *options))
    assert (status, out) == (77, "")
    message, hint = err.splitlines()
    assert message.startswith(f"quic-listen: relay {guarded.url} refuses this key or token: not authorized: ")
    assert hint.startswith("quic-listen: hint: ") and "--relay-token" in hint


def test_a_relay_that_refuses_is_passed_over_for_one_that_takes_us(guarded, relay, listener):
    other = relay()
    # Which answers /ping sooner is chance; both ends are the same.
    assert listener("--relay", guarded.url, "--relay", other.url).next()["relay_urls"] == [other.url]


@pytest.mark.parametrize("content, mode, status", [("two words", 0o600, 78), ("", 0o600, 78), ("sesame", 0o644, 77)])
def test_a_token_file_that_is_not_as_it_should_be_is_refused(run, key_file, tmp_path, content, mode, status):
    path = tmp_path / "token"
    path.write_text(content)
    path.chmod(mode)
    done = run("quic-listen", "--key", key_file(), "--relay", "http://127.0.0.1:1", "--relay-token", path, "--", "cat")
    assert (done.status, done.out) == (status, "")
    assert str(path) in done.err


# When the list changes

def test_another_list_is_taken_without_disturbing_connections(relay, listener, endpoint_file, tmp_path, dial):
    old, new = relay(), relay()
    listed = tmp_path / "relays"
    listed.write_text(old.url)
    running = listener("--relay-list", listed)
    assert running.next()["relay_urls"] == [old.url]
    dialler = subprocess.Popen(
        command("quic-dial", "--endpoint", endpoint_file(relays=[old.url]), "--no-direct", "--stdio"),
        stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    try:
        dialler.stdin.write(b"before")
        dialler.stdin.flush()
        assert dialler.stdout.read(6) == b"before"
        listed.write_text(new.url)
        running.process.send_signal(signal.SIGHUP)
        assert running.next()["relay_urls"] == [new.url]
        dialler.stdin.write(b"after")
        dialler.stdin.close()
        assert dialler.stdout.read() == b"after"
        assert dialler.wait(PATIENCE) == 0
    finally:
        dialler.kill()
        dialler.stdout.close()
    # Who has not heard of the new one yet still gets through, too.
    for url in (old.url, new.url):
        assert dial([], relays=[url], input=b"hello").out == "hello"
    listed.write_text("")
    running.process.send_signal(signal.SIGHUP)
    assert running.next()["relay_urls"] == []


def test_a_list_that_can_not_be_read_again_changes_nothing(relay, listener, tmp_path, dial):
    only = relay()
    listed = tmp_path / "relays"
    listed.write_text(only.url)
    running = listener("--relay-list", listed)
    assert running.next()["relay_urls"] == [only.url]
    listed.write_text(f"{only.url}\nftp://elsewhere/\n")
    running.process.send_signal(signal.SIGHUP)
    assert f"{listed}, line 2" in says(running, "the relays stay as they were")[0]
    assert dial([], relays=[only.url], input=b"hello").out == "hello"
    assert running.stop() == 0


# How it fails

@pytest.mark.parametrize("arguments", [
    ["--relay", "ftp://relay.example/"],
    ["--relay", "relay.example"],
    ["--relay", "http://relay.example/", "--no-relays"],
    ["--relay-list", "relays", "--no-relays"],
])
def test_wrong_usage_ends_with_code_64(run, key_file, arguments):
    done = run("quic-listen", "--key", key_file(), *arguments, "--", "cat")
    assert (done.status, done.out) == (64, "")
    assert "relay" in done.err


def test_a_wrong_url_in_the_environment_ends_it_with_code_78(run, key_file):
    done = run("quic-listen", "--key", key_file(), "--", "cat", env={"IROH_RELAYS": "http://relay.example, nonsense"})
    assert (done.status, done.out) == (78, "")
    assert "IROH_RELAYS" in done.err and "nonsense" in done.err


@pytest.mark.parametrize("content, place", [
    (None, "relays"), ("nonsense", "line 1"), ("http://a.example/\nhttp://b.example/ http://c.example/", "line 2"),
    ("\n".join(f"http://r{number}.example/" for number in range(65)), "65 relays"),
])
def test_a_list_that_is_not_as_it_should_be_ends_it_with_code_78(run, key_file, tmp_path, content, place):
    path = tmp_path / "relays"
    if content is not None:
        path.write_text(content)
    done = run("quic-listen", "--key", key_file(), "--relay-list", path, "--", "cat")
    assert (done.status, done.out) == (78, "")
    assert place in done.err
