"""pkarr-serve in the open: limits, proxies, metrics, health, and a store that survives being killed at any moment."""
import http.client
import os
import random
import signal
import socket
import sqlite3
import threading
from urllib.parse import urlsplit

import pytest
from prometheus_client.parser import text_string_to_metric_families

from conftest import PATIENCE
from dht import Asker
from packets import NOW, timestamp_of


@pytest.fixture
def serve(service):
    """serve(*arguments) -> a pkarr-serve with a network of its own, and how to ask it."""

    def serve(*arguments, **options):
        started = service("pkarr-serve", "--dht-bind", "127.0.0.1:0", "--http", "127.0.0.1:0", *arguments, **options)
        started.addresses = started.next()
        started.ask = lambda *request, **keywords: ask(started.addresses["http"], *request, **keywords)
        return started

    return serve


def ask(url, method, path, body=None, headers={}, source="127.0.0.1"):
    connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=PATIENCE, source_address=(source, 0))
    try:
        connection.request(method, path, body, headers)
        response = connection.getresponse()
        return response.status, response.headers, response.read()
    finally:
        connection.close()


def figures(node, source="127.0.0.1"):
    """The metrics as Prometheus itself reads them: {(name, labels): value}."""
    status, headers, text = node.ask("GET", "/metrics", source=source)
    assert (status, headers["Content-Type"]) == (200, "text/plain; version=0.0.4; charset=utf-8")
    return {(sample.name, tuple(sorted(sample.labels.items()))): sample.value
            for family in text_string_to_metric_families(text.decode()) for sample in family.samples}


def test_an_address_that_asks_too_often_is_told_when_to_come_back(serve):
    node = serve("--limit-requests", "1r/m,burst=5", "--exempt", "127.0.0.1")
    statuses = [node.ask("GET", "/", source="127.0.0.2")[0] for _ in range(7)]
    assert statuses == [400] * 5 + [429] * 2
    status, headers, body = node.ask("OPTIONS", "/", source="127.0.0.2", headers={"Origin": "http://page.example"})
    assert (status, body) == (429, b"too many requests\n")
    assert 0 < int(headers["Retry-After"]) <= 60
    assert headers["Access-Control-Allow-Origin"] == "http://page.example"
    assert node.ask("GET", "/", source="127.0.0.3")[0] == 400
    assert [node.ask("GET", "/")[0] for _ in range(20)] == [400] * 20
    assert figures(node)["pkarr_serve_http_limited_total", (("limit", "requests"),)] == 3
    assert node.ask("GET", "/metrics", source="127.0.0.3")[0] == 403


def test_this_machine_has_no_limits_unless_told_so(serve, new_key):
    node = serve("--limit-requests", "1r/m", "--limit-lookups", "1r/m", "--limit-queries", "1r/m")
    assert [node.ask("GET", f"/{new_key().name}", source="127.9.9.9")[0] for _ in range(5)] == [404] * 5
    strict = serve("--limit-requests", "1r/m", "--exempt", "none")
    assert [strict.ask("GET", "/")[0] for _ in range(2)] == [400, 429]
    free = serve("--limit-requests", "off", "--limit-lookups", "off", "--limit-queries", "off", "--exempt", "none")
    assert [free.ask("GET", "/")[0] for _ in range(100)] == [400] * 100


def test_look_ups_have_a_limit_of_their_own(serve, new_key):
    node = serve("--limit-lookups", "1r/m,burst=2", "--exempt", "none")
    key = new_key()
    assert node.ask("PUT", f"/{key.name}", key.payload())[0] == 204
    assert node.ask("GET", f"/{key.name}")[0] == 200
    assert node.ask("GET", f"/{new_key().name}")[0] == 404
    status, headers, body = node.ask("GET", f"/{new_key().name}")
    assert (status, body) == (429, b"Too many requests to DHT nodes\n")
    assert "Retry-After" in headers
    assert node.ask("GET", f"/{key.name}?policy=NetworkOnly")[0] == 429
    assert node.ask("GET", f"/{key.name}")[0] == 200


