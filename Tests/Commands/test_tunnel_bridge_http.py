"""tunnel-bridge serve --http: what comes through the tunnel to a server that takes plain HTTP. A stand-in asks as quic-listen does, where no
tunnel is needed."""
import json
import os
import re
import signal
import socket
import subprocess
import threading

import pytest
from cryptography.hazmat.primitives import serialization

from conftest import PATIENCE, ROOT
from handover import Listen, descriptors_of
from homeserver_listeners import RAW_KEYS, free_port, pubky_tls
from http_backends import backend, nginx, read_all, read_head, read_response
from packets import Key
from quic_commands import LISTENER, resident, wait_for

ALICE = "df9sse9bp1nuftim3yhxiuk6w6r5hddsskjygpydux7esxjstioo"
BOB = "8pinxxgqs41n4aididenw5apqp1urfmzdztr8jt4abrkdn435ewo"
DIRECT = {"path": "direct", "remote": "192.0.2.1:4433"}
HOST = f"Host: {ALICE}\r\n"


@pytest.fixture
def path(tmp_path):
    return tmp_path / "bridge.sock"


@pytest.fixture
def serve(service, path):
    def serve(target, *options, **popen):
        bridge = service("tunnel-bridge", "serve", "--socket", path, "--http", "--to", target, *options, **popen)
        assert bridge.next() == {"socket": str(path)}
        return bridge

    return serve


@pytest.fixture
def server():
    with backend() as server:
        yield server


@pytest.fixture
def stream(path):
    """stream(peer) -> a client's side of a new stream"""
    opened = []

    def stream(peer=ALICE, **fields):
        if not opened:
            opened.append(Listen(path))
        answer, connection = opened[0].open(len(opened), peer, **{**DIRECT, **fields})
        assert answer.get("ok"), answer
        connection.settimeout(PATIENCE)
        stream.last = len(opened)
        opened.append(connection)
        stream.listen = opened[0]
        return connection

    yield stream
    for one in opened:
        one.close()


def get(path="/", fields="", version="1.1"):
    return f"GET {path} HTTP/{version}\r\n{HOST}{fields}\r\n".encode()


def ask(connection, request):
    """The status, and the request as the backend has seen it."""
    connection.sendall(request)
    status, _, body = read_response(connection)
    return status, json.loads(body)


def own_fields(request):
    return {name: value for name, value in request["fields"] if name in ("Pubky-Client-Key", "X-Forwarded-For", "X-Forwarded-Proto")}


SPELLINGS = ["X-Forwarded-For", "x-forwarded-for", "X_Forwarded_For", "X-FORWARDED_FOR", "X.Forwarded.For", "Forwarded", "X-Real-IP", "x_real_ip",
             "X-Forwarded-Proto", "X_Forwarded_Proto", "Pubky-Client-Key", "pubky_client_key", "Pubky-Client_Key", "PUBKY.CLIENT.KEY"]


def test_the_server_learns_the_key_and_the_address_and_nothing_that_the_client_says_of_itself(serve, server, stream):
    serve(server.target)
    forged = "".join(f"{name}: 6.6.6.6\r\n" for name in SPELLINGS)
    status, request = ask(stream(), get("/a?b=c", forged + "Cookie: d\r\nConnection: keep-alive, Pubky-Client-Key\r\n"))
    assert status == 200 and request["path"] == "/a?b=c" and request["from"] == "127.0.0.2"
    assert request["fields"] == [["Host", ALICE], ["Cookie", "d"], ["Pubky-Client-Key", ALICE], ["X-Forwarded-For", "192.0.2.1"],
                                 ["X-Forwarded-Proto", "http"]]


