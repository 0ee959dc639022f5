"""pkarr-serve --dns as a process: what ordinary DNS clients get, over UDP and TCP, and what nobody gets."""
import signal
import socket
import struct
import subprocess
import tempfile
import urllib.request

import dns.flags
import dns.message
import dns.rcode
import dns.rdatatype
import pytest

from conftest import PATIENCE, command
from dns_tools import ask, dig, endpoint, exchange, publish, reasons, short, zone_message
from packets import NOW, Key

ANY_PORT = ("--dht-bind", "127.0.0.1:0", "--http", "127.0.0.1:0", "--dns", "127.0.0.1:0")
RECORDS = [
    ("@", 300, "A", "192.0.2.1"), ("@", 300, "AAAA", "2001:db8::1"), ("@", 300, "HTTPS", '1 . alpn="h2,h3" port=6287 ipv4hint=192.0.2.1'),
    ("www", 300, "CNAME", "@KEY."), ("text", 300, "TXT", '"hello" "w\\195\\182rld"'), ("mail", 300, "MX", "10 mail.example.com."),
    ("strange", 300, "TYPE4711", r"\# 3 c00cff"), ("*.wild", 60, "A", "192.0.2.7"), ("sub", 300, "NS", "ns.example.com."),
]


def expanded(key, records=RECORDS):
    return [(name, ttl, kind, text.replace("@KEY", key.name)) for name, ttl, kind, text in records]


@pytest.fixture(scope="module")
def door(start):
    """A pkarr-serve of its own with a DNS door on both families, and a key that has records of many kinds."""
    door = start("--dns", "[::1]:0")
    door.key = Key(500)
    publish(door.addresses, door.key, *expanded(door.key))
    return door


@pytest.fixture(scope="module")
def start():
    """start(*options) -> a running pkarr-serve with a DNS door; its `addresses`, and `dns`, the first of the door's."""
    from conftest import Service

    started = []

    def start(*options):
        service = Service(command("pkarr-serve", *ANY_PORT, *options))
        started.append(service)
        service.addresses = service.next()
        service.dns = service.addresses["dns"][0]
        return service

    yield start
    assert [service.stop() for service in started] == [0] * len(started)


def metrics(service):
    with urllib.request.urlopen(service.addresses["http"] + "/metrics", timeout=PATIENCE) as response:
        lines = response.read().decode().splitlines()
    return {line.rsplit(" ", 1)[0]: int(line.rsplit(" ", 1)[1]) for line in lines if not line.startswith("#")}


@pytest.mark.parametrize("how", [[], ["+tcp"], ["+noedns"], ["+bufsize=512"], ["+dnssec"], ["+nocookie", "+norecurse"]], ids="".join)
def test_dig_sees_the_records(door, how):
    name = door.key.name
    for suffix in ("", ".key", ".KEY."):
        assert short(door.dns, *how, name + suffix, "A") == ["192.0.2.1"]
        assert short(door.dns, *how, name + suffix, "AAAA") == ["2001:db8::1"]
        assert short(door.dns, *how, name + suffix, "HTTPS") == ['1 . alpn="h2,h3" port=6287 ipv4hint=192.0.2.1']
        assert short(door.dns, *how, "text." + name + suffix, "TXT") == ['"hello" "w\\195\\182rld"']
        assert short(door.dns, *how, "mail." + name + suffix, "MX") == ["10 mail.example.com."]
        assert short(door.dns, *how, "strange." + name + suffix, "TYPE4711") == ["\\# 3 C00CFF"]
        assert short(door.dns, *how, "a.b.wild." + name + suffix, "A") == ["192.0.2.7"]


def test_the_other_family_answers_too(door):
    assert short(door.addresses["dns"][1], door.key.name, "A") == ["192.0.2.1"]


