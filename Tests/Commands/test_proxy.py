"""tunnel-bridge proxy as people use it: curl, raw sockets where curl is too polite, servers that do what they should not."""
import base64
import concurrent.futures
import hashlib
import json
import os
import re
import resource
import signal
import socket
import struct
import subprocess
import sys
import threading

import pytest

from conftest import PATIENCE, command, lines
from scripted_servers import Backend, Pages, echo_websocket
from quic_commands import LISTENER, id_of, resident, wait_for

KEY = id_of(LISTENER)
EVIL = "https://evil.example"
SIZE = 192 << 20


class Running:
    """A proxy that leads to one homeserver."""

    def __init__(self, service, address):
        self.service, self.pid = service, service.process.pid
        host, port = address.rsplit(":", 1)
        self.name, self.port, self.url = address, int(port), f"http://{address}"
        self.address = host.strip("[]"), self.port

    def curl(self, *arguments, **options):
        return curl("-x", self.url, *arguments, **options)

    def connect(self):
        return socket.create_connection(self.address, PATIENCE)

    def ask(self, data):
        """Sends bytes and returns everything up to the end of the connection, which the proxy has to bring about."""
        with self.connect() as connection:
            connection.sendall(data)
            return to_the_end(connection)

    def counters(self):
        page = curl(f"{self.url}/").text
        return {name: int(number) for name, number in re.findall(r"(\w+): (\d+)", page)}


class Answer:
    """What curl got: the heads and the body."""

    def __init__(self, process):
        self.exit, self.err = process.returncode, process.stderr.decode()
        rest, self.heads = process.stdout, []
        while rest.startswith(b"HTTP/"):
            head, rest = rest.split(b"\r\n\r\n", 1)
            lines = head.decode("latin-1").split("\r\n")
            self.heads.append((int(lines[0].split(" ")[1]), [tuple(line.split(": ", 1)) for line in lines[1:]]))
        self.body = rest

    @property
    def status(self):
        return self.heads[-1][0]

    @property
    def text(self):
        return self.body.decode()

    def __getitem__(self, name):
        values = [value for key, value in self.heads[-1][1] if key.lower() == name.lower()]
        assert len(values) < 2, values
        return values[0] if values else None


def curl(*arguments, **options):
    return Answer(subprocess.run(["curl", "-sSi", "--max-time", str(PATIENCE), *map(str, arguments)], capture_output=True, **options))


def to_the_end(connection):
    data = b""
    while piece := connection.recv(1 << 16):
        data += piece
    return data


def told(connection, request):
    """What a server was asked, as its answer."""
    body = request.body()
    connection.answer(json.dumps({
        "method": request.method, "target": request.target, "headers": dict(request.headers), "body": body.decode("latin-1"),
        "trailers": request.trailers}).encode())


@pytest.fixture
def pages():
    """pages(answer) -> a Pages server, backend(serve) -> a Backend; closed when the test ends."""
    started = []

    def pages(answer=told, kind=Pages):
        started.append(kind(answer))
        return started[-1]

    yield pages
    for one in started:
        one.close()


@pytest.fixture
def packet_of(run, key_file):
    """packet_of(endpoint or records, key=number) -> the packet that publishes it"""

    def packet_of(published, key=LISTENER):
        line = lines(published)
        records = run("iroh-txt", "encode", input=line).bytes if "endpoint_id" in published else line
        return run("pkarr-build", "--key", key_file(key), input=records).objects[0]

    return packet_of


@pytest.fixture
def start(service, tmp_path):
    """start(packet…, option…) -> Running: a proxy, and quic-dial for it"""

    def start(packets, *options, **popen):
        path = tmp_path / "proxy.sock"
        bridge = service("tunnel-bridge", "proxy", "--socket", path, "--listen", "127.0.0.1:0", "--allow-local", *options, **popen)
        running = Running(bridge, bridge.next()["listening"])
        bridge.process.stdin.write(lines(*packets))
        bridge.process.stdin.flush()
        running.dialler = service("quic-dial", "--bridge", path)
        while b"is there" not in running.dialler.process.stderr.readline():
            pass
        return running

    return start


@pytest.fixture
def proxy(start, listen_for, packet_of):
    """proxy(backend, option…) -> Running: in front of a homeserver whose HTTP is that backend"""

    def proxy(backend, *options, **popen):
        listener = listen_for(backend.address)
        running = start([packet_of(listener.endpoint)], *options, **popen)
        running.listener = listener
        return running

    return proxy


def head(method, target, *fields, host=KEY, version="HTTP/1.1"):
    return "".join(line + "\r\n" for line in (f"{method} {target} {version}", f"Host: {host}", *fields, "")).encode()


# Who is reached, and what they are told

def test_a_page_is_fetched_by_key(proxy, pages):
    answer = proxy(pages()).curl(f"http://{KEY}/pub/file?x=1", "-H", "X-Mine: yes")
    assert answer.status == 200
    assert answer["X-Pubky-Path"] == "direct"
    assert answer["Via"] == "1.1 keyhole"
    asked = json.loads(answer.body)
    assert (asked["method"], asked["target"]) == ("GET", "/pub/file?x=1")
    assert asked["headers"]["Host"] == KEY
    assert asked["headers"]["X-Mine"] == "yes"