@pytest.mark.parametrize("name", SPELLINGS)
def test_nginx_which_takes_all_spellings_for_one_sees_ours_only(serve, stream, tmp_path, name):
    port = free_port()
    with nginx(tmp_path, port):
        serve(f"127.0.0.1:{port}")
        connection = stream()
        connection.sendall(get("/", f"{name}: 6.6.6.6\r\n"))
        assert read_response(connection)[2].decode() == (
            f"http_x_forwarded_for=192.0.2.1 http_x_forwarded_proto=http http_x_real_ip= http_forwarded= http_pubky_client_key={ALICE} "
            f"http_host={ALICE} remote_addr=127.0.0.2 proxy_protocol_addr=\n")


def test_nginx_as_the_manual_sets_it_up_takes_address_and_key(serve, stream, tmp_path):
    page = (ROOT / "man" / "tunnel-bridge.1").read_text()
    example = re.search(r"^(limit_req_zone .*?)^\.Ed", page, re.MULTILINE | re.DOTALL)[1]
    port = free_port()
    # What it serves is what it knows; the limit is one that a machine of any speed runs into.
    for place, replacement in [("127.0.0.1:6286", f"127.0.0.1:{port}"), ("root /srv/site;", "try_files '' @told;"), ("10r/s", "1r/m"), ("burst=20", "burst=2"),
                               ("\n}", '\n    location @told { return 200 "$remote_addr $http_pubky_client_key"; }\n}')]:
        assert place in example
        example = example.replace(place, replacement)
    with nginx(tmp_path, port, example=example):
        serve(f"127.0.0.1:{port}")
        for peer in (ALICE, BOB):
            connection = stream(peer)
            for expected in (200, 200, 200, 503):
                connection.sendall(get("/", "X-Forwarded-For: 6.6.6.6\r\n"))
                status, _, body = read_response(connection)
                assert status == expected
                assert status == 503 or body == f"192.0.2.1 {peer}".encode()


def test_the_proxy_protocol_goes_before_the_requests(serve, stream, tmp_path):
    port = free_port()
    with nginx(tmp_path, port, "proxy_protocol"):
        serve(f"127.0.0.1:{port}", "--proxy-protocol")
        connection = stream()
        for _ in range(2):
            connection.sendall(get())
            assert b"proxy_protocol_addr=192.0.2.1" in read_response(connection)[2]


@pytest.mark.parametrize("fields, expected", [
    ({"path": "direct", "remote": "[2001:db8::7]:1"}, "2001:db8::7"), ({"path": "relay", "remote": "https://relay.example/"}, None),
    ({"path": "direct", "remote": "nonsense"}, None), ({"path": "relay", "remote": "192.0.2.1:1"}, None),
])
def test_an_address_is_told_where_there_is_one(serve, server, stream, fields, expected):
    serve(server.target)
    _, request = ask(stream(**fields), get("/", "X-Forwarded-For: 6.6.6.6\r\n"))
    assert own_fields(request).get("X-Forwarded-For") == expected


def test_of_a_peer_without_a_key_none_is_told(serve, server, stream):
    serve(server.target)
    _, request = ask(stream(None), get("/", f"Pubky-Client-Key: {BOB}\r\n"))
    assert "Pubky-Client-Key" not in own_fields(request)


def test_every_request_of_a_connection_is_rewritten_pipelined_ones_too(serve, server, stream):
    serve(server.target)
    forged = f"Pubky-Client-Key: {BOB}\r\n"
    chunked = f"POST /b HTTP/1.1\r\n{HOST}{forged}Transfer-Encoding: chunked\r\nTrailer: Pubky-Client-Key\r\n\r\n3\r\nabc\r\n0\r\n{forged}\r\n".encode()
    put = f"PUT /c HTTP/1.1\r\n{HOST}{forged}Content-Length: 5\r\n\r\nhello".encode()
    connection = stream()
    for _ in range(2):
        connection.sendall(get("/a", forged) + chunked + put + get("/d", forged))
        for path, body in [("/a", 0), ("/b", 3), ("/c", 5), ("/d", 0)]:
            _, _, text = read_response(connection)
            request = json.loads(text)
            assert (request["path"], request["body"]) == (path, body)
            assert [value for name, value in request["fields"] if "client" in name.lower()] == [ALICE]