def test_an_answer_comes_from_the_address_that_was_asked(start, new_key):
    door, key = start("--dns", "0.0.0.0:0", "--dns", "[::]:0"), new_key()
    publish(door.addresses, key, ("@", 300, "A", "192.0.2.1"))
    four, six = (endpoint(address)[1] for address in door.addresses["dns"][1:])
    for address in f"127.0.0.2:{four}", f"127.9.9.9:{four}", f"[::1]:{six}":
        # dig takes no answer from anywhere else.
        assert short(address, key.name, "A") == ["192.0.2.1"]


@pytest.mark.parametrize("tool", ["kdig", "drill"])
def test_other_tools_see_them_too(door, tool):
    host, port = endpoint(door.dns)
    output = subprocess.run([tool, "-p", str(port), f"@{host}", door.key.name, "A"], capture_output=True, text=True, timeout=PATIENCE).stdout
    assert "192.0.2.1" in output


def test_an_alias_is_followed(door):
    assert short(door.dns, f"www.{door.key.name}.key", "A") == ["192.0.2.1", f"{door.key.name}.key."]


def test_flags_and_ttl(door):
    answer = ask(door.dns, f"wWw.{door.key.name.upper()}")
    assert answer.flags & dns.flags.AA and answer.flags & dns.flags.RA and not answer.flags & dns.flags.AD
    assert str(answer.question[0].name) == f"wWw.{door.key.name.upper()}."
    assert all(0 < rrset.ttl <= 300 for rrset in answer.answer)


def test_what_is_not_there(door):
    missing, empty = ask(door.dns, f"no.{door.key.name}"), ask(door.dns, door.key.name, "MX")
    assert (missing.rcode(), empty.rcode()) == (dns.rcode.NXDOMAIN, dns.rcode.NOERROR)
    for answer in missing, empty:
        assert answer.answer == [] and answer.authority[0].rdtype == dns.rdatatype.SOA and answer.authority[0].ttl == 60
    unpublished = ask(door.dns, Key(501).name)
    assert unpublished.rcode() == dns.rcode.NXDOMAIN
    assert "nobody has published this key" in dig(door.dns, Key(501).name)


def test_name_servers_in_a_packet_are_told_and_not_asked(door):
    answer = ask(door.dns, f"x.sub.{door.key.name}")
    assert answer.rcode() == dns.rcode.NOERROR and not answer.flags & dns.flags.AA
    assert [str(rrset) for rrset in answer.authority] == [f"sub.{door.key.name}. {answer.authority[0].ttl} IN NS ns.example.com."]


@pytest.mark.parametrize("question, code", [
    (("example.com", "A"), "REFUSED"), ((".", "NS"), "REFUSED"), (("version.bind", "TXT", "CH"), "REFUSED"), (("@KEY", "A", "CH"), "REFUSED"),
    (("@KEY", "AXFR"), "NOTIMP"), (("www.key", "A"), "NXDOMAIN")])
def test_what_nobody_gets(door, question, code):
    name, *rest = question
    for tcp in False, True:
        query = dns.message.make_query(name.replace("@KEY", door.key.name), *rest, use_edns=0)
        host, port = endpoint(door.dns)
        # dnspython takes an AXFR question for the start of a transfer, so the bytes are exchanged here.
        assert dns.rcode.to_text(raw(door.dns, query.to_wire(), tcp).rcode()) == code
    assert reasons(exchange(door.dns, dns.message.make_query("example.com", "A", use_edns=0))) == [20]


def raw(address, message, tcp=False):
    """The answer to the bytes of a question."""
    if not tcp:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
            client.settimeout(PATIENCE)
            client.sendto(message, endpoint(address))
            return dns.message.from_wire(client.recv(65535))
    with socket.create_connection(endpoint(address), PATIENCE) as client:
        client.sendall(struct.pack("!H", len(message)) + message)
        return dns.message.from_wire(receive(client))