@pytest.mark.parametrize("host, seen", [(KEY, KEY), (KEY.upper(), KEY), (f"{KEY}.", KEY), (f"{KEY}:80", KEY)])
def test_the_homeserver_gets_the_key_as_host_without_a_port(proxy, pages, host, seen):
    answer = proxy(pages()).ask(head("GET", f"http://{host}/", "Connection: close", host="other.example"))
    assert json.loads(answer.split(b"\r\n\r\n")[1])["headers"]["Host"] == seen


def test_a_user_is_followed_to_their_homeserver_which_gets_the_users_name(start, packet_of, listen_for, pages):
    user = id_of(5)
    records = {"records": [{"name": "_pubky", "type": "HTTPS", "ttl": 3600, "priority": 0, "target": KEY, "params": {}}]}
    running = start([packet_of(listen_for(pages().address).endpoint), packet_of(records, key=5)])
    answer = running.curl(f"http://_pubky.{user}/pub/file")
    assert json.loads(answer.body)["headers"]["Host"] == f"_pubky.{user}"
    # The same key without the label is no homeserver's.
    running.service.process.stdin.close()
    assert running.curl(f"http://{user}/").status == 502


def test_nothing_tells_the_homeserver_of_the_proxy_or_its_client(proxy, pages):
    answer = proxy(pages()).ask(head(
        "GET", f"http://{KEY}/", "Connection: close, X-Secret", "X-Secret: 1", "Proxy-Connection: keep-alive", "Keep-Alive: timeout=5",
        "Proxy-Authorization: Basic bWU6dG9rZW4=", "TE: trailers", "Upgrade: h2c", "HTTP2-Settings: AAMAAABk"))
    assert json.loads(answer.split(b"\r\n\r\n")[1])["headers"] == {"Host": KEY}


@pytest.mark.parametrize("url", [f"http://{KEY}?x", f"http://{KEY}"])
def test_a_url_without_a_path_asks_for_the_root(proxy, pages, url):
    answer = proxy(pages()).ask(head("GET", url, "Connection: close"))
    assert json.loads(answer.split(b"\r\n\r\n")[1])["target"] == "/" + url.removeprefix(f"http://{KEY}")


def test_options_of_the_whole_server_have_no_path(proxy, pages):
    answer = proxy(pages()).ask(head("OPTIONS", f"http://{KEY}", "Connection: close"))
    assert json.loads(answer.split(b"\r\n\r\n")[1])["target"] == "*"


def test_the_environment_leads_curl_here(proxy, pages):
    running = proxy(pages())
    answer = curl(f"http://{KEY}/", env={**os.environ, "http_proxy": running.url, "no_proxy": ""})
    assert answer["X-Pubky-Path"] == "direct"


def test_connect_to_port_80_leads_to_http_whose_heads_are_those_of_the_proxy(proxy, pages):
    answer = proxy(pages()).curl("-p", f"http://{KEY}/a")
    assert [status for status, _ in answer.heads] == [200, 200]
    assert answer["X-Pubky-Path"] == "direct"
    assert json.loads(answer.body)["target"] == "/a"


def test_connect_to_port_443_carries_bytes_untouched(proxy, pages):
    def turn(connection):
        while data := connection.reader.read1(65536):
            connection.socket.sendall(data[::-1])

    running = proxy(pages(turn, Backend))
    with running.connect() as connection:
        # What comes behind the head before the answer is not lost.
        connection.sendall(head("CONNECT", f"{KEY}:443", host=f"{KEY}:443") + b"abc")
        seen = b""
        while not seen.endswith(b"cba"):
            seen += connection.recv(4096)
        assert seen.startswith(b"HTTP/1.1 200 ")
        assert b"\r\nX-Pubky-Path: direct\r\n" in seen
        assert b"Content-Length" not in seen
        connection.sendall(b"\x00\xff")
        assert connection.recv(4096) == b"\xff\x00"
        connection.shutdown(socket.SHUT_WR)
        assert connection.recv(4096) == b""


def test_a_websocket_is_opened_by_absolute_form(proxy, pages):
    running = proxy(pages(echo_websocket))
    with running.connect() as connection:
        connection.sendall(head("GET", f"http://{KEY}/socket", "Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13",
                                "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==") + b"\x81\x85\0\0\0\0hello")
        seen = b""
        while not seen.endswith(b"\x81\x05hello"):
            seen += connection.recv(4096)
        assert seen.startswith(b"HTTP/1.1 101 ")
        assert b"\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n" in seen
        assert b"\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n" in seen
        connection.sendall(b"\x88\x80\0\0\0\0")
        assert to_the_end(connection) == b"\x88\x00"


# Bodies

def test_uploads_and_downloads_of_any_size_take_constant_memory(proxy, pages, tmp_path):
    def store(connection, request):
        if request.method == "PUT":
            digest = hashlib.sha256()
            for piece in request.pieces():
                digest.update(piece)
            connection.answer(digest.hexdigest().encode())
        else:
            connection.send("HTTP/1.1 200 OK", f"Content-Length: {SIZE}")
            with open(big, "rb") as file:
                connection.socket.sendfile(file)

    big = tmp_path / "big"
    with open(big, "wb") as file:
        block = os.urandom(1 << 20)
        for number in range(SIZE >> 20):
            file.write(number.to_bytes(8, "big") + block[8:])
    digest = hashlib.sha256(big.read_bytes()).hexdigest()
    running = proxy(pages(store))
    assert running.curl(f"http://{KEY}/warm").exit == 0
    before = resident(running.pid)
    assert running.curl("-T", big, f"http://{KEY}/big").text == digest
    with open(big, "rb") as file:
        assert running.curl("-T", "-", f"http://{KEY}/big", stdin=file).text == digest
    subprocess.run(["curl", "-sSf", "-x", running.url, "-o", tmp_path / "copy", f"http://{KEY}/big"], check=True)
    assert hashlib.sha256((tmp_path / "copy").read_bytes()).hexdigest() == digest
    assert resident(running.pid) - before < 4 << 20