INNER = f"GET /admin HTTP/1.1\r\n{HOST}Pubky-Client-Key: {BOB}\r\n\r\n"


@pytest.mark.parametrize("fields, body", [
    ("Content-Length: 4\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n" + INNER),
    ("Transfer-Encoding: chunked\r\nContent-Length: %d\r\n" % (5 + len(INNER)), "0\r\n\r\n" + INNER),
    ("Content-Length: 0\r\nContent-Length: %d\r\n" % len(INNER), INNER),
    ("Content-Length: 0, %d\r\n" % len(INNER), INNER),
    ("Transfer-Encoding : chunked\r\n", "0\r\n\r\n" + INNER),
    ("Transfer-Encoding: xchunked\r\n", "0\r\n\r\n" + INNER),
    ("Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n", "0\r\n\r\n" + INNER),
    ("X: y\n" + "Transfer-Encoding: chunked\r\n", "0\r\n\r\n" + INNER),
    ("X: y\r" + "Content-Length: 5\r\n", INNER),
    ("Content-Length: 5\r\n X: y\r\n", INNER),
    ("Content-Length: +5\r\n", INNER),
])
def test_requests_that_could_be_read_in_two_ways_don_t_reach_the_server(serve, server, stream, fields, body):
    serve(server.target)
    connection = stream()
    assert ask(connection, get("/first"))[0] == 200
    connection.sendall(f"POST /second HTTP/1.1\r\n{HOST}{fields}\r\n{body}".encode())
    status, answer, _ = read_response(connection)
    assert status == 400 and answer["connection"] == "close"
    assert read_all(connection) == b""
    assert [request["path"] for request in server.seen] == ["/first"]


@pytest.mark.parametrize("chunks", ["x\r\n", "5\nhello\r\n0\r\n\r\n", "1\r\nab\r\n0\r\n\r\n", "-1\r\n", "1;%s\r\na\r\n" % ("x" * 300), "0\r\nX : y\r\n\r\n",
                                    "0\r\n" + "X: y\r\n" * 2000 + "\r\n", "fffffffffffffffff\r\n"])
def test_a_body_with_wrong_chunks_ends_the_connection(serve, server, stream, chunks):
    serve(server.target)
    connection = stream()
    connection.sendall(f"POST / HTTP/1.1\r\n{HOST}Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n{chunks}".encode() + INNER.encode())
    # Not the server's answer to what it has got of the body: that has no end.
    assert read_response(connection)[0] == 400
    assert read_all(connection) == b""
    assert "/admin" not in [request["path"] for request in server.seen]


def test_the_body_of_a_get_that_the_server_does_not_read_is_no_request(serve, stream):
    with backend(reads=False) as server:
        serve(server.target)
        connection = stream()
        connection.sendall(f"GET / HTTP/1.1\r\n{HOST}Content-Length: {len(INNER)}\r\n\r\n{INNER}".encode() + get("/more"))
        assert read_response(connection)[0] == 200
        assert read_all(connection) == b""
        assert [request["path"] for request in server.seen] == ["/"]


@pytest.mark.parametrize("request_bytes, expected", [
    (b"nonsense\r\n\r\n", 400), (b"GET / HTTP/1.1\r\n\r\n", 400), (get(version="2.0"), 505), (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505),
    (b"CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\n\r\n", 501), (b"\x16\x03\x01\x00\x05", 400), (b"\0" * 100, 400), (b"GET / HTTP/1.1\r\nHost: a", 400),
])
def test_what_is_no_request_is_answered_without_the_server(serve, server, stream, request_bytes, expected):
    serve(server.target)
    connection = stream()
    connection.sendall(request_bytes)
    connection.shutdown(socket.SHUT_WR)
    assert read_response(connection)[0] == expected
    assert read_all(connection) == b""
    assert server.seen == []