def receive(client):
    """One message of a TCP connection; empty when it has been closed."""
    data = b""
    while len(data) < 2 or len(data) < 2 + int.from_bytes(data[:2]):
        try:
            piece = client.recv(2 + int.from_bytes(data[:2]) - len(data) if len(data) >= 2 else 2 - len(data))
        except ConnectionResetError:
            piece = b""
        if not piece:
            return b""
        data += piece
    return data[2:]


def test_odd_messages(door):
    query = dns.message.make_query(door.key.name, "A").to_wire()
    assert raw(door.dns, query[:2] + b"\x28" + query[3:]).rcode() == dns.rcode.NOTIMP
    assert raw(door.dns, query[:20]).rcode() == dns.rcode.FORMERR
    assert raw(door.dns, query[:5] + b"\x02" + query[6:] + query[12:]).rcode() == dns.rcode.FORMERR
    assert exchange(door.dns, dns.message.make_query(door.key.name, "A", use_edns=1)).rcode() == dns.rcode.BADVERS


def test_an_answer_is_never_answered(door):
    query = dns.message.make_query(door.key.name, "A")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.settimeout(PATIENCE)
        for silent in (dns.message.make_response(query).to_wire(), b"", b"\0" * 11, b"x" * 5000):
            client.sendto(silent, endpoint(door.dns))
        client.sendto(query.to_wire(), endpoint(door.dns))
        # What comes first would be an answer to one of the others.
        assert dns.message.from_wire(client.recv(65535)).answer[0].ttl > 0
    with socket.create_connection(endpoint(door.dns), PATIENCE) as client:
        for message in (dns.message.make_response(query).to_wire(), query.to_wire()):
            client.sendall(struct.pack("!H", len(message)) + message)
        assert dns.message.from_wire(receive(client)).id == query.id


def test_what_does_not_fit_is_asked_for_again_over_tcp(door, new_key):
    key = new_key()
    publish(door.addresses, key, ("@", 300, "TXT", " ".join(f'"{"x" * 180}"' for _ in range(5))))
    assert ask(door.dns, key.name, "TXT", use_edns=False).flags & dns.flags.TC
    assert not ask(door.dns, key.name, "TXT").flags & dns.flags.TC
    for size in (600, 900):
        assert ask(door.dns, key.name, "TXT", payload=size).flags & dns.flags.TC
    assert len(short(door.dns, "+noedns", key.name, "TXT")) == 1
    assert "MSG SIZE" in dig(door.dns, "+noedns", "+ignore", key.name, "TXT") and "tc" in dig(door.dns, "+noedns", "+ignore", key.name, "TXT")


def test_everything_at_a_name_is_little_in_a_datagram(door):
    kinds = lambda tcp: {rrset.rdtype for rrset in ask(door.dns, door.key.name, "ANY", tcp=tcp).answer}
    assert len(kinds(False)) == 1
    assert kinds(True) == {dns.rdatatype.A, dns.rdatatype.AAAA, dns.rdatatype.HTTPS}


def test_many_queries_on_one_connection_whose_client_says_no_more(door):
    queries = [dns.message.make_query(f"{number}.wild.{door.key.name}", "A", id=number) for number in range(500)]
    stream = b"".join(struct.pack("!H", len(query.to_wire())) + query.to_wire() for query in queries)
    with socket.create_connection(endpoint(door.dns), PATIENCE) as client:
        client.sendall(stream)
        client.shutdown(socket.SHUT_WR)
        answers = [dns.message.from_wire(receive(client)) for _ in queries]
        assert receive(client) == b""
    assert {answer.id for answer in answers} == set(range(500))
    assert all(answer.answer for answer in answers)


