"""The DNS door among real DNS servers: dnsmasq and unbound behind it and in front of it, and one that lies."""
import contextlib
import socket
import subprocess
import tempfile
import time

import dns.flags
import dns.message
import dns.rcode
import dns.rrset
import pytest

from conftest import PATIENCE, Service, command
from dns_tools import LyingServer, ask, endpoint, publish, reasons, short


@pytest.fixture
def start():
    """start(*options) -> a running pkarr-serve with a DNS door."""
    started = []

    def start(*options):
        service = Service(command("pkarr-serve", "--dht-bind", "127.0.0.1:0", "--http", "127.0.0.1:0", "--dns", "127.0.0.1:0", *options))
        started.append(service)
        service.addresses = service.next()
        service.dns = service.addresses["dns"][0]
        return service

    yield start
    assert [service.stop() for service in started] == [0] * len(started)


@pytest.fixture
def liar():
    """liar(answer) -> LyingServer, stopped when the test ends."""
    with contextlib.ExitStack() as stack:
        def liar(answer):
            server = LyingServer(answer)
            stack.callback(server.stop)
            return server

        yield liar


def free_port():
    """Free for UDP and TCP."""
    while True:
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as stream, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as datagram:
            stream.bind(("127.0.0.1", 0))
            with contextlib.suppress(OSError):
                datagram.bind(stream.getsockname())
                return stream.getsockname()[1]


@contextlib.contextmanager
def running(*arguments, port):
    """A DNS server, once it takes connections."""
    process = subprocess.Popen(list(map(str, arguments)), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    try:
        deadline = time.monotonic() + PATIENCE
        while True:
            assert process.poll() is None, process.stderr.read().decode()
            assert time.monotonic() < deadline, f"{arguments[0]} does not listen"
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), PATIENCE):
                break
            time.sleep(0.01)
        yield f"127.0.0.1:{port}"
    finally:
        process.terminate()
        process.communicate(timeout=PATIENCE)


@contextlib.contextmanager
def dnsmasq(*arguments):
    port = free_port()
    options = ["--keep-in-foreground", "--conf-file=/dev/null", "--no-resolv", "--no-hosts", "--bind-interfaces", "--listen-address=127.0.0.1",
               f"--port={port}", "--user=root", "--pid-file", *arguments]
    with running("dnsmasq", *options, port=port) as address:
        yield address


@contextlib.contextmanager
def unbound(*zones):
    port = free_port()
    with tempfile.NamedTemporaryFile("w", suffix=".conf") as configuration:
        configuration.write(f"""
            server:
              interface: 127.0.0.1@{port}
              do-daemonize: no
              username: ""
              chroot: ""
              directory: "/"
              pidfile: ""
              use-syslog: no
              do-not-query-localhost: no
              module-config: "iterator"
              num-threads: 1
            remote-control:
              control-enable: no
            {"".join(zones)}
        """)
        configuration.flush()
        with running("unbound", "-c", configuration.name, port=port) as address:
            yield address


TEXTS = [f"--txt-record=big.test,{'x' * 200},{number}" for number in range(10)]


def test_other_questions_are_forwarded_over_udp_and_tcp(start, new_key):
    with dnsmasq("--address=/example.test/192.0.2.50", "--txt-record=text.test,hello", *TEXTS) as server:
        door, key = start("--dns-forward", server), new_key()
        for how in [], ["+tcp"], ["+noedns"], ["+dnssec"]:
            assert short(door.dns, *how, "example.test", "A") == ["192.0.2.50"]
            assert short(door.dns, *how, "text.test", "TXT") == ['"hello"']
        assert ask(door.dns, "big.test", "TXT").flags & dns.flags.TC
        assert len(short(door.dns, "big.test", "TXT")) == 10
        # Keys are still keys, and where their aliases lead is asked for.
        publish(door.addresses, key, ("@", 300, "CNAME", "example.test."), ("local", 300, "A", "192.0.2.1"))
        assert short(door.dns, key.name, "A") == ["192.0.2.50", "example.test."]
        assert short(door.dns, f"local.{key.name}", "A") == ["192.0.2.1"]
        answer = ask(door.dns, "eXaMple.test")
        assert str(answer.question[0].name) == "eXaMple.test."


def test_unbound_behind_the_door(start):
    with unbound('server:\n  local-zone: "test." static\n  local-data: "example.test. A 192.0.2.51"\n') as server:
        door = start("--dns-forward", server)
        assert short(door.dns, "example.test", "A") == ["192.0.2.51"]
        assert ask(door.dns, "none.test").rcode() == dns.rcode.NXDOMAIN