def test_a_head_of_a_megabyte_is_refused_before_it_is_whole_and_the_answer_arrives(serve, server, stream):
    bridge = serve(server.target)
    ask(stream(), get())
    before = resident(bridge.process.pid)
    for fields in [b"X: " + b"x" * (1 << 20), b"X: y\r\n" * (1 << 18)]:
        connection = stream()
        connection.sendall(b"GET / HTTP/1.1\r\n" + fields)
        assert read_response(connection)[0] == 431
        connection.sendall(b"more")
        connection.shutdown(socket.SHUT_WR)
        assert read_all(connection) == b""
    assert resident(bridge.process.pid) < before + (4 << 20)
    assert len(server.seen) == 1


def test_what_the_bridge_answers_itself_is_counted(serve, server, stream, tmp_path):
    bridge = serve(server.target, "--metrics", tmp_path / "figures")
    for request in (get(), b"nonsense\r\n\r\n", b"nonsense\r\n\r\n", get(version="2.0")):
        connection = stream()
        connection.sendall(request)
        read_response(connection)
    bridge.process.send_signal(signal.SIGUSR1)
    assert b"status: 1 streams served" in bridge.process.stderr.readline()
    figures = (tmp_path / "figures").read_text()
    for figure in ('answers_total{status="400"} 2', 'answers_total{status="505"} 1', "streams_served_total 1", "streams_passing "):
        assert f"tunnel_bridge_serve_{figure}" in figures


def test_half_closed_clients_get_their_answers(serve, server, stream):
    serve(server.target)
    connection = stream()
    connection.sendall(get("/a") + get("/b"))
    connection.shutdown(socket.SHUT_WR)
    assert [json.loads(read_response(connection)[2])["path"] for _ in range(2)] == ["/a", "/b"]
    assert connection.recv(1) == b""


def test_the_connection_ends_behind_the_last_request(serve, server, stream):
    serve(server.target)
    for request in [get("/a", "Connection: close\r\n"), get("/a", version="1.0")]:
        connection = stream()
        connection.sendall(request + get("/b"))
        assert read_response(connection)[0] == 200
        assert connection.recv(1) == b""
    assert [request["path"] for request in server.seen] == ["/a", "/a"]


def test_a_client_of_http_1_0_may_keep_its_connection(serve, server, stream):
    serve(server.target)
    connection = stream()
    for _ in range(2):
        assert ask(connection, get("/", "Connection: keep-alive\r\n", "1.0"))[0] == 200


def test_responses_without_bodies_don_t_confuse_those_after_them(serve, server, stream):
    serve(server.target)
    connection = stream()
    head = f"HEAD /a HTTP/1.1\r\n{HOST}\r\n".encode()
    connection.sendall(head + get("/status/304") + get("/status/204") + head + get("/b"))
    for method, status in [("HEAD", 200), ("GET", 304), ("GET", 204), ("HEAD", 200)]:
        assert read_response(connection, method)[0] == status
    assert json.loads(read_response(connection)[2])["path"] == "/b"


def test_a_client_may_wait_for_100_continue(serve, server, stream):
    serve(server.target)
    connection = stream()
    connection.sendall(f"PUT / HTTP/1.1\r\n{HOST}Expect: 100-continue\r\nContent-Length: 5\r\n\r\n".encode())
    assert read_head(connection).startswith("HTTP/1.1 100 ")
    connection.sendall(b"hello")
    assert json.loads(read_response(connection)[2])["start"] == "hello"


UPGRADE = "Connection: Upgrade\r\nUpgrade: websocket\r\n"


def test_a_websocket_becomes_a_pipe_when_the_server_has_agreed(serve, server, stream):
    bridge = serve(server.target)
    connection = stream()
    # What looks like a request is none any more, also if it was sent before the answer.
    connection.sendall(get("/ws", UPGRADE) + INNER.encode())
    assert read_head(connection).startswith("HTTP/1.1 101 ")
    connection.sendall(b"\0\xff" * 1000)
    connection.shutdown(socket.SHUT_WR)
    assert read_all(connection) == INNER.encode() + b"\0\xff" * 1000
    assert len(server.seen) == 1 and own_fields(server.seen[0])["Pubky-Client-Key"] == ALICE
    assert bridge.process.poll() is None


