"""Relays that are reached in a roundabout way: through proxies, behind somebody else's TLS, after a captive portal, over one family only."""
import os

import pytest

from conftest import PATIENCE
from islands import EAST, MAINLAND, MAINLAND6, NAME, WEST
from packets import Key
from quic_commands import LISTENER, ask
from relay_intermediaries import PASSWORD, USER, captive_portal, certificates, http_proxy, nginx
from relay_islands import (  # noqa: F401, fixtures
    URL, apart, client, islands, metrics, online, online_for, places, placed, relay, run, server, service, started)

DATA = os.urandom(4 << 20)
# tinyproxy waits for the acknowledgement of a small segment before it sends another (Nagle's algorithm), which with TLS is 40 ms for each
# record: this much in both directions takes a second.
LESS = DATA[:1 << 18]
PROXY_PORT, TLS_PORT = 8888, 8443
SECURE = f"https://{NAME}:{TLS_PORT}/"


def on(islands, name):
    return lambda *arguments: islands.on(name, *arguments)


def errors(service):
    """What a command says on standard error, a line at a time."""
    for line in service.process.stderr:
        yield line.decode()


@pytest.fixture
def secure(tmp_path, monkeypatch):
    """Certificates for the mainland's name, of an authority that everything started from here on trusts."""
    root, chain, key = certificates(tmp_path / "tls", NAME, EAST)
    monkeypatch.setenv("SSL_CERT_FILE", str(root))
    return chain, key


# A proxy is the only way to the relay

@pytest.fixture
def inland(service, places, secure, islands, tmp_path):
    """A relay in the east, where only a proxy on the mainland leads to; gives the relay's HTTP and HTTPS URLs and the proxy's log."""
    chain, key = secure
    places["quic-relay"] = "east"
    one = service("quic-relay", "-v", "--http", f"{EAST}:3340", "--https", f"{EAST}:{TLS_PORT}", "--certificate", chain, "--certificate-key", key)
    one.next()
    with http_proxy(on(islands, "main"), MAINLAND, PROXY_PORT, tmp_path / "proxy") as log:
        yield f"http://{EAST}:3340/", f"https://{EAST}:{TLS_PORT}/", log


def proxied(user=USER, password=PASSWORD):
    proxy = f"http://{user}:{password}@{MAINLAND}:{PROXY_PORT}"
    return {"http_proxy": proxy, "https_proxy": proxy}


def test_without_the_proxy_the_relay_is_not_reached(inland, dial):
    done = dial([], "--timeout", "1s", relays=inland[:1])
    assert done.status == 69
    assert inland[0] in done.err


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_quic_dial_reaches_its_relay_through_a_proxy_with_a_password(inland, online, dial, scheme):
    url = inland[("http", "https").index(scheme)]
    online(program=["cat"], relays=[url])
    done = dial([], relays=[url], input=LESS, env=proxied())
    assert (done.status, done.bytes == LESS) == (0, True), done.err
    assert "CONNECT" in inland[2].read_text()


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_quic_listen_reaches_its_relay_through_a_proxy_with_a_password(inland, online, dial, places, scheme):
    url = inland[("http", "https").index(scheme)]
    places |= {"quic-listen": "west", "quic-dial": "east"}
    online(program=["cat"], relays=[url], bind=f"{WEST}:0", env={**os.environ, **proxied()})
    done = dial([], relays=[url], input=LESS)
    assert (done.status, done.bytes == LESS) == (0, True), done.err


def test_a_proxy_that_refuses_the_password_is_named(inland, dial):
    done = dial([], "--timeout", "3s", relays=inland[:1], env=proxied(password="wrong"))
    assert done.status == 69
    (line,) = done.err.splitlines()
    assert inland[0] in line and "proxy" in line and "401" in line
    assert "wrong" not in line, "a password is nobody's business"


