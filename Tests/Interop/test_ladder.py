"""The ways to a homeserver, one after the other, with everybody else's software at their ends: curl as the client, GnuTLS as Pubky TLS,
an ordinary HTTPS server as the domain."""
import base64
import contextlib
import json
import os
import shutil
import socket
import subprocess

import pytest

from conftest import PATIENCE, command, lines
from homeserver_listeners import Listener, black_hole, free_port, pubky_tls
from quic_commands import LISTENER, id_of
from relay_intermediaries import certificates

pytestmark = pytest.mark.skipif(shutil.which("gnutls-serv") is None, reason="no gnutls-serv")
KEY, SOMEBODY_ELSE, USER = id_of(LISTENER), 5_000_001, 5_000_002


def https(target=".", port=None, priority=1, name="@", **params):
    params = {**({"port": port} if port else {}), **params}
    return {"name": name, "type": "HTTPS", "ttl": 300, "priority": priority, "target": target, "params": params}


def at(port):
    """The records of a Pubky TLS listener on this machine."""
    return [https(port=port), {"name": "@", "type": "A", "ttl": 300, "address": "127.0.0.1"}]


def iroh(*attributes):
    return [{"name": "_iroh", "type": "TXT", "ttl": 30, "strings": [attribute]} for attribute in attributes]


class Client:
    """curl, and the proxy that it uses."""

    def __init__(self, port, log, asked):
        self.port, self.log, self.asked = port, log, asked

    def get(self, host=KEY, *options):
        done = subprocess.run(
            ["curl", "-sS", "-x", f"http://127.0.0.1:{self.port}", "-w", "%{stderr}%{json}", "-o", "-", *options, f"http://{host}/"],
            capture_output=True, timeout=PATIENCE, check=True)
        self.facts = json.loads(done.stderr)
        self.body = done.stdout.decode()
        return self.facts["http_code"]

    @property
    def seconds(self):
        return self.facts["time_starttransfer"]


@pytest.fixture
def published(run, relay, key_file):
    """published[number] = records: what the pkarr relay at published.url has; a list of lists is given out one after the other."""

    class Published(dict):
        def answer(self, method, key, *_):
            published.asked.append(key)
            for number, records in self.items():
                if id_of(number) == key:
                    if records and isinstance(records[0], list):
                        records = records.pop(0) if len(records) > 1 else records[0]
                    packet = run("pkarr-build", "--key", key_file(number), input=lines({"records": records})).objects[0]
                    return 200, {}, base64.b64decode(packet["payload"])
            return 404, {}, b""

    published = Published()
    published.asked = []
    published.url = relay(published.answer).url
    return published