def test_chunks_and_trailers_are_passed_on_as_they_are(proxy, pages):
    def chunked(connection, request):
        assert request.body() == b"wikipedia"
        assert request.trailers == ["X-Sum: 1"]
        connection.send("HTTP/1.1 200 OK", "Transfer-Encoding: chunked", "Trailer: X-Sum", body=b"3;a=b\r\nabc\r\n0\r\nX-Sum: 2\r\n\r\n")

    answer = proxy(pages(chunked)).ask(
        head("POST", f"http://{KEY}/", "Transfer-Encoding: chunked", "Connection: close", "Trailer: X-Sum")
        + b"4\r\nwiki\r\n5;ext\r\npedia\r\n0\r\nX-Sum: 1\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n")
    assert answer.endswith(b"\r\n\r\n3;a=b\r\nabc\r\n0\r\nX-Sum: 2\r\n\r\n")


def test_a_client_is_told_to_go_on_with_its_body(proxy, pages):
    def willing(connection, request):
        assert request["Expect"] == "100-continue"
        connection.send("HTTP/1.1 100 Continue")
        connection.answer(request.body())

    answer = proxy(pages(willing)).curl("-H", "Expect: 100-continue", "--expect100-timeout", PATIENCE, "-d", "body", f"http://{KEY}/")
    assert [status for status, _ in answer.heads] == [100, 200]
    assert answer.body == b"body"


def test_a_server_that_wants_no_body_is_heard_before_it_is_sent(proxy, pages):
    def unwilling(connection, request):
        connection.answer(b"too much", "Connection: close", status="413 Content Too Large")
        # Closing while bytes come in would take the answer back.
        connection.socket.shutdown(socket.SHUT_WR)
        while connection.socket.recv(1 << 16):
            pass
        return False

    backend = pages(unwilling)
    running = proxy(backend)
    answer = running.curl("-H", "Expect: 100-continue", "--expect100-timeout", PATIENCE, "-d", "x" * 100_000, f"http://{KEY}/")
    assert answer.status == 413 and answer.body == b"too much"
    # One that has sent a part of it too.
    with running.connect() as connection:
        connection.sendall(head("PUT", f"http://{KEY}/", "Content-Length: 1000000000") + b"x" * 100_000)
        seen = to_the_end(connection)
        assert seen.startswith(b"HTTP/1.1 413 ") and seen.endswith(b"too much")
        assert b"\r\nConnection: close\r\n" in seen


@pytest.mark.parametrize("method, status, fields", [
    ("HEAD", "200 OK", ["Content-Length: 1000"]), ("GET", "204 No Content", []), ("GET", "304 Not Modified", ["Content-Length: 1000"])])
def test_answers_without_a_body_end_with_their_heads(proxy, pages, method, status, fields):
    backend = pages(lambda connection, _: connection.send(f"HTTP/1.1 {status}", *fields))
    running = proxy(backend)
    with running.connect() as connection:
        for _ in range(2):
            connection.sendall(head(method, f"http://{KEY}/"))
            seen = b""
            while not seen.endswith(b"\r\n\r\n"):
                seen += connection.recv(4096)
            assert seen.startswith(f"HTTP/1.1 {status}\r\n".encode())
            assert all(field.encode() in seen for field in fields)
    assert backend.connections == 1


def test_hints_before_the_answer_are_passed_on(proxy, pages):
    def hinting(connection, request):
        connection.send("HTTP/1.1 103 Early Hints", "Link: </style.css>; rel=preload")
        connection.answer(b"done")

    running = proxy(pages(hinting))
    assert [status for status, _ in running.curl(f"http://{KEY}/").heads] == [103, 200]
    # HTTP/1.0 knows nothing of them.
    assert [status for status, _ in running.curl("-0", f"http://{KEY}/").heads] == [200]


def test_an_answer_that_ends_with_its_connection_does_so_at_the_client(proxy, pages):
    def until_close(connection, request):
        connection.send("HTTP/1.1 200 OK", body=b"all of it")
        return False

    seen = proxy(pages(until_close)).ask(head("GET", f"http://{KEY}/"))
    assert seen.endswith(b"\r\n\r\nall of it")
    assert b"\r\nConnection: close\r\n" in seen


def test_a_client_that_has_said_all_still_gets_its_answer(proxy, pages):
    with proxy(pages()).connect() as connection:
        connection.sendall(head("GET", f"http://{KEY}/half", "Connection: close"))
        connection.shutdown(socket.SHUT_WR)
        assert b'"target": "/half"' in to_the_end(connection)


# Kept connections

def test_one_connection_on_either_side_serves_many_requests(proxy, pages):
    backend = pages()
    running = proxy(backend)
    urls = [f"http://{KEY}/{number}" for number in range(20)]
    result = subprocess.run(["curl", "-sS", "-x", running.url, "-w", "%{num_connects} ", *sum((["-o", "/dev/null", url] for url in urls), [])],
                            capture_output=True, text=True)
    assert result.stdout.split() == ["1"] + ["0"] * 19
    assert [request.target for request in backend.requests] == [f"/{number}" for number in range(20)]
    assert backend.connections == 1
    assert running.curl(f"http://{KEY}/next").status == 200
    assert backend.connections == 1