def test_connections_are_bounded_and_broken_or_idle_ones_closed(start, door):
    own = start()
    connections = [socket.create_connection(endpoint(own.dns), PATIENCE) for _ in range(33)]
    # Accepted in order: the last is one too many for an address.
    assert receive(connections[-1]) == b""
    broken = connections[0]
    broken.sendall(b"\0\x01x")
    assert receive(broken) == b""
    # The others have not said anything, or only half of something, for long enough.
    connections[1].sendall(b"\0\x20half")
    for connection in connections[1:-1]:
        assert receive(connection) == b""
    for connection in connections:
        connection.close()
    assert ask(own.dns, "example.com", tcp=True).rcode() == dns.rcode.REFUSED


def test_a_client_that_takes_no_answers_is_given_up(door, new_key):
    key = new_key()
    publish(door.addresses, key, ("@", 300, "TXT", " ".join(f'"{"x" * 180}"' for _ in range(5))))
    message = dns.message.make_query(key.name, "TXT").to_wire()
    with socket.create_connection(endpoint(door.dns), PATIENCE) as client:
        with pytest.raises(ConnectionError):
            # More than all buffers on the way hold.
            for _ in range(1000):
                client.sendall((struct.pack("!H", len(message)) + message) * 100)
    assert ask(door.dns, key.name, "TXT").answer


def test_a_hundred_who_ask_for_one_key_cause_one_lookup(start, network, new_key):
    key, door = new_key(), start("--bootstrap", network[0]["dht"])
    publish(network[1], key, ("@", 300, "A", "192.0.2.9"))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.settimeout(PATIENCE)
        for number in range(100):
            client.sendto(dns.message.make_query(key.name, "A", id=number).to_wire(), endpoint(door.dns))
        answers = [dns.message.from_wire(client.recv(65535)) for _ in range(100)]
    assert {answer.id for answer in answers} == set(range(100))
    assert all(answer.answer[0][0].address == "192.0.2.9" for answer in answers)
    assert metrics(door)["pkarr_serve_dns_lookups_total"] == 1
    assert metrics(door)['pkarr_serve_dns_queries_total{transport="udp"}'] == 100
    assert metrics(door)['pkarr_serve_dns_answers_total{code="NOERROR"}'] == 100


def test_an_alias_to_another_key_is_looked_up(start, network, new_key):
    first, second, door = new_key(), new_key(), start("--bootstrap", network[0]["dht"])
    publish(network[1], first, ("www", 300, "CNAME", f"host.{second.name}."))
    publish(network[2], second, ("host", 300, "A", "192.0.2.10"))
    assert short(door.dns, f"www.{first.name}", "A") == ["192.0.2.10", f"host.{second.name}."]


def test_an_unreachable_network_is_a_failure_with_its_reason(start, dead_port, new_key):
    answer = ask(start("--bootstrap", dead_port).dns, new_key().name)
    assert answer.rcode() == dns.rcode.SERVFAIL and reasons(answer) == [23]


def test_an_address_above_its_limit_is_refused(start):
    door = start("--exempt", "none", "--limit-dns", "1r/m,burst=2", "--limit-lookups", "1r/m")
    codes = [(answer.rcode(), reasons(answer)) for answer in (ask(door.dns, Key(600 + number).name) for number in range(3))]
    assert codes == [(dns.rcode.NXDOMAIN, [0]), (dns.rcode.REFUSED, [18]), (dns.rcode.REFUSED, [18])]


def test_other_suffixes(start, new_key):
    door, key = start("--dns-suffix", "pk.example.org"), new_key()
    publish(door.addresses, key, ("@", 300, "A", "192.0.2.1"))
    assert short(door.dns, f"{key.name}.pk.example.org", "A") == ["192.0.2.1"]
    assert short(door.dns, key.name, "A") == ["192.0.2.1"]
    assert ask(door.dns, f"{key.name}.key").rcode() == dns.rcode.REFUSED
    assert ask(door.dns, "pk.example.org", "SOA").answer


