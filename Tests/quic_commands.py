"""Fixtures that start quic-listen, quic-dial and the bridges around them."""
import contextlib
import json
import os
import re
import socket
import socketserver
import threading
import time

import pytest

from packets import Key

LISTENER = 7_000_001


def id_of(number):
    return Key(number).name


@pytest.fixture
def key_file(tmp_path):
    """key_file(number) -> path of a secret key file"""

    def key_file(number=LISTENER):
        path = tmp_path / f"secret-{number}"
        path.write_text(f"{number:064x}\n")
        path.chmod(0o600)
        return path

    return key_file


@pytest.fixture
def endpoint_file(tmp_path):
    """endpoint_file(address…, relays=[url…], key=number or id) -> path of a file with one endpoint line"""
    numbers = iter(range(1000))

    def endpoint_file(*addresses, relays=(), key=LISTENER):
        path = tmp_path / f"endpoint-{next(numbers)}.json"
        name = id_of(key) if isinstance(key, int) else key
        path.write_text(json.dumps({"endpoint_id": name, "relay_urls": list(relays), "addresses": addresses, "user_data": None}) + "\n")
        return path

    return endpoint_file


@pytest.fixture
def listen(service, key_file):
    """listen(option…, program=[…]) -> Service with its address"""

    def listen(*options, program=None, bind="127.0.0.1:0", key=LISTENER, **popen):
        local = ["--", *program] if program else []
        started = service("quic-listen", "--key", key_file(key), "--bind", bind, *options, *local, **popen)
        started.endpoint = started.next()
        started.address = started.endpoint["addresses"][0]
        return started

    return listen


@pytest.fixture
def dial(run, endpoint_file):
    """dial(address or addresses, option…, input=…) -> Finished: one stream over --stdio, or for a program given after --"""

    def dial(addresses, *options, relays=(), input=b"", key=LISTENER, env=None):
        addresses = [addresses] if isinstance(addresses, str) else addresses
        how = () if "--" in options else ("--stdio",)
        where = endpoint_file(*addresses, relays=relays, key=key)
        return run("quic-dial", "--endpoint", where, *how, *options, input=input, env=env)

    return dial


@pytest.fixture
def echo():
    """A TCP server that sends back what it gets, to the end."""

    class Handler(socketserver.BaseRequestHandler):
        def handle(self):
            while data := self.request.recv(65536):
                self.request.sendall(data)

    class Server(socketserver.ThreadingTCPServer):
        daemon_threads = True
        request_queue_size = 1024

    with Server(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield "127.0.0.1:%d" % server.server_address[1]
        server.shutdown()


@pytest.fixture
def listen_for(service, listen, tmp_path):
    """listen_for(target, option…) -> quic-listen whose streams tunnel-bridge serve takes to a TCP server"""

    def listen_for(target, *options, **popen):
        path = tmp_path / "serve.sock"
        service("tunnel-bridge", "serve", "--socket", path, "--to", target).next()
        return listen("--bridge", path, *options, **popen)

    return listen_for


@pytest.fixture
def tunnel(service, endpoint_file, tmp_path):
    """tunnel(address…) -> the TCP address at which tunnel-bridge connect takes connections to the peer there"""

    def tunnel(*addresses, relays=(), key=LISTENER, options=()):
        path = tmp_path / "connect.sock"
        bridge = service("tunnel-bridge", "connect", "--socket", path, "--listen", "127.0.0.1:0")
        host, port = bridge.next()["listening"].rsplit(":", 1)
        where = endpoint_file(*addresses, relays=relays, key=key)
        tunnel.dialler = service("quic-dial", "--endpoint", where, "--bridge", path, *options)
        return host, int(port)

    return tunnel


def ask(address, data, patience):
    """Sends data to a TCP address, ends that direction and returns the answer to its end."""
    with socket.create_connection(address, patience) as connection:

        def send():
            with contextlib.suppress(OSError):  # the reader finds out too
                connection.sendall(data)
                connection.shutdown(socket.SHUT_WR)

        sender = threading.Thread(target=send, daemon=True)
        sender.start()
        answer = bytearray()
        while piece := connection.recv(1 << 20):
            answer += piece
        sender.join(patience)
        return bytes(answer)


def wait_for(condition):
    """Until the condition holds; the test fails if it takes too long."""
    from conftest import PATIENCE  # which imports this file

    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def resident(pid):
    """Bytes of memory in use."""
    with open(f"/proc/{pid}/status") as status:
        return int(re.search(r"VmRSS:\s*(\d+)", status.read())[1]) << 10


def write_until_full(descriptor):
    """Writes until nothing was taken for as long as several round trips and timers take; returns the bytes taken."""
    os.set_blocking(descriptor, False)
    written, last = 0, time.monotonic()
    while time.monotonic() < last + 2:
        assert written < 1 << 28, "there is no back-pressure"
        try:
            written += os.write(descriptor, b"x" * 65536)
            last = time.monotonic()
        except BlockingIOError:
            time.sleep(0.01)
    return written