def test_requests_sent_ahead_are_answered_in_their_order(proxy, pages):
    running = proxy(pages())
    asked = b"".join(head("POST", f"http://{KEY}/{number}", "Content-Length: 3") + b"%03d" % number for number in range(100))
    # A page of the proxy's own, and a refusal, among them.
    asked += head("GET", "/", host=running.name) + head("GET", "http://example.com/") + head("GET", f"http://{KEY}/last", "Connection: close")
    seen = running.ask(asked)
    assert re.findall(rb'"target": "/(\d+)"', seen) == [b"%d" % number for number in range(100)]
    statuses = re.findall(rb"HTTP/1.1 (\d+) ", seen)
    assert statuses == [b"200"] * 101 + [b"403", b"200"]
    assert seen.rstrip().endswith(b"}") and b'"target": "/last"' in seen


def test_a_client_that_sends_ahead_and_reads_nothing_is_not_read_for_ever(proxy, pages):
    running = proxy(pages(lambda connection, request: connection.answer(b"x" * 100_000)))
    running.curl(f"http://{KEY}/warm")
    before = resident(running.pid)
    with running.connect() as connection:
        connection.settimeout(2)
        with pytest.raises(TimeoutError):
            for _ in range(1 << 20):
                connection.sendall(head("GET", f"http://{KEY}/") * 64)
    assert resident(running.pid) - before < 8 << 20


def test_an_idle_connection_that_its_server_closes_is_not_used(proxy, pages):
    def once(connection, request):
        connection.answer(b"bye")
        return False

    backend = pages(once)
    running = proxy(backend)
    for number in range(3):
        assert running.curl("-d", "x", f"http://{KEY}/").text == "bye"
        wait_for(lambda: running.counters()["servers"] == 0)
    assert backend.connections == 3
    assert running.counters()["repeated"] == 0


@pytest.fixture
def dying(pages):
    """A server whose connections each answer one request, and break at the second, which they have counted."""

    def die(connection):
        for number in range(2):
            if request := connection.request():
                backend.requests.append((request.method, request.body()))
                if number:
                    return connection.reset()
                connection.answer(b"alive")

    backend = pages(die, Backend)
    backend.requests = []
    return backend


@pytest.mark.parametrize("arguments, method", [([], "GET"), (["-I"], "HEAD"), (["-X", "DELETE"], "DELETE")])
def test_a_request_that_may_be_repeated_is_when_a_used_connection_has_died(proxy, dying, arguments, method):
    running = proxy(dying)
    assert running.curl(f"http://{KEY}/").text == "alive"
    assert running.curl(*arguments, f"http://{KEY}/").status == 200
    assert [method for method, _ in dying.requests] == ["GET", method, method]
    assert running.counters()["repeated"] == 1


@pytest.mark.parametrize("arguments, method", [(["-X", "POST"], "POST"), (["-d", "x"], "POST"), (["-X", "PUT", "-d", "x"], "PUT"), (["-X", "PATCH"], "PATCH")])
def test_a_request_that_may_have_been_acted_on_is_never_sent_twice(proxy, dying, arguments, method):
    running = proxy(dying)
    assert running.curl(f"http://{KEY}/").text == "alive"
    answer = running.curl(*arguments, f"http://{KEY}/")
    assert answer.status == 502
    assert "it was not asked twice" in answer.text
    assert answer["Proxy-Status"] == "keyhole; error=connection_terminated"
    assert answer["X-Pubky-Path"] == "direct"
    assert [method for method, _ in dying.requests] == ["GET", method]
    assert running.counters()["repeated"] == 0


def test_nothing_is_repeated_over_a_fresh_connection(proxy, pages):
    def die(connection):
        connection.request()
        backend.asked += 1
        connection.reset()

    backend = pages(die, Backend)
    backend.asked = 0
    assert proxy(backend).curl(f"http://{KEY}/").status == 502
    assert backend.asked == 1


def test_nothing_is_repeated_after_a_byte_of_an_answer(proxy, pages):
    def die(connection):
        connection.request()
        connection.answer(b"alive")
        connection.request()
        backend.asked += 1
        connection.socket.sendall(b"H")
        connection.close()

    backend = pages(die, Backend)
    backend.asked = 0
    running = proxy(backend)
    assert running.curl(f"http://{KEY}/").text == "alive"
    assert running.curl(f"http://{KEY}/").status == 502
    assert backend.asked == 1


# What goes wrong

@pytest.mark.parametrize("fields, body", [
    (["Content-Length: 100"], b"half"), (["Transfer-Encoding: chunked"], b"4\r\nhalf\r\n"), (["Transfer-Encoding: chunked"], b"4\r\nha")])
def test_an_answer_that_breaks_off_is_not_taken_for_a_whole_one(proxy, pages, fields, body):
    def break_off(connection, request):
        connection.send("HTTP/1.1 200 OK", *fields, body=body)
        return False

    answer = proxy(pages(break_off)).curl(f"http://{KEY}/")
    assert answer.status == 200
    # CURLE_PARTIAL_FILE and CURLE_RECV_ERROR.
    assert answer.exit in (18, 56)