def test_a_listener_whose_proxy_refuses_the_password_says_so(inland, listen, places):
    places["quic-listen"] = "west"
    listener = listen("--relay", inland[0], program=["cat"], bind=f"{WEST}:0", env={**os.environ, **proxied(password="wrong")})
    assert listener.endpoint["relay_urls"] == []
    line = next(line for line in errors(listener) if inland[0] in line)
    assert "proxy" in line


# TLS

def test_both_ends_meet_at_a_relay_behind_nginx_with_a_private_authority(secure, relay, online, dial, islands, tmp_path):
    relay("--behind-proxy", MAINLAND)
    with nginx(on(islands, "main"), MAINLAND, TLS_PORT, URL, *secure, tmp_path / "nginx"):
        online(program=["cat"], relays=[SECURE])
        done = dial([], relays=[SECURE], input=DATA)
        assert (done.status, done.bytes == DATA) == (0, True), done.err


def test_both_ends_meet_at_a_relay_with_tls_of_its_own(secure, service, online, dial):
    chain, key = secure
    service("quic-relay", "--https", f"{MAINLAND}:{TLS_PORT}", "--certificate", chain, "--certificate-key", key).next()
    online(program=["cat"], relays=[SECURE])
    done = dial([], relays=[SECURE], input=DATA)
    assert (done.status, done.bytes == DATA) == (0, True), done.err


def test_a_relay_whose_certificate_nobody_here_trusts_is_not_used(secure, service, dial, monkeypatch):
    chain, key = secure
    service("quic-relay", "--https", f"{MAINLAND}:{TLS_PORT}", "--certificate", chain, "--certificate-key", key).next()
    monkeypatch.delenv("SSL_CERT_FILE")
    done = dial([], "--timeout", "3s", relays=[SECURE])
    assert done.status == 69
    assert SECURE in done.err and "certificate" in done.err


# A captive portal

def test_a_captive_portal_is_told_from_a_relay(islands, dial):
    with captive_portal(on(islands, "main"), MAINLAND, 3340):
        done = dial([], "--timeout", "3s", relays=[URL])
    assert done.status == 69
    (line,) = done.err.splitlines()
    assert URL in line and "302" in line


def test_a_listener_is_announced_at_its_relay_when_the_captive_portal_lets_go(islands, listen, relay, tunnel):
    with captive_portal(on(islands, "main"), MAINLAND, 3340):
        listener = listen("--relay", URL, program=["cat"], bind=f"{EAST}:0")
        assert listener.endpoint["relay_urls"] == []
        line = next(line for line in errors(listener) if URL in line)
        assert "302" in line
        address = tunnel(relays=[URL], options=["--timeout", "2s"])
        with pytest.raises(ConnectionResetError):
            ask(address, b"hello", PATIENCE)
        assert tunnel.dialler.next()["status"] == 69
    relay()
    assert listener.next()["relay_urls"] == [URL]
    # Neither has to be started again.
    assert ask(address, b"hello", PATIENCE) == b"hello"


# IPv4 here, IPv6 there

def test_an_ipv4_and_an_ipv6_island_meet_at_one_relay(service, online, dial, places):
    service("quic-relay", "--http", f"{MAINLAND}:3340", "--http", f"[{MAINLAND6}]:3340").next()
    url = f"http://{NAME}:3340/"
    online(program=["cat"], relays=[url])
    places["quic-dial"] = "north"
    done = dial([], relays=[url], input=DATA)
    assert (done.status, done.bytes == DATA) == (0, True), done.err


def test_a_listener_on_an_ipv6_island_is_reached_from_ipv4(service, online, client, places):
    places["quic-listen"] = "north"
    service("quic-relay", "--http", f"{MAINLAND}:3340", "--http", f"[{MAINLAND6}]:3340").next()
    online(program=["cat"], relays=[f"http://[{MAINLAND6}]:3340/"], bind="[fd91:0:0:3::2]:0")
    status, (connected, echoed) = client(Key(LISTENER).bytes.hex(), "--bytes", 100_000)
    assert (status, connected["paths"], echoed) == (0, ["relay"], {"event": "echoed", "streams": 1})