def test_the_systems_resolver_sees_the_records(new_key):
    """getent in a network and a file system of its own, where the door is at port 53."""
    from conftest import Service

    key = new_key()
    with tempfile.NamedTemporaryFile("w") as configuration, tempfile.NamedTemporaryFile("wb") as payload:
        configuration.write("nameserver 127.0.0.1\n")
        configuration.flush()
        records = [("@", 300, "A", "192.0.2.1"), ("@", 300, "AAAA", "2001:db8::1"), ("www", 300, "CNAME", f"{key.name}.")]
        payload.write(key.payload(zone_message(key, *records), NOW))
        payload.flush()
        serve = command("pkarr-serve", "--dht-bind", "127.0.0.1:0", "--http", "127.0.0.1:0", "--dns", "127.0.0.1:53")
        # Without an address of a family, the resolver does not ask for that family's.
        script = '''ip link set lo up && ip address add 198.51.100.1/32 dev lo && ip address add 2001:db8:1::1/128 dev lo nodad &&
            mount --bind "$0" /etc/resolv.conf && exec "$@"'''
        service = Service(["unshare", "--net", "--mount", "sh", "-c", script, configuration.name, *serve])
        try:
            addresses = service.next()
            assert addresses["dns"] == ["127.0.0.1:53"]

            def inside(*arguments):
                entered = ["nsenter", "--target", str(service.process.pid), "--net", "--mount", *arguments]
                return subprocess.run(entered, capture_output=True, text=True, timeout=PATIENCE)

            put = inside("curl", "--silent", "--fail", "--upload-file", payload.name, f"{addresses['http']}/{key.name}")
            assert put.returncode == 0, put.stderr
            assert inside("getent", "ahostsv4", f"www.{key.name}").stdout.split()[0] == "192.0.2.1"
            assert inside("getent", "ahostsv6", f"{key.name}.key").stdout.split()[0] == "2001:db8::1"
            assert inside("getent", "hosts", key.name).stdout.split()[0] == "2001:db8::1"
            assert inside("getent", "hosts", f"no.{key.name}").returncode == 2
        finally:
            assert service.stop() == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_cleanly_with_queries_under_way(service, dead_port, number):
    door = service("pkarr-serve", *ANY_PORT, "--bootstrap", dead_port, "--dns-forward", dead_port)
    address = door.next()["dns"][0]
    with socket.create_connection(endpoint(address), PATIENCE) as client:
        for name in (Key(1).name, "example.com"):
            message = dns.message.make_query(name, "A").to_wire()
            client.sendall(struct.pack("!H", len(message)) + message)
        assert ask(address, "x.key").rcode() == dns.rcode.NXDOMAIN
        door.process.send_signal(number)
        assert door.process.wait(PATIENCE) == 0


def test_an_address_in_use_is_a_configuration_error(run):
    for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
        with socket.socket(socket.AF_INET, kind) as taken:
            taken.bind(("127.0.0.1", 0))
            if kind == socket.SOCK_STREAM:
                taken.listen()
            address = "127.0.0.1:%d" % taken.getsockname()[1]
            ended = run("pkarr-serve", "--dht-bind", "127.0.0.1:0", "--http", "127.0.0.1:0", "--dns", address)
        assert (ended.status, ended.out, ended.err) == (78, "", f"pkarr-serve: --dns {address}: Address already in use\n")


@pytest.mark.parametrize("arguments", [
    ["--dns", "53"], ["--dns-suffix", "key"], ["--dns-forward", "127.0.0.1:53"], ["--dns", "127.0.0.1:0", "--dns-suffix", "a..b"],
    ["--dns", "127.0.0.1:0", "--dns-forward-for", "10.0.0.0/8"], ["--dns", "127.0.0.1:5300", "--dns-forward", "127.0.0.1:5300"],
    ["--dns", "127.0.0.1:0", "--dns-forward", "127.0.0.1:0"], ["--dns", "127.0.0.1:0", "--limit-dns", "many"]])
def test_wrong_arguments(run, arguments):
    assert run("pkarr-serve", *arguments).status == 64