def test_a_request_that_breaks_off_is_not_taken_for_a_whole_one(proxy, pages):
    broken = threading.Event()

    def serve(connection):
        request = connection.request()
        try:
            request.body()
        except (EOFError, ConnectionResetError):
            broken.set()

    with proxy(pages(serve, Backend)).connect() as connection:
        connection.sendall(head("PUT", f"http://{KEY}/", "Content-Length: 100") + b"half")
    assert broken.wait(PATIENCE)


def test_the_homeservers_end_in_the_middle_is_the_clients(proxy, pages):
    def slow(connection, request):
        connection.send("HTTP/1.1 200 OK", "Content-Length: 1000000", body=b"x")
        threading.Event().wait(PATIENCE)

    running = proxy(pages(slow))
    with running.connect() as connection:
        connection.sendall(head("GET", f"http://{KEY}/"))
        while not connection.recv(4096).endswith(b"x"):
            pass
        running.listener.process.kill()
        running.dialler.process.kill()
        with pytest.raises(ConnectionResetError):
            to_the_end(connection)


def test_silence_ends_in_time(proxy, pages):
    running = proxy(pages(lambda connection, request: connection.request()), "--answer-timeout", "1s")
    answer = running.curl("-d", "x", f"http://{KEY}/")
    assert answer.status == 504
    assert answer["Proxy-Status"] == "keyhole; error=http_response_timeout"
    assert "may have done what was asked" in answer.text


@pytest.mark.parametrize("answer", [
    b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabc",
    b"SSH-2.0-OpenSSH_9.2\r\n\r\n", b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n",
    b"HTTP/1.1 407 Proxy Authentication Required\r\nProxy-Authenticate: Basic realm=x\r\nContent-Length: 0\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nX: " + b"x" * 100_000 + b"\r\n\r\n", b"HTTP/1.1 103 Early Hints\r\n\r\n" * 100])
def test_what_no_honest_server_says_is_not_passed_on(proxy, pages, answer):
    def say(connection, request):
        connection.socket.sendall(answer)

    got = proxy(pages(say)).curl("-H", "Proxy-Authorization: Basic eDp5", f"http://{KEY}/")
    assert got.status == 502
    assert got["Proxy-Status"] == "keyhole; error=http_protocol_error"
    assert got["Proxy-Authenticate"] is None


def test_a_key_is_asked_for_and_what_is_said_of_it_is_told(start):
    running = start([])
    bridge = running.service.process

    def fetch(status):
        with concurrent.futures.ThreadPoolExecutor() as worker:
            answer = worker.submit(running.curl, f"http://{KEY}/")
            assert running.service.next() == {"public_key": KEY}
            bridge.stdin.write(lines({"public_key": KEY, "status": status, "error": "for a reason"}))
            bridge.stdin.flush()
            return answer.result()

    answer = fetch(68)
    # Not 404, which would be the homeserver's word on one of its pages.
    assert answer.status == 502
    assert answer["Proxy-Status"] == "keyhole; error=dns_error"
    assert "for a reason" in answer.text and KEY in answer.text


def test_without_a_resolver_nobody_waits_for_one(start):
    running = start([])
    running.service.process.stdin.close()
    answer = running.curl(f"http://{KEY}/")
    assert answer.status == 502
    assert answer["Proxy-Status"] == "keyhole; error=destination_unavailable"
    # No tunnel that leads nowhere: curl gets no connection.
    assert running.curl("-k", f"https://{KEY}/").exit == 56


def test_a_resolver_that_reads_nothing_holds_nobody_up(start, packet_of, listen_for, pages):
    running = start([packet_of(listen_for(pages().address).endpoint)])
    for number in range(2000):
        # More questions than a pipe takes, from clients that don't wait for the answer.
        with running.connect() as connection:
            connection.sendall(head("GET", f"http://{id_of(number + 1)}/"))
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    assert running.curl(f"http://{KEY}/").status == 200


def test_every_way_that_was_tried_is_explained(start, packet_of, dead_port):
    packet = packet_of({"endpoint_id": KEY, "relay_urls": [], "addresses": [dead_port], "user_data": None})
    running = start([packet], "--timeout", "2s")
    running.service.process.stdin.close()
    answer = running.curl(f"http://{KEY}/")
    assert answer.status == 502
    assert f"direct {dead_port}: " in answer.text


def test_who_proves_to_be_somebody_else_gets_nothing(start, packet_of, listen_for, pages):
    backend = pages()
    listener = listen_for(backend.address)
    packet = packet_of({**listener.endpoint, "endpoint_id": id_of(5)}, key=5)
    running = start([packet])
    for arguments in ([], ["-d", "x"]):
        answer = running.curl(*arguments, f"http://{id_of(5)}/")
        assert answer.status == 502
        assert answer["Proxy-Status"] == "keyhole; error=tls_certificate_error"
        assert "somebody else" in answer.text
    assert backend.requests == []


def test_homeservers_of_any_number_are_told_apart(start, packet_of, listen, service, pages, tmp_path):
    packets = []
    for number in range(3):
        path = tmp_path / f"serve-{number}.sock"
        backend = pages(lambda connection, request, number=number: connection.answer(b"%d" % number))
        service("tunnel-bridge", "serve", "--socket", path, "--to", backend.address).next()
        packets.append(packet_of(listen("--bridge", path, key=LISTENER + number).endpoint, key=LISTENER + number))
    running = start(packets)
    urls = [f"http://{id_of(LISTENER + number)}/" for number in (0, 1, 2, 1, 0)]
    # One connection to the proxy, to three homeservers.
    result = subprocess.run(["curl", "-sS", "-x", running.url, *urls], capture_output=True, text=True)
    assert result.stdout == "01210"