def test_only_the_named_have_their_questions_forwarded(start):
    with dnsmasq("--address=/example.test/192.0.2.50") as server:
        answer = ask(start("--dns-forward", server, "--dns-forward-for", "192.0.2.0/24").dns, "example.test")
        assert answer.rcode() == dns.rcode.REFUSED and reasons(answer) == [18] and not answer.flags & dns.flags.RA


def test_a_resolver_in_front_finds_keys_in_the_suffix(start, new_key):
    door, key = start(), new_key()
    publish(door.addresses, key, ("@", 300, "A", "192.0.2.1"), ("www", 300, "CNAME", f"{key.name}."), ("@", 300, "HTTPS", "1 . port=443"))
    host, port = endpoint(door.dns)
    with dnsmasq(f"--server=/key/{host}#{port}") as front:
        check_front(front, key)
    stub = f'server:\n  domain-insecure: "key"\nstub-zone:\n  name: "key"\n  stub-addr: {host}@{port}\n'
    with unbound(stub) as front:
        check_front(front, key)
    forward = f'server:\n  domain-insecure: "key"\nforward-zone:\n  name: "key"\n  forward-addr: {host}@{port}\n'
    with unbound(forward) as front:
        check_front(front, key)


def check_front(front, key):
    assert short(front, f"{key.name}.key", "A") == ["192.0.2.1"]
    assert short(front, f"www.{key.name}.key", "A") == ["192.0.2.1", f"{key.name}.key."]
    assert short(front, f"{key.name}.key", "HTTPS") == ["1 . port=443"]
    assert ask(front, f"no.{key.name}.key").rcode() == dns.rcode.NXDOMAIN
    assert ask(front, f"{key.name}.key", "MX").rcode() == dns.rcode.NOERROR


def reply(query, name=None, address="192.0.2.66", change=lambda message: None):
    """An answer to the query, or nearly."""
    message = dns.message.make_response(dns.message.from_wire(query))
    message.answer.append(dns.rrset.from_text(name or message.question[0].name, 60, "IN", "A", address))
    change(message)
    return message.to_wire()


def lies(query):
    """Everything but the answer."""
    other = dns.message.make_query("other.test", "A", id=dns.message.from_wire(query).id).to_wire()
    yield b""
    yield query
    yield reply(query)[:-3]
    yield reply(query) + b"x"
    yield reply(other)
    yield reply(query, change=lambda message: setattr(message, "id", message.id ^ 1))
    yield reply(query)[:4] + b"\0\0" + reply(query)[6:]
    yield query[:12] + b"\xc0\x0c" * 20


def test_lies_are_not_believed_while_the_truth_may_still_come(start, liar):
    server = liar(lambda query: [*lies(query), reply(query, address="192.0.2.52")])
    door = start("--dns-forward", server.address)
    assert short(door.dns, "example.test", "A") == ["192.0.2.52"]
    for _ in range(20):
        ask(door.dns, "example.test")
    ids, ports = {query[:2] for query, _ in server.queries}, {client[1] for _, client in server.queries}
    assert len(ids) > 15 and len(ports) > 15


def test_without_the_truth_there_is_a_failure_that_says_so(start, liar, dead_port):
    server = liar(lambda query: list(lies(query)))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as closed:
        closed.bind(("127.0.0.1", 0))
        nobody = f"127.0.0.1:{closed.getsockname()[1]}"
    for address in server.address, dead_port, nobody:
        for tcp in False, True:
            answer = ask(start("--dns-forward", address).dns, "example.test", tcp=tcp)
            assert answer.rcode() == dns.rcode.SERVFAIL and reasons(answer) == [22]


def test_the_next_server_is_asked_when_one_is_silent(start, dead_port):
    with dnsmasq("--address=/example.test/192.0.2.53") as server:
        assert short(start("--dns-forward", dead_port, "--dns-forward", server).dns, "example.test", "A") == ["192.0.2.53"]


def test_a_longer_answer_than_was_asked_for_is_cut(start, liar):
    def long(query):
        message = dns.message.make_response(dns.message.from_wire(query))
        for number in range(100):
            message.answer.append(dns.rrset.from_text(message.question[0].name, 60, "IN", "A", f"192.0.2.{number}"))
        return [message.to_wire(max_size=65535)]

    answer = ask(start("--dns-forward", liar(long).address).dns, "example.test", use_edns=False)
    assert answer.flags & dns.flags.TC and answer.answer == [] and len(answer.to_wire()) <= 512