def test_dht_queries_have_a_limit_by_address(serve, new_key):
    node = serve("--limit-queries", "1r/m,burst=3", "--exempt", "127.0.0.1")
    with Asker(node.addresses["dht"], "127.0.0.2") as limited, Asker(node.addresses["dht"]) as exempt:
        for _ in range(3):
            limited.ask("ping")
        limited.send("ping")
        # Datagrams of one socket are taken in order, so once this one is answered the one before has been looked at.
        for _ in range(10):
            exempt.ask("ping")
        limited.socket.settimeout(0)
        with pytest.raises(BlockingIOError):
            limited.socket.recv(4096)
    assert figures(node)["pkarr_serve_dht_queries_refused_total", ()] == 1


def test_behind_a_proxy_the_client_counts(serve):
    node = serve("--limit-requests", "1r/m", "--exempt", "127.0.0.1", "--behind-proxy", "127.0.0.2")
    via = lambda client, source="127.0.0.2": node.ask("GET", "/", headers={"X-Forwarded-For": client}, source=source)[0]
    assert [via("192.0.2.1"), via("192.0.2.2"), via("6.6.6.6, 192.0.2.1"), via("2001:db8::1"), via("2001:db8::2")] == [400, 400, 429, 400, 429]
    # Who is no proxy can write what he likes.
    assert [via("192.0.2.3", "127.0.0.3"), via("192.0.2.4", "127.0.0.3")] == [400, 429]
    assert node.ask("GET", "/metrics", headers={"X-Forwarded-For": "192.0.2.9"}, source="127.0.0.2")[0] == 403
    assert node.stop() == 0
    assert node.process.stderr.read() == b""


def test_a_proxy_nobody_has_told_of_is_warned_about_once(serve):
    node = serve()
    for _ in range(3):
        node.ask("GET", "/", headers={"X-Forwarded-For": "192.0.2.1"})
    assert node.stop() == 0
    assert node.process.stderr.read().decode() == (
        "pkarr-serve: warning: 127.0.0.1 forwards requests, and all its clients count as one\n"
        "pkarr-serve: hint: --behind-proxy 127.0.0.1 takes their addresses from it\n")


def test_health_and_metrics(serve, dead_port, new_key):
    node, key = serve(), new_key()
    assert node.ask("GET", "/healthz")[::2] == (200, b"ok\n")
    assert serve("--bootstrap", dead_port).ask("GET", "/healthz")[0] == 503
    node.ask("PUT", f"/{key.name}", key.payload())
    node.ask("GET", f"/{key.name}")
    seen = figures(node)
    assert seen["pkarr_serve_http_requests_total", (("method", "PUT"), ("status", "204"))] == 1
    assert seen["pkarr_serve_cache_hits_total", ()] == 1
    assert seen["pkarr_serve_dht_items", ()] == seen["pkarr_serve_cached_packets", ()] == 1
    assert seen["pkarr_serve_resident_bytes", ()] > 1_000_000


def test_old_clients_may_compare_and_swap(serve, new_key):
    node, key = serve(), new_key()
    put = lambda timestamp, **headers: node.ask("PUT", f"/{key.name}", key.payload(timestamp=timestamp),
                                                {name.replace("_", "-"): value for name, value in headers.items()})[0]
    assert put(NOW, If_Match=str(NOW - 5)) == 204
    assert put(NOW + 1, If_Match=str(NOW - 5)) == 412
    assert put(NOW + 1, If_Match=f'"{NOW}"') == 204
    assert put(NOW + 2) == 204


def test_connections_that_never_finish_a_request_do_not_keep_others_out(serve):
    node = serve()
    host, port = urlsplit(node.addresses["http"]).netloc.split(":")
    slow = [socket.create_connection((host, int(port))) for _ in range(150)]
    try:
        for one in slow:
            one.send(b"GET / HTTP/1.1\r\nX-")
        assert node.ask("GET", "/")[0] == 400
        assert figures(node)["pkarr_serve_http_connections", ()] == 151
    finally:
        for one in slow:
            one.close()


# The store