# Who may

@pytest.mark.parametrize("arguments", [
    ["http://example.com/"], ["https://example.com/"], ["-p", "http://example.com/"], [f"http://{KEY}.example/"], [f"http://www.{KEY}/"],
    [f"http://{KEY[:-1]}/"], ["http://127.0.0.1/"], ["http://localhost/"], ["http://[::1]/"], [f"http://{KEY}:8080/"], [f"https://{KEY}:8443/"],
    [f"http://{'y' * 51}9/"]])
def test_names_that_are_no_keys_are_refused(proxy, pages, arguments):
    backend = pages()
    answer = proxy(backend).curl(*arguments)
    assert answer.heads[-1][0] == 403
    assert answer["Proxy-Status"] == "keyhole; error=http_request_denied"
    assert backend.requests == []


def test_a_refusal_says_what_to_do(proxy, pages):
    running = proxy(pages())
    assert "http://KEY/" in running.curl("http://example.com/").text
    assert f"write http://{KEY}/" in running.curl(f"http://{KEY}:8080/").text


@pytest.mark.parametrize("host", ["127.0.0.1", "[::1]", "10.0.0.1", "192.168.1.1", "169.254.169.254", "[::ffff:127.0.0.1]", "[64:ff9b::7f00:1]", "[2002:7f00:1::]",
                                  "0.0.0.0", "[::]", "[fe80::1]", "[fd00::1]", "localhost", "100.64.0.1", "2130706433", "0x7f000001"])
def test_forwarding_other_hosts_opens_no_way_to_this_machine_and_its_network(proxy, pages, host):
    backend = pages()
    running = proxy(backend, "--forward-others")
    port = backend.address.rsplit(":")[1]
    for url in (f"http://{host}:{port}/", f"http://{host}/"):
        answer = running.ask(head("GET", url, "Connection: close"))
        assert answer.startswith((b"HTTP/1.1 502 ", b"HTTP/1.1 403 ")), answer
        assert b"none of the Internet" in answer or b"No such file" in answer or b"unavailable" in answer, answer
    assert running.ask(head("CONNECT", f"{host}:443", "Connection: close")).startswith(b"HTTP/1.1 502 ")
    assert backend.requests == []


@pytest.mark.skipif(os.geteuid() != 0, reason="a network of its own needs root")
def test_other_hosts_of_the_internet_are_reached_when_that_is_wanted(tmp_path):
    """In a network that has nothing but this machine, which has an address of the Internet there."""
    (tmp_path / "page").write_text("a page of the web\n")
    script = f"""
        set -e
        trap 'kill $web $proxy' EXIT
        ip link set lo up
        ip addr add 203.0.113.7/32 dev lo
        {sys.executable} -u -m http.server --bind 203.0.113.7 --directory {tmp_path} 80 > {tmp_path}/web 2> /dev/null & web=$!
        mkfifo {tmp_path}/ready
        {command("tunnel-bridge")[0]} proxy --socket {tmp_path}/s --listen 127.0.0.1:8080 --forward-others < /dev/null > {tmp_path}/ready & proxy=$!
        exec 3< {tmp_path}/ready
        read -r line <&3
        until grep -q Serving {tmp_path}/web; do :; done
        for way in "" -p; do curl -sSi -x 127.0.0.1:8080 $way http://203.0.113.7/page; done
    """
    done = subprocess.run(["unshare", "--net", "sh", "-c", script], capture_output=True, text=True, timeout=PATIENCE)
    assert done.stderr == ""
    assert done.stdout.count("a page of the web\n") == 2
    assert done.stdout.count("HTTP/1.1 200 Connected") == 1
    # Which way there is nobody's business, and none that a key leads.
    assert "X-Pubky-Path" not in done.stdout


@pytest.mark.parametrize("target", ["http://example.com:25/", "http://example.com:22/"])
def test_other_hosts_have_no_ports_but_those_of_the_web(proxy, pages, target):
    assert b" 403 " in proxy(pages(), "--forward-others").ask(head("GET", target, "Connection: close")).split(b"\r\n")[0]


def test_a_key_mistyped_is_nobody_elses_business(proxy, pages):
    running = proxy(pages(), "--forward-others")
    assert running.curl(f"http://{'y' * 51}9/").status == 403
    assert running.curl(f"http://_pubky.{KEY[:-1]}/").status == 403


@pytest.mark.parametrize("listen", ["0.0.0.0:0", "[::]:0", "192.0.2.1:0"])
def test_it_listens_at_this_machine_only(run, tmp_path, listen):
    result = run("tunnel-bridge", "proxy", "--socket", tmp_path / "s", "--listen", listen)
    assert result.status == 78
    assert "can be reached from elsewhere" in result.err
    assert not (tmp_path / "s").exists()


@pytest.fixture
def token(tmp_path):
    path = tmp_path / "token"
    path.touch(mode=0o600)
    path.write_text("a-long-secret\n")
    return path


