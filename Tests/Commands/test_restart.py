"""Services restarted by a service manager that holds their sockets: nobody who asks meanwhile is refused."""
import signal
import socket
import subprocess
import sys
import threading

import pytest

from conftest import PATIENCE, ROOT, Service, command
from packets import Key

RESTARTS = 5


@pytest.fixture
def managed(tmp_path):
    """managed([socket…], command, option…) -> a service whose manager restarts it"""
    running = []

    def managed(sockets, name, *arguments, **options):
        one = Service([sys.executable, str(ROOT / "Tests" / "service_manager.py"), *sockets, "--", *command(name, *arguments)], **options)
        running.append(one)
        return one

    yield managed
    for one in running:
        one.stop()
        for pipe in (one.process.stdin, one.process.stdout, one.process.stderr):
            pipe.close()


def free_port():
    """A port that is free for TCP and for UDP."""
    while True:
        with socket.create_server(("127.0.0.1", 0)) as stream, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as datagram:
            try:
                datagram.bind(stream.getsockname())
                return stream.getsockname()[1]
            except OSError:
                pass


@pytest.fixture
def relay(managed, tmp_path):
    """A pkarr-serve with all its sockets from the manager, and a store."""
    http, dht, dns = (f"127.0.0.1:{free_port()}" for _ in range(3))
    one = managed([f"http=tcp:{http}", f"dht=udp:{dht}", f"dns=tcp:{dns}", f"dns=udp:{dns}"], "pkarr-serve", "--store", tmp_path / "store")
    one.addresses = one.next()
    assert one.addresses == {"dht": dht, "http": f"http://{http}", "dht_addresses": [dht], "dns": [dns]}
    return one


def curl(url, *arguments):
    done = subprocess.run(["curl", "-s", "-m", str(PATIENCE), "-o", "/dev/null", "-w", "%{http_code}", *arguments, url], capture_output=True, text=True)
    return done.returncode, done.stdout


def test_requests_across_restarts_are_all_answered(relay):
    keys = [Key(2000 + number) for number in range(3)]
    done = threading.Event()
    outcomes = [[] for _ in keys]

    def ask(key, outcomes):
        url = f"{relay.addresses['http']}/{key.name}"
        payload = key.payload(key.text("a"))
        while not done.is_set():
            # The body goes by a command line and holds zeros, so it comes from standard input.
            put = subprocess.run(["curl", "-s", "-m", str(PATIENCE), "-o", "/dev/null", "-w", "%{http_code}", "-T", "-", "-H", "Expect:", url],
                                 input=payload, capture_output=True)
            outcomes.append((put.returncode, put.stdout.decode()))
            outcomes.append(curl(url))

    asking = [threading.Thread(target=ask, args=pair) for pair in zip(keys, outcomes)]
    for one in asking:
        one.start()
    try:
        for _ in range(RESTARTS):
            # So that each restart has requests before it and after.
            counts = [len(one) for one in outcomes]
            while any(len(one) < count + 4 for one, count in zip(outcomes, counts)):
                assert all(thread.is_alive() for thread in asking)
                done.wait(0.01)
            relay.process.send_signal(signal.SIGHUP)
            assert relay.next() == relay.addresses
    finally:
        done.set()
        for one in asking:
            one.join()
    for outcome in outcomes:
        assert set(outcome[::2]) == {(0, "204")} and set(outcome[1::2]) == {(0, "200")}


def test_what_comes_while_nobody_is_there_is_answered_by_the_next(relay):
    key = Key(2010)
    url = f"{relay.addresses['http']}/{key.name}"
    assert subprocess.run(["curl", "-sf", "-T", "-", "-H", "Expect:", url], input=key.payload(key.text("a"))).returncode == 0
    relay.process.send_signal(signal.SIGUSR1)
    # Now the kernel takes what comes, and nobody answers.
    assert relay.process.stderr.readline() == b"ended\n"
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as datagram, \
            subprocess.Popen(["curl", "-sf", "-m", str(PATIENCE), "-o", "/dev/null", url]) as http, \
            subprocess.Popen(["dig", "@127.0.0.1", "-p", relay.addresses["dns"][0].split(":")[1], "+tries=1", f"+time={PATIENCE}", "+short",
                              f"{key.name}.key", "TXT"], stdout=subprocess.PIPE, text=True) as dig:
        datagram.settimeout(PATIENCE)
        host, port = relay.addresses["dht"].split(":")
        datagram.sendto(b"d1:ad2:id20:aaaaaaaaaaaaaaaaaaaae1:q4:ping1:t2:aa1:y1:qe", (host, int(port)))
        relay.process.send_signal(signal.SIGUSR2)
        assert relay.next() == relay.addresses
        # It asks back whether there is a node.
        while b"1:y1:r" not in datagram.recv(1000):
            pass
        assert http.wait(PATIENCE) == 0
        assert dig.communicate(timeout=PATIENCE)[0] == '"a"\n'


@pytest.mark.parametrize("sockets, options, status, words", [
    (["web=tcp"], [], 78, 'a stream socket named "web" was handed over'),
    (["http=udp"], [], 78, 'a datagram socket named "http"'),
    (["http=tcp", "http=tcp"], [], 78, 'a stream socket named "http"'),
    (["dht=udp", "dht=udp"], [], 78, "two sockets for the DHT"),
    (["dns=udp"], [], 78, "was handed over alone"),
    (["dns=tcp"], [], 78, "was handed over alone"),
    (["http=tcp"], ["--http", "127.0.0.1:0"], 78, 'there is --http, and a socket named "http"'),
    (["dht=udp"], ["--dht-bind", "127.0.0.1:0"], 78, 'there is --dht-bind, and a socket named "dht"'),
])
def test_sockets_that_can_t_be_used_are_named(managed, sockets, options, status, words):
    one = managed([f"{socket}:127.0.0.1:{free_port()}" for socket in sockets], "pkarr-serve", *options)
    assert words in one.process.stderr.readline().decode()
    assert one.process.wait(PATIENCE) == status


def test_connections_that_were_made_before_the_end_are_served_and_a_second_signal_does_not_wait(service):
    one = service("pkarr-serve", "--dht-bind", "127.0.0.1:0", "--http", "127.0.0.1:0", env={})
    host, port = one.next()["http"].split("//")[1].split(":")
    silent = socket.create_connection((host, int(port)), PATIENCE)
    asking = socket.create_connection((host, int(port)), PATIENCE)
    # Both have been accepted when the second is answered.
    asking.sendall(b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n")
    assert asking.recv(1000).startswith(b"HTTP/1.1 200 ")
    one.process.terminate()
    # The idle one is closed at once, the other one may still ask.
    while asking.recv(1000):
        pass
    silent.sendall(b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n")
    answer = b""
    while more := silent.recv(1000):
        answer += more
    assert answer.startswith(b"HTTP/1.1 200 ") and b"Connection: close\r\n" in answer
    assert one.process.wait(PATIENCE) == 0
    for each in (silent, asking):
        each.close()