def test_what_was_stored_is_there_after_a_restart(serve, new_key, tmp_path):
    store, key, other = ["--store", tmp_path / "store"], new_key(), new_key()
    node = serve(*store)
    assert node.ask("PUT", f"/{key.name}", key.payload())[0] == 204
    with Asker(node.addresses["dht"]) as asker:
        assert asker.put(other, b"v" * 500, 7)
    assert node.stop() == 0
    node = serve(*store)
    assert node.ask("GET", f"/{key.name}?policy=CacheOnly")[::2] == (200, key.payload())
    with Asker(node.addresses["dht"]) as asker:
        assert asker.get(other) == (b"v" * 500, 7)
        assert not asker.put(other, b"older", 6)
    assert timestamp_of(node.ask("GET", f"/{key.name}?policy=NetworkOnly")[2]) == NOW


def test_without_a_store_nothing_is_written(serve, new_key, tmp_path):
    node, key = serve(cwd=tmp_path), new_key()
    node.ask("PUT", f"/{key.name}", key.payload())
    assert node.stop() == 0
    assert list(tmp_path.iterdir()) == []


def test_nothing_acknowledged_is_lost_by_a_kill_at_any_moment(serve, new_key, tmp_path):
    store, kept, chance = ["--store", tmp_path / "store", "--store-size", "64M"], {}, random.Random(1)
    keys = [new_key() for _ in range(20)]
    bodies = {}
    for round in range(25):
        node = serve(*store)
        for key, timestamp in kept.items():
            status, _, body = node.ask("GET", f"/{key.name}?policy=CacheOnly")
            assert status == 200, f"lost before round {round}"
            # One that was on its way when the process was killed may have been stored or not.
            assert timestamp_of(body) in (timestamp, timestamp + 1) and body == key.payload(timestamp=timestamp_of(body))
            with Asker(node.addresses["dht"]) as asker:
                assert asker.get(key)[1] in (timestamp, timestamp + 1)
        # After as many puts as chance has it; the kill then comes while more are on their way.
        left, reached = chance.randrange(1, 60), threading.Event()

        def write():
            nonlocal left
            try:
                while True:
                    key = chance.choice(keys)
                    timestamp = kept.get(key, NOW) + 1
                    if node.ask("PUT", f"/{key.name}", key.payload(timestamp=timestamp))[0] == 204:
                        kept[key] = timestamp
                    left -= 1
                    if left <= 0:
                        reached.set()
            except (OSError, http.client.HTTPException):
                reached.set()

        writer = threading.Thread(target=write)
        writer.start()
        assert reached.wait(PATIENCE)
        node.process.kill()
        node.process.wait()
        writer.join()
    assert len(kept) == len(keys)


def test_what_was_changed_in_the_files_is_never_given_out(serve, new_key, tmp_path):
    store, key = ["--store", tmp_path / "store"], new_key()
    node = serve(*store)
    node.ask("PUT", f"/{key.name}", key.payload())
    node.stop()
    for name in ("packets", "items"):
        with sqlite3.connect(tmp_path / "store" / f"{name}.db") as database:
            (value,), = database.execute("SELECT value FROM entries")
            database.execute("UPDATE entries SET value = ?", (value[:-1] + bytes([value[-1] ^ 1]),))
        database.close()
    node = serve(*store)
    assert node.ask("GET", f"/{key.name}?policy=CacheOnly")[0] == 404
    with Asker(node.addresses["dht"]) as asker:
        assert asker.get(key) == (None, None)


def test_items_expire_as_bep_44_says_and_packets_do_not(serve, new_key, tmp_path):
    store, key = ["--store", tmp_path / "store"], new_key()
    node = serve(*store)
    node.ask("PUT", f"/{key.name}", key.payload())
    node.stop()
    for name in ("packets", "items"):
        with sqlite3.connect(tmp_path / "store" / f"{name}.db") as database:
            database.execute("UPDATE entries SET time = time - 7200000000")
        database.close()
    node = serve(*store)
    with Asker(node.addresses["dht"]) as asker:
        assert asker.get(key) == (None, None)
    assert node.ask("GET", f"/{key.name}?policy=CacheOnly")[0] == 200
    assert node.ask("GET", f"/{key.name}")[0] == 404, "a packet that has expired is looked for in the DHT"