def test_a_token_keeps_others_out_and_reaches_nobody(proxy, pages, token):
    backend = pages()
    running = proxy(backend, "--token-file", token, "-v")
    for arguments in ([], ["--proxy-user", "me:wrong"], ["--proxy-user", "a-long-secret:"], ["-H", "Proxy-Authorization: Bearer a-long-secret"],
                      ["-H", "Proxy-Authorization: Basic ####"], ["-H", "Proxy-Authorization:"]):
        for url in ([f"http://{KEY}/"], ["-p", f"http://{KEY}/"], [f"https://{KEY}/"]):
            answer = running.curl(*arguments, *url)
            assert answer.status == 407, arguments
            assert answer["Proxy-Authenticate"] == 'Basic realm="keyhole", charset="UTF-8"'
    assert backend.requests == []
    for url in ([f"http://{KEY}/"], ["-p", f"http://{KEY}/"]):
        answer = running.curl("--proxy-user", "me:a-long-secret", *url)
        assert answer.status == 200
        assert "a-long-secret" not in answer.text and "Proxy-Authorization" not in answer.text
    # A browser asks for these without.
    assert running.curl("--noproxy", "*", f"{running.url}/proxy.pac").status == 200
    running.service.stop()
    assert b"a-long-secret" not in running.service.process.stderr.read()
    assert "a-long-secret" not in str(running.service.process.args)


def test_a_token_that_others_can_read_is_refused(run, tmp_path, token):
    token.chmod(0o644)
    result = run("tunnel-bridge", "proxy", "--socket", tmp_path / "s", "--listen", "127.0.0.1:0", "--token-file", token)
    assert result.status == 77


# What pages in a browser could try

@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::1]", "LOCALHOST"])
@pytest.mark.parametrize("port", [True, False])
def test_its_own_pages_are_given_under_this_machines_names(proxy, pages, host, port):
    running = proxy(pages())
    answer = running.ask(head("GET", "/proxy.pac", "Connection: close", host=f"{host}:{running.port}" if port else host))
    assert answer.startswith(b"HTTP/1.1 200 OK\r\nContent-Type: application/x-ns-proxy-autoconfig\r\n")
    assert f'"PROXY {running.name}"'.encode() in answer


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example", "localhost.evil.example", "127.0.0.1:1", "127.0.0.2", "0.0.0.0", "", "localhost.",
                                  KEY, "evil.example:80", "[::ffff:127.0.0.1]"])
@pytest.mark.parametrize("path", ["/", "/proxy.pac", "/anything"])
def test_a_name_that_somebody_points_here_gets_nothing(proxy, pages, host, path):
    answer = proxy(pages()).ask(head("GET", path, "Connection: close", host=host))
    assert answer.startswith(b"HTTP/1.1 403 ")
    assert b"PROXY " not in answer and b"requests:" not in answer


@pytest.mark.parametrize("field", [f"Origin: {EVIL}", "Origin: null", "Sec-Fetch-Site: cross-site", "Sec-Fetch-Site: same-site"])
@pytest.mark.parametrize("path", ["/", "/proxy.pac"])
def test_pages_of_other_sites_get_nothing_of_the_proxys_own(proxy, pages, field, path):
    running = proxy(pages())
    answer = running.ask(head("GET", path, "Connection: close", field, host=running.name))
    assert answer.startswith(b"HTTP/1.1 403 ")
    assert b"access-control" not in answer.lower()


def test_its_own_pages_change_nothing_and_show_no_keys(proxy, pages):
    running = proxy(pages())
    running.curl(f"http://{KEY}/")
    answer = running.ask(head("GET", "/", "Connection: close", host=running.name))
    assert b"requests: 2" in answer and KEY.encode() not in answer
    assert b"frame-ancestors 'none'" in answer
    for method in ("POST", "PUT", "DELETE", "OPTIONS"):
        answer = running.ask(head(method, "/", "Connection: close", "Access-Control-Request-Private-Network: true", host=running.name))
        assert answer.startswith(b"HTTP/1.1 403 ") and b"access-control" not in answer.lower()