@pytest.fixture
def client(published, tmp_path):
    """client(option…, local=True, dial=[option…]) -> Client: a proxy with its resolver and its dialler"""
    with contextlib.ExitStack() as stack:

        numbers = iter(range(100))

        def start(folder, name, *arguments, **options):
            log = stack.enter_context(open(folder / f"{name}.log", "ab"))
            process = subprocess.Popen(command(name, *arguments), stderr=log, **options)
            stack.callback(process.wait, PATIENCE)
            stack.callback(process.terminate)

        def client(*options, local=True, dial=()):
            folder = tmp_path / f"client-{next(numbers)}"
            folder.mkdir()
            (packets, answers), (wanted, questions) = os.pipe(), os.pipe()
            start(folder, "tunnel-bridge", "proxy", "-v", "--socket", folder / "dial.sock", "--listen", "127.0.0.1:0",
                  *(["--allow-local"] if local else []), *options, stdin=packets, stdout=questions)
            os.close(packets)
            os.close(questions)
            line = b""
            while not line.endswith(b"\n"):
                line += (byte := os.read(wanted, 1))
                assert byte, "the proxy has ended"
            start(folder, "pkarr-resolve", "--stdin", "--no-dht", "--relay", published.url, stdin=wanted, stdout=answers)
            os.close(wanted)
            os.close(answers)
            start(folder, "quic-dial", "--bridge", folder / "dial.sock", *dial, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
            return Client(int(json.loads(line)["listening"].rsplit(":", 1)[1]), folder / "tunnel-bridge.log", published.asked)

        yield client


@pytest.fixture
def page():
    """The homeserver's plain listener, where tunnels end."""
    listener = Listener()
    yield listener
    listener.close()


@pytest.fixture
def tunnelled(listen_for, page):
    """tunnelled(option…) -> the quic-listen before the page"""
    return lambda *options: listen_for(f"127.0.0.1:{page.port}", *options)


@pytest.fixture
def domain(tmp_path):
    """domain(name) -> an HTTPS server with that name's certificate and, as .root, the file of who vouches for it"""
    started = []

    def domain(name="localhost"):
        root, chain, key = certificates(tmp_path / "tls", name)
        started.append(Listener(chain, key))
        started[-1].root = root
        return started[-1]

    yield domain
    for one in started:
        one.close()


def tell(what, client):
    """For whoever wants to know how long it took."""
    print(f"time to first byte, {what}: {client.seconds * 1000:.0f} ms")


def test_the_homeservers_own_listener(published, client, tmp_path):
    with pubky_tls(LISTENER, tmp_path) as port:
        published[LISTENER] = at(port)
        one = client()
        assert one.get(KEY, "-i") == 200
        assert "X-Pubky-Path: pubky-tls" in one.body
        assert "Raw Public Key" in one.body, one.body
        tell("Pubky TLS, with the packet to be found", one)
        assert one.get() == 200
        tell("Pubky TLS, with the packet known", one)
        assert published.asked == [KEY]


def test_the_domain_with_the_key_in_a_header(published, client, domain):
    server = domain()
    published[LISTENER] = [https("localhost", server.port)]
    one = client("--authorities", server.root)
    assert one.get(KEY, "-i") == 200
    assert "X-Pubky-Path: icann" in one.body
    [(_, headers)] = server.requests
    assert headers["Host"] == f"localhost:{server.port}" and headers["pubky-host"] == KEY
    tell("ICANN HTTPS", one)
    # Who wants to be sure of the key does not go there.
    strict = client("--require-key")
    assert strict.get() == 502
    assert len(server.requests) == 1


def test_the_tunnel_to_an_address_and_through_a_relay(published, client, service, tunnelled, page):
    relay = service("quic-relay", "--http", "127.0.0.1:0").next()["http"][0]
    listener = tunnelled("--relay", relay)
    published[LISTENER] = iroh(f"addr={listener.address}")
    direct = client()
    assert direct.get(KEY, "-i") == 200 and "X-Pubky-Path: direct" in direct.body
    tell("QUIC", direct)
    assert direct.get() == 200
    tell("QUIC, connected before", direct)
    assert page.requests[0][1]["Host"] == KEY
    while f"{relay}/" not in listener.endpoint["relay_urls"]:
        listener.endpoint = listener.next()
    published[LISTENER] = iroh(f"relay={relay}/")
    relayed = client(dial=["--no-direct"])
    assert relayed.get(KEY, "-i") == 200 and "X-Pubky-Path: relay" in relayed.body
    tell("QUIC through a relay", relayed)


def test_places_that_answer_nobody_cost_a_head_start_each_and_once(published, client, tunnelled):
    """Two rungs before the one that works are black holes."""
    listener = tunnelled()
    with black_hole() as direct, black_hole() as domain:
        published[LISTENER] = [*at(direct), https("localhost", domain, priority=2), *iroh(f"addr={listener.address}")]
        one = client()
        assert one.get(KEY, "-i") == 200 and "X-Pubky-Path: direct" in one.body
        # Shorter it can't be, and by how much it is longer says what the machine was busy with.
        assert one.seconds >= 0.5
        tell("QUIC behind two black holes", one)
        log = one.log.read_text()
        assert f"pubky-tls 127.0.0.1:{direct}: no answer" in log and f"icann localhost:{domain}" in log
        # The winner comes first the next time.
        assert one.get() == 200
        tell("QUIC behind two black holes, the second time", one)


@pytest.mark.parametrize("rung", ["pubky-tls", "icann", "direct"])
def test_somebody_else_at_a_rung_ends_it_there(published, client, domain, listen, tunnelled, page, tmp_path, rung):
    """The rung after it would work, and is not tried."""
    good = iroh(f"addr={tunnelled().address}")
    with pubky_tls(SOMEBODY_ELSE, tmp_path) as wrong:
        server = domain("another.example")
        records = {
            "pubky-tls": lambda: [*at(wrong), *good],
            "icann": lambda: [https("localhost", server.port), *good],
            "direct": lambda: iroh(f"addr={listen(program=['cat'], key=SOMEBODY_ELSE).address}"),
        }
        published[LISTENER] = records[rung]()
        one = client("--authorities", server.root)
        assert one.get(KEY, "-i") == 502
        assert "error=tls_certificate_error" in one.body and "somebody else" in one.body
        assert page.requests == [] and published.asked == [KEY]


def test_a_users_name_leads_to_the_homeserver_and_is_kept(published, client, tunnelled, page):
    published[LISTENER] = iroh(f"addr={tunnelled().address}")
    published[USER] = [https(KEY, name="_pubky", priority=0)]
    one = client()
    name = f"_pubky.{id_of(USER)}"
    assert one.get(name) == 200
    assert page.requests[0][1]["Host"] == name
    # The user's key alone is a homeserver's name, and there is none.
    assert one.get(id_of(USER)) == 502


def test_pubky_tls_inside_the_tunnel(published, client, listen_for, tmp_path):
    with pubky_tls(LISTENER, tmp_path) as port:
        published[LISTENER] = iroh(f"addr={listen_for(f'127.0.0.1:{port}').address}")
        one = client()
        with socket.create_connection(("127.0.0.1", one.port), PATIENCE) as connection:
            connection.sendall(f"GET https://{KEY}/ HTTP/1.1\r\nHost: {KEY}\r\nConnection: close\r\n\r\n".encode())
            answer = b""
            while piece := connection.recv(65536):
                answer += piece
        assert answer.startswith(b"HTTP/1.1 200") and b"X-Pubky-Path: direct" in answer and b"Raw Public Key" in answer


def test_when_all_is_dead_it_is_said_in_bounded_time(published, client, dead_port):
    with black_hole() as hole:
        published[LISTENER] = [*at(hole), https("localhost", free_port(), priority=2), *iroh(f"addr={dead_port}")]
        one = client("--timeout", "3s", dial=["--timeout", "1s"])
        assert one.get(KEY, "-i") == 502
        assert "error=destination_unavailable" in one.body
        for place in f"127.0.0.1:{hole}", "localhost", dead_port:
            assert place in one.body
        assert 3 <= one.seconds < 3 + PATIENCE / 2


def test_after_a_failed_dial_the_packet_is_looked_for_again(published, client, tunnelled):
    dead, listener = at(free_port()), tunnelled()
    published[LISTENER] = [dead, [*dead, *iroh(f"addr={listener.address}")]]
    one = client()
    assert one.get() == 200
    assert published.asked == [KEY, KEY]


def test_a_stock_packet_makes_nobody_talk_to_his_own_machine(published, client, page):
    published[LISTENER] = [*at(page.port), https("localhost", page.port, priority=10), *iroh(f"addr=127.0.0.1:{page.port}")]
    one = client(local=False)
    assert one.get() == 502
    assert "--allow-local" in one.body and page.requests == []


def test_who_wants_no_pages_of_the_proxy_gets_none_and_a_resolver_passes_over_stream_lines(published, client):
    one = client("--streams")
    assert one.get(KEY, "-H", "Prefer: return=minimal") == 502
    assert one.body == ""
    # The resolver passes over what is no question.
    assert one.get(KEY) == 502 and "nobody has a packet" in one.body


def test_nobody_has_published_it(published, client):
    one = client()
    assert one.get(KEY, "-i") == 502
    assert "error=dns_error" in one.body and "nobody has a packet of this key" in one.body