def test_the_files_keep_within_their_size(serve, new_key, tmp_path):
    node = serve("--store", tmp_path / "store", "--store-size", "2M")
    keys = [new_key() for _ in range(1500)]
    with Asker(node.addresses["dht"]) as asker:
        for key in keys:
            assert asker.put(key, b"v" * 990, 1)
        assert asker.get(keys[0]) == (b"v" * 990, 1), "memory holds more than the files"
    assert figures(node)["pkarr_serve_store_bytes", (("file", "items"),)] <= 1 << 20
    assert node.stop() == 0
    assert (tmp_path / "store" / "items.db").stat().st_size <= 1.1 * (1 << 20)
    again = serve("--store", tmp_path / "store", "--store-size", "2M")
    with Asker(again.addresses["dht"]) as asker:
        assert asker.get(keys[-1]) == (b"v" * 990, 1)
        assert asker.get(keys[0]) == (None, None)


def test_a_damaged_file_is_set_aside(serve, tmp_path):
    folder = tmp_path / "store"
    folder.mkdir()
    (folder / "items.db").write_bytes(b"no database" * 1000)
    node = serve("--store", folder)
    assert node.stop() == 0
    assert node.process.stderr.read().decode() == (
        f"pkarr-serve: warning: {folder}/items.db could not be read and begins anew; the old one is now {folder}/items.db.damaged\n"
        "pkarr-serve: hint: what is published comes back by itself within hours\n")
    assert (folder / "items.db.damaged").read_bytes() == b"no database" * 1000


def test_a_store_belongs_to_one_process(serve, run, tmp_path):
    serve("--store", tmp_path)
    ended = run("pkarr-serve", "--dht-bind", "127.0.0.1:0", "--http", "127.0.0.1:0", "--store", tmp_path)
    assert (ended.status, ended.err) == (78, f"pkarr-serve: --store {tmp_path}: another pkarr-serve uses it\n"
                                             "pkarr-serve: hint: give each a folder of its own\n")
    ended = run("pkarr-serve", "--dht-bind", "127.0.0.1:0", "--http", "127.0.0.1:0", "--store", tmp_path / "a" / "b")
    assert (ended.status, ended.err) == (78, f"pkarr-serve: --store {tmp_path}/a/b: No such file or directory\n")


def test_a_full_disk_costs_the_store_and_not_the_service(serve, new_key, tmp_path):
    # A file may not grow beyond 300 KB: every write after that fails as on a full disk.
    import resource
    limit = lambda: (resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, 300_000)), signal.signal(signal.SIGXFSZ, signal.SIG_IGN))
    node = serve("--store", tmp_path / "store", preexec_fn=limit)
    keys = [new_key() for _ in range(300)]
    with Asker(node.addresses["dht"]) as asker:
        assert all(asker.put(key, b"v" * 990, 1) for key in keys)
        assert all(asker.get(key) == (b"v" * 990, 1) for key in keys)
    assert figures(node)["pkarr_serve_store_failures_total", (("file", "items"),)] > 0
    assert node.stop() == 0
    error = node.process.stderr.read().decode()
    assert error.startswith(f"pkarr-serve: warning: {tmp_path}/store/items.db: ") and error.count("\n") == 1


@pytest.mark.parametrize("abstract", [False, True])
def test_the_service_manager_is_told(serve, tmp_path, abstract):
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.settimeout(PATIENCE)
        name = f"@keyhole-{tmp_path.name}-{id(tmp_path)}" if abstract else str(tmp_path / "notify")
        manager.bind("\0" + name[1:] if abstract else name)
        node = serve(env={**os.environ, "NOTIFY_SOCKET": name})
        assert manager.recv(100) == b"READY=1"
        assert node.ask("GET", "/healthz")[0] == 200
        assert node.stop() == 0
        assert manager.recv(100) == b"STOPPING=1"


@pytest.mark.parametrize("arguments", [
    ["--limit-requests", "2"], ["--limit-requests", "0r/s"], ["--limit-lookups", "2r/h"], ["--limit-queries", ""], ["--exempt", "local"],
    ["--behind-proxy", "proxy.example"], ["--behind-proxy", "10.0.0.0/33"], ["--store-size", "1M"], ["--store-size", "0"],
    ["--store-size", "2P"], ["--store-size", "99999999999G"]])
def test_wrong_arguments(run, arguments):
    assert run("pkarr-serve", *arguments).status == 64