FORM = "Content-Type: application/x-www-form-urlencoded"
UPGRADE = ["-H", "Connection: Upgrade", "-H", "Upgrade: websocket", "-H", "Sec-WebSocket-Version: 13", "-H", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="]


@pytest.mark.parametrize("origin, arguments, status", [
    # A homeserver is asked first, or has the answer kept from the page.
    (EVIL, [], 200), (EVIL, ["-X", "OPTIONS", "-H", "Access-Control-Request-Method: PUT"], 200), (EVIL, ["-X", "PUT", "-d", "x"], 200),
    (EVIL, ["-X", "DELETE"], 200), (EVIL, ["-d", "{}", "-H", "Content-Type: application/json"], 200),
    # Nobody is asked about these.
    (EVIL, ["-d", "x", "-H", FORM], 403), (EVIL, ["-d", "x", "-H", "Content-Type: Text/Plain ; charset=utf-8"], 403),
    (EVIL, ["-d", "x", "-H", "Content-Type:"], 403), ("null", ["-F", "x=y"], 403), (EVIL, UPGRADE, 403), (f"http://{id_of(5)}", ["-d", "x"], 403),
    # The homeserver's own pages, and nobody's.
    (f"http://{KEY}", ["-d", "x"], 200), (f"https://{KEY}", ["-d", "x"], 200), (None, ["-d", "x"], 200), ("http://friend.example:8080", ["-d", "x"], 200),
])
@pytest.mark.parametrize("way", [[], ["-p"]])
def test_what_a_browser_lets_any_page_send_goes_to_its_own_key_only(proxy, pages, origin, arguments, status, way):
    backend = pages()
    running = proxy(backend, "--allow-origin", "http://friend.example:8080")
    answer = running.curl(*way, *arguments, *(["-H", f"Origin: {origin}"] if origin else []), f"http://{KEY}/")
    assert answer.status == status
    assert len(backend.requests) == (status == 200)


# What hostile clients could try

@pytest.mark.parametrize("data, status", [
    (head("GET", f"http://{KEY}/", "Content-Length: 3", "Transfer-Encoding: chunked"), 400),
    (head("GET", f"http://{KEY}/", "Content-Length: 3", "Content-Length: 4"), 400),
    (head("GET", f"http://{KEY}/", "Content-Length: +3"), 400),
    (head("GET", f"http://{KEY}/", "Transfer-Encoding: chunked, chunked"), 400),
    (head("GET", f"http://{KEY}/", "Transfer-Encoding: xchunked"), 400),
    (head("GET", f"http://{KEY}/", "Transfer-Encoding : chunked"), 400),
    (head("GET", f"http://{KEY}/", " folded: x"), 400),
    (head("GET", f"http://{KEY}/", "X: a\nY: b"), 400),
    (head("GET", f"http://{KEY}/", "X: a\rb"), 400),
    (head("GET", f"http://{KEY}/", "X: a\0b"), 400),
    (head("GET", f"http://{KEY}/", f"Host: {KEY}"), 400),
    (head("GET", f"http://user@{KEY}/"), 400),
    (head("GET", f"http://example.com%40{KEY}/"), 400),
    (head("GET", f"http://{KEY}/#fragment"), 400),
    (head("GET", f"http://{KEY}:99999/"), 400),
    (head("GET", f"http://{KEY}:/"), 400),
    (head("CONNECT", KEY), 400),
    (head("CONNECT", f"http://{KEY}/"), 400),
    (head("GET", f"ftp://{KEY}/"), 403),
    (head("GET", f"http://{KEY}/", version="HTTP/2.0"), 505),
    (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505),
    (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 400),
    (b"GET / HTTP/1.1\nHost: 127.0.0.1\n\n", 400),
    (f"GET http://{KEY}/ HTTP/1.1\r\n\r\n".encode(), 400),
    (head("POST", f"http://{KEY}/", "Transfer-Encoding: chunked") + b"x\r\n", 400),
    (head("POST", f"http://{KEY}/", "Transfer-Encoding: chunked") + b"FFFFFFFFFFFFFFFFF\r\n", 400),
])
def test_what_could_be_read_in_two_ways_is_not_passed_on(proxy, pages, data, status):
    whole = []

    def serve(connection, request):
        request.body()
        whole.append(request)
        connection.answer()

    running = proxy(pages(serve))
    with running.connect() as connection:
        connection.sendall(data)
        connection.shutdown(socket.SHUT_WR)
        seen = to_the_end(connection)
    assert seen.startswith(b"HTTP/1.1 %d " % status)
    assert whole == []


def test_a_head_of_a_megabyte_is_refused_before_it_has_come(proxy, pages):
    running = proxy(pages())
    before = resident(running.pid)
    for data in (b"GET /" + b"x" * (1 << 20), head("GET", f"http://{KEY}/").removesuffix(b"\r\n") + b"X: " + b"y" * (1 << 20),
                 head("GET", f"http://{KEY}/", *["X: y"] * 100_000)):
        assert running.ask(data).startswith(b"HTTP/1.1 431 ")
    assert resident(running.pid) - before < 4 << 20


def test_ten_thousand_half_open_connections_keep_nobody_out(proxy, pages):
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard < 12_000:
        pytest.skip("too few files may be open")
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    running = proxy(pages(), "--max-connections", 2000)
    assert running.curl(f"http://{KEY}/").status == 200
    before = resident(running.pid)
    connections = []
    try:
        for number in range(10_000):
            connections.append(running.connect())
            connections[-1].sendall(head("GET", f"http://{KEY}/").removesuffix(b"\r\n")[: number % 100 + 1])
            if number % 2000 == 1999:
                assert running.curl(f"http://{KEY}/{number}").status == 200
        assert running.counters()["clients"] <= 2000
        assert resident(running.pid) - before < 32 << 20
        # The oldest have gone.
        with pytest.raises((ConnectionResetError, AssertionError)):
            assert to_the_end(connections[0]) != b""
    finally:
        for connection in connections:
            connection.close()
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    wait_for(lambda: running.counters()["clients"] == 1)


def test_many_clients_at_once(proxy, pages):
    backend = pages()
    running = proxy(backend)
    with concurrent.futures.ThreadPoolExecutor(32) as workers:
        answers = list(workers.map(lambda number: running.curl("-d", f"{number}", f"http://{KEY}/{number}"), range(200)))
    assert [json.loads(answer.body)["body"] for answer in answers] == [str(number) for number in range(200)]


# Its life

@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_it_ends_in_order_when_told_to(proxy, pages, number, tmp_path):
    running = proxy(pages())
    assert running.curl(f"http://{KEY}/").status == 200
    with running.connect():
        running.service.process.send_signal(number)
        assert running.service.process.wait(PATIENCE) == 0
    assert not (tmp_path / "proxy.sock").exists()
    assert running.service.process.stderr.read() == b""


def test_a_dialler_that_is_started_again_is_used(proxy, pages, service, tmp_path):
    running = proxy(pages())
    assert running.curl(f"http://{KEY}/").status == 200
    running.dialler.stop()
    running.dialler = service("quic-dial", "--bridge", tmp_path / "proxy.sock")
    while b"is there" not in running.dialler.process.stderr.readline():
        pass
    assert running.curl("-d", "x", f"http://{KEY}/").status == 200