def test_after_a_websocket_that_was_refused_requests_are_still_rewritten(serve, server, stream):
    serve(server.target)
    connection = stream()
    connection.sendall(get("/no", UPGRADE) + INNER.encode())
    assert read_response(connection)[0] == 200
    assert own_fields(json.loads(read_response(connection)[2]))["Pubky-Client-Key"] == ALICE


def test_http_2_is_not_offered_to_the_server(serve, server, stream):
    serve(server.target)
    _, request = ask(stream(), get("/", "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: x\r\n"))
    assert {"Upgrade", "HTTP2-Settings", "Connection"}.isdisjoint(name for name, _ in request["fields"])


def test_a_server_that_is_not_there_is_told_as_502(serve, stream, path):
    serve(f"127.0.0.1:{free_port()}")
    connection = stream()
    connection.sendall(get())
    status, _, body = read_response(connection)
    assert status == 502 and b"Connection refused" in body


@pytest.mark.parametrize("answer, expected", [
    (b"", 502), (b"nonsense\r\n\r\n", 502), (b"HTTP/1.1 200 OK\nContent-Length: 0\n\n", 502),
    (b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", 502),
    (b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n", 502), (b"HTTP/1.1 200 OK\r\n\r\n", 200),
])
def test_answers_that_can_t_be_followed_are_told_as_502(serve, stream, answer, expected):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        serve("127.0.0.1:%d" % listener.getsockname()[1])
        connection = stream()
        connection.sendall(get())
        listener.settimeout(PATIENCE)
        with listener.accept()[0] as server:
            read_head(server)
            server.sendall(answer)
        assert read_response(connection)[0] == expected
        assert connection.recv(1) == b""


def test_a_kept_connection_that_the_server_has_closed_meanwhile_is_closed_so_that_the_client_may_ask_again(serve, stream):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        serve("127.0.0.1:%d" % listener.getsockname()[1])
        connection = stream()
        connection.sendall(get("/a"))
        listener.settimeout(PATIENCE)
        with listener.accept()[0] as server:
            read_head(server)
            server.sendall(b"HTTP/1.1 204 No Content\r\n\r\n")
            assert read_response(connection)[0] == 204
            connection.sendall(get("/b"))
            read_head(server)
        assert read_all(connection) == b""


def test_a_client_that_goes_away_ends_the_server_s_connection(serve, stream):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        serve("127.0.0.1:%d" % listener.getsockname()[1])
        connection = stream()
        connection.sendall(get())
        listener.settimeout(PATIENCE)
        with listener.accept()[0] as server:
            server.settimeout(PATIENCE)
            read_head(server)
            # As quic-listen does when the stream is over.
            connection.close()
            stream.listen.send({"ended": {"id": stream.last, "bytes": 1}})
            with pytest.raises(ConnectionResetError):
                server.recv(1)


def test_large_bodies_pass_in_constant_memory_both_ways(serve, server, stream):
    bridge = serve(server.target)
    ask(stream(), get())
    before, size = resident(bridge.process.pid), 200 << 20
    down = stream()
    down.sendall(get(f"/big/{size}"))
    assert read_head(down).startswith("HTTP/1.1 200")
    count = peak = 0
    while count < size:
        count += len(down.recv(1 << 20))
        peak = max(peak, resident(bridge.process.pid))
    up = stream()
    up.sendall(f"PUT /up HTTP/1.1\r\n{HOST}Content-Length: {size}\r\n\r\n".encode())
    for _ in range(size >> 20):
        up.sendall(bytes(1 << 20))
        peak = max(peak, resident(bridge.process.pid))
    assert json.loads(read_response(up)[2])["body"] == size
    assert peak < before + (4 << 20)


def test_who_does_not_read_is_waited_for_without_taking_memory(serve, server, stream):
    bridge = serve(server.target)
    ask(stream(), get())
    before = resident(bridge.process.pid)
    slow = [stream() for _ in range(20)]
    for one in slow:
        one.sendall(get(f"/big/{50 << 20}"))
        assert read_head(one).startswith("HTTP/1.1 200")
    assert ask(stream(), get())[0] == 200
    assert resident(bridge.process.pid) < before + (8 << 20)


def test_ten_thousand_streams_that_do_nothing_keep_nobody_out_and_cost_the_server_nothing(serve, server, path):
    bridge = serve(server.target)
    listen = Listen(path)
    before = resident(bridge.process.pid)
    idle, peers = [], [Key(number).name for number in range(1, 41)]
    for number in range(10_000):
        answer, connection = listen.open(number, peers[number % 40], **DIRECT)
        assert answer["ok"]
        # Half of them begin a request, and say no more.
        if number % 2:
            connection.sendall(b"GET / HT")
        idle.append(connection)
    assert resident(bridge.process.pid) < before + (60 << 20)
    for number in range(100):
        answer, connection = listen.open(20_000 + number, ALICE, **DIRECT)
        assert answer["ok"]
        connection.settimeout(PATIENCE)
        assert ask(connection, get())[0] == 200
    assert len(server.seen) == 100
    for connection in idle:
        connection.close()


def test_a_key_has_so_many_streams_unless_its_line_says_otherwise(serve, server, path, tmp_path):
    serve(server.target)
    listen = Listen(path)
    held = [listen.open(number, ALICE, **DIRECT) for number in range(257)]
    assert all(answer.get("ok") for answer, _ in held[:256])
    assert held[256][0]["error"] == "256 streams at once are permitted"
    assert listen.open(300, BOB, **DIRECT)[0]["ok"]
    listen.send({"ended": {"id": 0, "bytes": 0}})
    assert listen.open(301, ALICE, **DIRECT)[0]["ok"]


def test_nothing_is_left_open(serve, server, stream, path):
    bridge = serve(server.target)
    ask(stream(), get())
    before = descriptors_of(bridge.process, path)
    for _ in range(50):
        one = stream()
        assert ask(one, get("/", "Connection: close\r\n"))[0] == 200
        assert one.recv(1) == b""
        one.close()
        stream.listen.send({"ended": {"id": stream.last, "bytes": 1}})
    wait_for(lambda: descriptors_of(bridge.process, path) == before)


# TLS beside it

def test_streams_that_begin_with_tls_go_to_the_other_target_untouched(serve, server, stream, echo):
    serve(server.target, "--tls-to", echo)
    connection = stream()
    data = b"\x16\x03\x01" + os.urandom(1 << 20)
    threading.Thread(target=lambda: (connection.sendall(data), connection.shutdown(socket.SHUT_WR)), daemon=True).start()
    assert read_all(connection) == data
    assert ask(stream(), get())[0] == 200


def test_pubky_tls_in_the_tunnel_is_between_the_client_and_the_homeserver(serve, server, listen, tunnel, path, tmp_path):
    """One tunnel, both of the homeserver's ports: GnuTLS with raw public keys is its 6287, and the client's end."""
    with pubky_tls(LISTENER, tmp_path) as tls:
        serve(server.target, "--tls-to", f"127.0.0.1:{tls}")
        host, port = tunnel(listen("--bridge", path).address)
        client = subprocess.Popen(
            ["gnutls-cli", "--no-ca-verification", "--verify-hostname", "h", "--priority", RAW_KEYS, "--port", str(port), "--print-cert", host],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        late = threading.Timer(PATIENCE, client.kill)
        late.start()
        with client:
            client.stdin.write(f"GET / HTTP/1.0\r\n{HOST}\r\n".encode())
            client.stdin.flush()
            # The server ends the connection. Had the client nothing more to read, it would not wait for the answer.
            seen = client.stdout.read()
            late.cancel()
        assert b"HTTP/1.0 200 OK" in seen, seen
        # The key that the client sees is the homeserver's own, not one of somebody between.
        certificate = Key(LISTENER).secret.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
        assert certificate.split(b"\n")[1] in seen
        with socket.create_connection((host, port), PATIENCE) as connection:
            assert ask(connection, get())[0] == 200
    assert len(server.seen) == 1


def test_the_access_list_counts_for_both_targets(serve, server, stream, echo, tmp_path):
    (tmp_path / "access").write_text(f"{ALICE} permitopen={server.target}\n{BOB} permitopen={echo}\n")
    bridge = serve(server.target, "--tls-to", echo, "--access", tmp_path / "access")
    assert ask(stream(ALICE), get())[0] == 200
    refused = stream(ALICE)
    refused.sendall(b"\x16\x03\x01")
    assert read_all(refused) == b""
    allowed = stream(BOB)
    allowed.sendall(b"\x16\x03\x01")
    assert allowed.recv(3) == b"\x16\x03\x01"
    forbidden = stream(BOB)
    forbidden.sendall(get())
    assert read_response(forbidden)[0] == 403
    bridge.stop()
    assert bridge.process.stderr.read().decode().splitlines()[-2:] == [
        f"tunnel-bridge: {ALICE} was refused: {echo} is not permitted", f"tunnel-bridge: {BOB} was refused: {server.target} is not permitted"]


def test_a_key_that_may_have_neither_gets_no_stream(serve, server, path, tmp_path):
    (tmp_path / "access").write_text(f"{ALICE} permitopen=127.0.0.1:1\n")
    serve(server.target, "--tls-to", "127.0.0.1:2", "--access", tmp_path / "access")
    assert Listen(path).open(1, ALICE)[0]["error"] == f"{server.target} is not permitted"


def test_another_protocol_keeps_its_own_target(serve, server, stream, echo):
    serve(server.target, "--to", f"ssh={echo}")
    connection = stream(alpn="ssh")
    connection.sendall(INNER.encode())
    assert connection.recv(65536) == INNER.encode()


@pytest.mark.parametrize("options, expected", [
    (["--http", "--to", "127.0.0.1:1", "--tls-to", "127.0.0.1:6288"], "admin port"), (["--to", "127.0.0.1:1", "--tls-to", "127.0.0.1:2"], "--http"),
    (["--http", "--to", "127.0.0.1:1", "--tls-to", "127.0.0.1:0"], "port 0"), (["--http"], "--to"),
])
def test_wrong_options_are_told(run, path, options, expected):
    result = run("tunnel-bridge", "serve", "--socket", path, *options)
    assert result.status == 64 and expected in result.err


# Through the tunnel

def test_a_server_behind_the_tunnel_learns_the_key_that_the_client_has_proved(serve, server, listen, tunnel, key_file, path, tmp_path):
    (tmp_path / "access").write_text(f"{Key(LISTENER + 1).name} maxbytes=100K\n")
    serve(server.target, "--access", tmp_path / "access")
    listening = listen("--bridge", path)
    host, port = tunnel(listening.address, options=["--key", key_file(LISTENER + 1)])
    with socket.create_connection((host, port), PATIENCE) as connection:
        for _ in range(2):
            status, request = ask(connection, get("/", "X-Forwarded-For: 6.6.6.6\r\n"))
            assert status == 200
            assert own_fields(request) == {"Pubky-Client-Key": Key(LISTENER + 1).name, "X-Forwarded-For": "127.0.0.1", "X-Forwarded-Proto": "http"}
        # What passes is counted as without the gate, and breaks the stream off.
        connection.sendall(get(f"/big/{1 << 20}"))
        with pytest.raises((ConnectionError, AssertionError)):
            read_response(connection)


def test_a_refusal_goes_all_the_way_back(serve, server, listen, tunnel, path):
    serve(server.target)
    host, port = tunnel(listen("--bridge", path).address)
    with socket.create_connection((host, port), PATIENCE) as connection:
        connection.sendall(b"GET / HTTP/1.1\r\nX: " + b"x" * (1 << 20))
        assert read_response(connection)[0] == 431
