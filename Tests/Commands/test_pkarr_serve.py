"""pkarr-serve as a process: its relay interface byte for byte, its errors, its end."""
import http.client
import signal
import socket
from concurrent.futures import ThreadPoolExecutor
from email.utils import formatdate, parsedate_to_datetime
from urllib.parse import urlsplit

import pytest

from packets import EMPTY, NOW, Key, timestamp_of


@pytest.fixture(scope="module")
def ask(network):
    """ask(method, path, body, headers, node) -> (status, headers, body)"""

    def ask(method, path, body=None, headers={}, node=0):
        connection = http.client.HTTPConnection(urlsplit(network[node]["http"]).netloc, timeout=60)
        try:
            connection.request(method, path, body, headers)
            response = connection.getresponse()
            return response.status, response.headers, response.read()
        finally:
            connection.close()

    return ask


def test_put_is_stored_and_got_from_every_relay_of_the_network(ask, network, new_key):
    key = new_key()
    status, headers, body = ask("PUT", f"/{key.name}", key.payload())
    assert (status, body) == (204, b"")
    assert int(headers["Pkarr-Dht-Stored-Nodes"]) == len(network)
    for node in range(len(network)):
        assert ask("GET", f"/{key.name}", node=node)[::2] == (200, key.payload())


def test_get_tells_type_age_and_dates(ask, new_key):
    key = new_key()
    ask("PUT", f"/{key.name}", key.payload(key.text("a", ttl=7200)))
    status, headers, _ = ask("GET", f"/{key.name}")
    assert status == 200
    assert headers["Content-Type"] == "application/pkarr.org/relays#payload"
    assert headers["Cache-Control"] == "public, max-age=7200"
    assert headers["Last-Modified"] == formatdate(NOW // 1_000_000, usegmt=True)
    assert parsedate_to_datetime(headers["Memento-Datetime"]) > parsedate_to_datetime(headers["Last-Modified"])


@pytest.mark.parametrize("ttl, age", [(30, 300), (300, 300), (86400, 86400), (4_000_000_000, 86400)])
def test_the_age_stays_within_pkarrs_bounds(ask, new_key, ttl, age):
    key = new_key()
    ask("PUT", f"/{key.name}", key.payload(key.text("a", ttl=ttl)))
    assert ask("GET", f"/{key.name}")[1]["Cache-Control"] == f"public, max-age={age}"


def test_not_modified_counts_in_microseconds(ask, new_key):
    key, second = new_key(), NOW // 1_000_000
    ask("PUT", f"/{key.name}", key.payload(timestamp=NOW + 1))
    since = lambda time: {"If-Modified-Since": formatdate(time, usegmt=True)}
    assert ask("GET", f"/{key.name}", headers=since(second))[0] == 200
    status, headers, body = ask("GET", f"/{key.name}", headers=since(second + 1))
    assert (status, body) == (304, b"")
    assert headers["Last-Modified"] == formatdate(second, usegmt=True)
    assert ask("GET", f"/{key.name}", headers={"If-Modified-Since": "yesterday"})[0] == 200


def test_policies(ask, new_key):
    key = new_key()
    ask("PUT", f"/{key.name}", key.payload())
    assert ask("GET", f"/{key.name}?policy=CacheOnly")[::2] == (200, key.payload())
    assert ask("GET", f"/{key.name}?policy=CacheOnly", node=1)[0] == 404
    assert ask("GET", f"/{key.name}?policy=NetworkOnly", node=1)[::2] == (200, key.payload())
    assert ask("GET", f"/{key.name}?policy=CacheOnly", node=1)[0] == 200
    assert ask("GET", f"/{key.name}?policy=Sometimes")[0] == 400
    # The first relay's cache does not see what the second puts; the network does.
    ask("PUT", f"/{key.name}", key.payload(timestamp=NOW + 1), node=1)
    assert timestamp_of(ask("GET", f"/{key.name}")[2]) == NOW
    assert timestamp_of(ask("GET", f"/{key.name}?policy=NetworkOnly")[2]) == NOW + 1


def test_what_nobody_has_is_404(ask, new_key):
    for policy in ("CacheFirst", "CacheOnly", "NetworkOnly"):
        assert ask("GET", f"/{new_key().name}?policy={policy}")[0] == 404


def test_an_older_packet_is_a_conflict_at_every_relay_and_the_same_one_is_not(ask, new_key):
    key = new_key()
    assert ask("PUT", f"/{key.name}", key.payload(timestamp=NOW + 1))[0] == 204
    for node in (0, 1):
        assert ask("PUT", f"/{key.name}", key.payload(), node=node)[0] == 409
        assert ask("PUT", f"/{key.name}", key.payload(timestamp=NOW + 1), node=node)[0] == 204


def test_compare_and_swap_headers_of_old_clients_are_ignored(ask, new_key):
    key = new_key()
    assert ask("PUT", f"/{key.name}", key.payload(), {"If-Match": "1", "If-Unmodified-Since": formatdate(0, usegmt=True)})[0] == 204


@pytest.mark.parametrize("what, status", [
    ("", 400), ("short", 400), ("flipped signature", 400), ("another key's", 400), ("no DNS", 400), ("longest message", 204),
    ("message too long", 400), ("1104 bytes", 400), ("1105 bytes", 413), ("a megabyte", 413)])
def test_put_checks_everything(ask, new_key, what, status):
    key, good = new_key(), None
    good = key.payload(EMPTY)
    record_head = len(key.text())
    body = {
        "": b"", "short": good[:83], "flipped signature": bytes([good[0] ^ 1]) + good[1:], "another key's": new_key().payload(),
        "no DNS": key.payload(b"\0" * 11), "longest message": key.payload(key.text(*["x" * 200] * 4, "x" * (1000 - record_head - 805))),
        "message too long": key.payload(key.text(*["x" * 200] * 4, "x" * (1001 - record_head - 805))),
        "1104 bytes": b"x" * 1104, "1105 bytes": b"x" * 1105, "a megabyte": b"x" * 1_000_000,
    }[what]
    try:
        answer = ask("PUT", f"/{key.name}", body)
    except ConnectionError:
        # Who will not stop sending is cut off.
        assert what == "a megabyte"
    else:
        assert answer[0] == status
    assert ask("GET", f"/{key.name}?policy=NetworkOnly")[0] == (200 if status == 204 else 404)


@pytest.mark.parametrize("path", ["/", "/x", "/" + "y" * 52 + "y", "/" + "y" * 51 + "9", "//" + "y" * 52, "/%00", "/" + "y" * 9000])
def test_paths_that_are_no_key(ask, path):
    assert ask("GET", path)[0] in (400, 414, 431)


def test_methods(ask, new_key):
    key = new_key()
    ask("PUT", f"/{key.name}", key.payload())
    assert ask("HEAD", f"/{key.name}")[::2] == (200, b"")
    status, headers, _ = ask("DELETE", f"/{key.name}")
    assert (status, headers["Allow"]) == (405, "GET, HEAD, OPTIONS, PUT")


def test_web_pages_of_any_origin_may_use_it(ask, new_key):
    key, origin = new_key(), {"Origin": "https://page.example"}
    wanted = {**origin, "Access-Control-Request-Method": "PUT", "Access-Control-Request-Headers": "x-a, x-b"}
    _, headers, _ = ask("OPTIONS", f"/{key.name}", headers=wanted)
    assert headers["Access-Control-Allow-Origin"] == "https://page.example"
    assert headers["Access-Control-Allow-Methods"] == "PUT"
    assert headers["Access-Control-Allow-Headers"] == "x-a, x-b"
    for status, (given, headers, _) in ((204, ask("PUT", f"/{key.name}", key.payload(), origin)), (404, ask("GET", f"/{new_key().name}", headers=origin))):
        assert given == status
        assert headers["Access-Control-Allow-Origin"] == "https://page.example"
        assert headers["Access-Control-Allow-Credentials"] == "true"
        assert "Pkarr-Dht-Stored-Nodes" in headers["Access-Control-Expose-Headers"]


def test_many_clients_at_once(ask, network, new_key):
    keys = [new_key() for _ in range(200)]
    with ThreadPoolExecutor(32) as pool:
        stored = list(pool.map(lambda key: ask("PUT", f"/{key.name}", key.payload())[0], keys))
        got = list(pool.map(lambda key: ask("GET", f"/{key.name}", node=2)[::2], keys))
    assert stored == [204] * len(keys)
    assert got == [(200, key.payload()) for key in keys]


def test_a_node_alone_is_a_network_too(service, new_key):
    key = new_key()
    alone = service("pkarr-serve", "--dht-bind", "127.0.0.1:0", "--http", "127.0.0.1:0")
    connection = http.client.HTTPConnection(urlsplit(alone.next()["http"]).netloc, timeout=60)
    for method, status in (("GET", 404), ("PUT", 204), ("GET", 200)):
        connection.request(method, f"/{key.name}", key.payload() if method == "PUT" else None)
        response = connection.getresponse()
        response.read()
        assert response.status == status


def test_a_relay_whose_network_is_gone_says_so(service, dead_port, new_key):
    cut_off = service("pkarr-serve", "--dht-bind", "127.0.0.1:0", "--http", "127.0.0.1:0", "--bootstrap", dead_port)
    connection = http.client.HTTPConnection(urlsplit(cut_off.next()["http"]).netloc, timeout=60)
    connection.request("GET", f"/{new_key().name}")
    assert connection.getresponse().status == 503


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_cleanly_with_a_request_under_way(service, dead_port, new_key, number):
    node = service("pkarr-serve", "--dht-bind", "127.0.0.1:0", "--http", "127.0.0.1:0", "--bootstrap", dead_port)
    connection = http.client.HTTPConnection(urlsplit(node.next()["http"]).netloc, timeout=60)
    connection.request("GET", f"/{new_key().name}")
    node.process.send_signal(number)
    assert node.process.wait(60) == 0
    assert node.process.stdout.read() == b""


def test_an_address_in_use_is_a_configuration_error(run):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        ended = run("pkarr-serve", "--dht-bind", "127.0.0.1:0", "--http", f"127.0.0.1:{port}")
    assert (ended.status, ended.out) == (78, "")
    assert ended.err == f"pkarr-serve: --http 127.0.0.1:{port}: Address already in use\n"
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind(("127.0.0.1", 0))
        ended = run("pkarr-serve", "--dht-bind", "127.0.0.1:%d" % taken.getsockname()[1], "--http", "127.0.0.1:0")
    assert ended.status == 78
    assert "--dht-bind" in ended.err


@pytest.mark.parametrize("arguments", [["--http", "80"], ["--dht-bind", "::1"], ["--bootstrap", "nowhere"], ["surplus"]])
def test_wrong_arguments(run, arguments):
    assert run("pkarr-serve", *arguments).status == 64


def test_a_bad_variable_is_a_configuration_error(run):
    ended = run("pkarr-serve", env={"PKARR_BOOTSTRAP": "a:1,b"})
    assert (ended.status, ended.err) == (78, 'pkarr-serve: PKARR_BOOTSTRAP: "b" is not HOST:PORT\n')
