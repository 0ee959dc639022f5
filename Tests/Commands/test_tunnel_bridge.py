"""tunnel-bridge as a process, with a stand-in for quic-listen and quic-dial."""
import os
import random
import re
import resource
import signal
import socket
import stat
import subprocess

import pytest

from conftest import PATIENCE, ROOT, command
from handover import Dial, Listen, descriptors_of

ALICE = "df9sse9bp1nuftim3yhxiuk6w6r5hddsskjygpydux7esxjstioo"
BOB = "8pinxxgqs41n4aididenw5apqp1urfmzdztr8jt4abrkdn435ewo"


@pytest.fixture
def path(tmp_path):
    return tmp_path / "bridge.sock"


@pytest.fixture
def serve(service, path):
    def serve(target, *options, **popen):
        bridge = service("tunnel-bridge", "serve", "--socket", path, "--to", target, *options, **popen)
        assert bridge.next() == {"socket": str(path)}
        return bridge

    return serve


@pytest.fixture
def connect(service, path):
    def connect(*options, listen="127.0.0.1:0", **popen):
        bridge = service("tunnel-bridge", "connect", "--socket", path, "--listen", listen, *options, **popen)
        host, port = bridge.next()["listening"].rsplit(":", 1)
        return bridge, (host.strip("[]"), int(port))

    return connect


def client(address):
    return socket.create_connection(address, PATIENCE)


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]


def is_reset(connection):
    """Whether the connection ends by a reset, the clear sign of failure, and not as if it were done."""
    try:
        return connection.recv(1) is None
    except ConnectionResetError:
        return True


def talks(connection, text=b"hello"):
    connection.settimeout(PATIENCE)
    connection.sendall(text)
    connection.shutdown(socket.SHUT_WR)
    answer = b""
    while data := connection.recv(65536):
        answer += data
    return answer == text


# serve

def test_the_socket_is_private_and_removed_at_the_end(serve, echo, path):
    bridge = serve(echo)
    assert stat.S_IMODE(os.stat(path).st_mode) == 0o600
    assert bridge.stop() == 0
    assert not path.exists()
    assert bridge.process.stderr.read() == b""


def test_a_stream_gets_a_connection_to_the_target(serve, echo, path):
    serve(echo)
    answer, connection = Listen(path).open(5, ALICE, remote="192.0.2.1:7")
    assert answer == {"id": 5, "ok": True}
    assert talks(connection)


def test_many_requests_at_once_get_connections_of_their_own_and_nothing_is_left_open(serve, echo, path):
    bridge = serve(echo)
    listen = Listen(path)
    listen.open(10_000, ALICE)
    before = descriptors_of(bridge.process, path)
    for number in range(300):
        listen.request(number, ALICE)
    connections = {}
    for _ in range(300):
        answer, connection = listen.receive()
        assert answer["ok"]
        connections[answer["id"]] = connection
    assert sorted(connections) == list(range(300))
    assert len({connection.getsockname() for connection in connections.values()}) == 300
    for number, connection in connections.items():
        assert talks(connection, b"%d" % number)
    assert descriptors_of(bridge.process, path) == before


def test_connections_live_on_when_the_bridge_ends(serve, echo, path):
    bridge = serve(echo)
    _, connection = Listen(path).open(1, ALICE)
    assert bridge.stop() == 0
    assert talks(connection)


def test_only_keys_on_the_access_list_are_let_in(serve, echo, path, tmp_path):
    access = tmp_path / "access"
    access.write_text(f"# friends\n\n{ALICE}  # alice\n")
    bridge = serve(echo, "--access", access)
    listen = Listen(path)
    assert listen.open(1, BOB) == ({"id": 1, "error": "access denied"}, None)
    assert listen.open(2, None) == ({"id": 2, "error": "access denied"}, None)
    assert listen.open(3, BOB) == ({"id": 3, "error": "access denied"}, None)
    answer, connection = listen.open(4, ALICE)
    assert answer["ok"] and talks(connection)
    bridge.stop()
    # Once for each peer: a stubborn one can't fill the log.
    assert bridge.process.stderr.read().decode().splitlines() == [
        f"tunnel-bridge: access denied to {BOB}", "tunnel-bridge: access denied to a peer without a key"]


def test_an_empty_access_list_lets_nobody_in(serve, echo, path, tmp_path):
    (tmp_path / "access").write_text("")
    serve(echo, "--access", tmp_path / "access")
    assert Listen(path).open(1, ALICE)[0]["error"] == "access denied"


@pytest.mark.parametrize("text, expected", [
    (f"{ALICE}\n\nbob\n", 'line 3: "bob" is no key'),
    (f"{ALICE} {BOB}\n", f'line 1: "{BOB}" is no NAME=VALUE'),
    (f"{ALICE} maxstreams=none\n", 'line 1: maxstreams: "none" is no number'),
    ("\x1b[2J\n", 'line 1: "\\u{1b}[2J" is no key'),
])
def test_a_wrong_access_list_is_a_configuration_error_with_its_line(run, path, tmp_path, text, expected):
    (tmp_path / "access").write_text(text)
    result = run("tunnel-bridge", "serve", "--socket", path, "--to", "127.0.0.1:1", "--access", tmp_path / "access")
    assert result.status == 78
    assert expected in result.err
    assert not path.exists()


def test_a_key_gets_the_target_that_its_line_permits(service, echo, path, tmp_path):
    (tmp_path / "access").write_text(f'{ALICE} permitopen="{echo}"\n{BOB}\n')
    bridge = service("tunnel-bridge", "serve", "--socket", path, "--access", tmp_path / "access")
    assert bridge.next() == {"socket": str(path)}
    listen = Listen(path)
    answer, connection = listen.open(1, ALICE)
    assert answer["ok"] and talks(connection)
    assert listen.open(2, BOB)[0]["error"] == "there is no target for this protocol"


def test_each_protocol_has_its_target(service, echo, path):
    closed = free_port()
    bridge = service("tunnel-bridge", "serve", "--socket", path, "--to", f"127.0.0.1:{closed}", "--to", f"echo/1={echo}")
    assert bridge.next() == {"socket": str(path)}
    listen = Listen(path)
    listen.request(1, ALICE, alpn="echo/1")
    answer, connection = listen.receive()
    assert answer["ok"] and talks(connection)
    assert f"127.0.0.1:{closed}" in listen.open(2, ALICE)[0]["error"]


def test_streams_at_once_are_limited_until_they_are_over(serve, echo, path, tmp_path):
    (tmp_path / "access").write_text(f"{ALICE} maxstreams=2\n")
    serve(echo, "--access", tmp_path / "access")
    listen = Listen(path)
    assert all(listen.open(number, ALICE)[0]["ok"] for number in range(2))
    assert listen.open(2, ALICE)[0]["error"] == "2 streams at once are permitted"
    listen.send({"ended": {"id": 0, "bytes": 10}})
    assert listen.open(3, ALICE)[0]["ok"]
    assert "error" in listen.open(4, ALICE)[0]
    # Whatever a command that has gone had open is over.
    listen.close()
    assert Listen(path).open(5, ALICE)[0]["ok"]


def test_bytes_are_limited_by_what_a_stream_may_carry(serve, echo, path, tmp_path):
    (tmp_path / "access").write_text(f"{ALICE} maxbytes=1K\n")
    serve(echo, "--access", tmp_path / "access")
    listen = Listen(path)
    assert listen.open(0, ALICE)[0] == {"id": 0, "ok": True, "bytes": 1024}
    listen.send({"ended": {"id": 0, "bytes": 1000}})
    assert listen.open(1, ALICE)[0] == {"id": 1, "ok": True, "bytes": 24}
    listen.send({"ended": {"id": 1, "bytes": 24}})
    assert listen.open(2, ALICE)[0]["error"] == "the 1024 bytes of a day are used up"


@pytest.mark.parametrize("how", ["written", "replaced", "signal"])
def test_an_access_list_that_has_changed_is_read_again(serve, echo, path, tmp_path, how):
    access = tmp_path / "access"
    access.write_text(f"{ALICE}\n")
    bridge = serve(echo, "--access", access)
    listen = Listen(path)
    assert listen.open(0, BOB)[0]["error"] == "access denied"
    if how == "replaced":
        (tmp_path / "new").write_text(f"{BOB}\n")
        (tmp_path / "new").rename(access)
    else:
        access.write_text(f"{BOB}\n")
    if how == "signal":
        bridge.process.send_signal(signal.SIGHUP)
    number = 1
    while "error" in listen.open(number, BOB)[0]:
        number += 1
    assert listen.open(number + 1, ALICE)[0]["error"] == "access denied"


def test_a_change_that_is_wrong_leaves_the_list_as_it_was(serve, echo, path, tmp_path):
    access = tmp_path / "access"
    access.write_text(f"{ALICE}\n")
    bridge = serve(echo, "--access", access)
    access.write_text("nobody\n")
    while b"the former list stays" not in (line := bridge.process.stderr.readline()):
        pass
    assert b'line 1: "nobody" is no key' in line
    assert Listen(path).open(1, ALICE)[0]["ok"]


def test_the_homeservers_admin_port_is_not_for_everybody(run, path):
    result = run("tunnel-bridge", "serve", "--socket", path, "--to", "127.0.0.1:6288")
    assert result.status == 64
    assert "admin port" in result.err and "permitopen" in result.err


def test_a_target_on_this_machine_sees_us_come_from_another_address_than_its_own_users(serve, path):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        serve(f"127.0.0.1:{listener.getsockname()[1]}")
        answer, _ = Listen(path).open(1, ALICE)
        assert answer["ok"]
        listener.settimeout(PATIENCE)
        assert listener.accept()[1][0] == "127.0.0.2"


def test_a_server_learns_who_comes_by_the_proxy_protocol(serve, path):
    """haproxy.org, proxy-protocol.txt, 2.2."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        serve(f"127.0.0.1:{port}", "--proxy-protocol")
        listener.settimeout(PATIENCE)
        listen = Listen(path)
        for number, (way, family, addresses) in enumerate([
                ({"path": "direct", "remote": "192.0.2.1:4433"}, 0x11, socket.inet_aton("192.0.2.1") + socket.inet_aton("127.0.0.1")
                 + (4433).to_bytes(2, "big") + port.to_bytes(2, "big")),
                ({"path": "direct", "remote": "[2001:db8::1]:1"}, 0x21, socket.inet_pton(socket.AF_INET6, "2001:db8::1") + bytes(16)
                 + (1).to_bytes(2, "big") + bytes(2)),
                ({"path": "relay", "remote": "https://relay.example/"}, 0x00, b"")]):
            assert listen.open(number, ALICE, **way)[0]["ok"]
            expected = addresses + b"\xe0" + (52).to_bytes(2, "big") + ALICE.encode()
            header = b"\r\n\r\n\0\r\nQUIT\n" + bytes([0x21, family]) + len(expected).to_bytes(2, "big") + expected
            with listener.accept()[0] as server:
                server.settimeout(PATIENCE)
                assert server.recv(len(header), socket.MSG_WAITALL) == header


def test_a_missing_access_list_is_a_configuration_error_rather_than_open_to_all(run, path, tmp_path):
    result = run("tunnel-bridge", "serve", "--socket", path, "--to", "127.0.0.1:1", "--access", tmp_path / "none")
    assert result.status == 78
    assert "No such file" in result.err


def test_a_target_that_refuses_is_an_error_until_it_is_there(serve, path):
    port = free_port()
    bridge = serve(f"127.0.0.1:{port}")
    listen = Listen(path)
    for number in range(2):
        answer, connection = listen.open(number, ALICE)
        assert answer == {"id": number, "error": f"can't connect to 127.0.0.1:{port}: Connection refused"}
        assert connection is None
    with socket.create_server(("127.0.0.1", port)):
        assert listen.open(2, ALICE)[0]["ok"]
    bridge.stop()
    assert bridge.process.stderr.read().decode().splitlines() == [
        f"tunnel-bridge: can't connect to 127.0.0.1:{port}: Connection refused",
        f"tunnel-bridge: connected to 127.0.0.1:{port} again"]


def test_a_target_may_be_a_name(serve, echo, path):
    serve(echo.replace("127.0.0.1", "localhost"))
    answer, connection = Listen(path).open(1, ALICE)
    assert answer["ok"] and talks(connection)


@pytest.mark.parametrize("garbage", [
    b"GET / HTTP/1.1\r\n\r\n", b"\0\0\0\0\n", b'{"open":{"id":"x"}}\n', b'{"open":{"id":1,"peer":"nobody"}}\n', b"[" * 70000,
    b'{"open":{"id":1,"data":"%s"}}\n' % (b"A" * 60000),
])
def test_garbage_ends_its_channel_and_no_other(serve, echo, path, garbage):
    bridge = serve(echo)
    good, bad = Listen(path), Listen(path)
    try:
        bad.send(garbage)
    except BrokenPipeError:
        pass  # It did not even read to the end.
    assert bad.is_closed()
    assert good.open(1, ALICE)[0]["ok"]
    assert Listen(path).open(1, ALICE)[0]["ok"]
    bridge.stop()
    assert b"bad message" in bridge.process.stderr.read()


def test_messages_and_fields_of_later_versions_are_passed_over(serve, echo, path):
    serve(echo)
    listen = Listen(path)
    listen.send({"hello": "world"})
    assert listen.open(1, ALICE, colour="blue")[0]["ok"]


def test_requests_cut_and_joined_anywhere_are_understood(serve, echo, path):
    serve(echo)
    listen = Listen(path)
    text = b"".join(b'{"open":{"id":%d,"peer":"%s"}}\n' % (number, ALICE.encode()) for number in range(20))
    chance = random.Random(1)
    while text:
        count = chance.randrange(1, 100)
        listen.send(text[:count])
        text = text[count:]
    assert sorted(listen.receive()[0]["id"] for _ in range(20)) == list(range(20))


def test_descriptors_that_nobody_asked_for_are_closed(serve, echo, path):
    bridge = serve(echo)
    listen = Listen(path)
    listen.open(1, ALICE)
    before = descriptors_of(bridge.process, path)
    reading, writing = os.pipe()
    for count in (1, 2, 8, 20):
        listen.send({"open": {"id": count, "peer": ALICE}}, *[writing] * count)
        assert listen.receive()[0]["ok"]
    listen.send(b'{"later":', writing)
    listen.send(b'1}\n', writing)
    assert listen.open(30, ALICE)[0]["ok"]
    os.close(writing)
    assert os.read(reading, 1) == b""
    assert descriptors_of(bridge.process, path) == before


def test_running_out_of_descriptors_fails_streams_but_not_the_bridge(serve, echo, path):
    process = serve(echo).process
    listen = Listen(path)
    assert listen.open(0, ALICE)[0]["ok"]
    descriptors_of(process, path)
    taken = {int(name) for name in os.listdir(f"/proc/{process.pid}/fd")}
    soft, hard = resource.prlimit(process.pid, resource.RLIMIT_NOFILE)
    resource.prlimit(process.pid, resource.RLIMIT_NOFILE, (next(number for number in range(soft) if number not in taken), hard))
    for number in (1, 2):
        assert "Too many open files" in listen.open(number, ALICE)[0]["error"]
    resource.prlimit(process.pid, resource.RLIMIT_NOFILE, (soft, hard))
    answer, connection = listen.open(3, ALICE)
    assert answer["ok"] and talks(connection)


def test_a_listener_that_vanishes_takes_nothing_along(serve, echo, path):
    bridge = serve(echo)
    listen = Listen(path)
    listen.open(0, ALICE)
    before = descriptors_of(bridge.process, path)
    for _ in range(10):
        vanishing = Listen(path)
        for number in range(50):
            vanishing.request(number, ALICE)
        vanishing.close()
    assert listen.open(1, ALICE)[0]["ok"]
    assert descriptors_of(bridge.process, path) == before
    assert bridge.process.poll() is None


def test_a_socket_file_left_by_a_killed_bridge_is_taken_over(serve, echo, path):
    bridge = serve(echo)
    bridge.process.kill()
    bridge.process.wait()
    assert path.exists()
    serve(echo)
    assert Listen(path).open(1, ALICE)[0]["ok"]


def test_of_two_bridges_on_one_path_the_second_gives_up(serve, run, echo, path):
    serve(echo)
    result = run("tunnel-bridge", "serve", "--socket", path, "--to", echo)
    assert result.status == 78
    assert "in use" in result.err
    assert Listen(path).open(1, ALICE)[0]["ok"]


def test_a_file_that_is_no_socket_is_left_alone(run, path):
    path.write_text("precious")
    result = run("tunnel-bridge", "serve", "--socket", path, "--to", "127.0.0.1:1")
    assert result.status == 78
    assert path.read_text() == "precious"


@pytest.mark.parametrize("socket_path, expected", [
    ("missing/bridge.sock", "its folder does not exist"), ("x" * 120, "longer than"),
])
def test_an_impossible_socket_path_is_a_configuration_error(run, tmp_path, socket_path, expected):
    result = run("tunnel-bridge", "serve", "--socket", socket_path, "--to", "127.0.0.1:1", cwd=tmp_path)
    assert result.status == 78
    assert expected in result.err


@pytest.mark.parametrize("arguments", [
    ["serve"], ["serve", "--socket", "s"], ["serve", "--socket", "s", "--to", "nowhere"], ["serve", "--socket", "s", "--to", "host:0"],
    ["connect", "--socket", "s"], ["connect", "--socket", "s", "--listen", "127.0.0.1"],
    ["connect", "--socket", "s", "--listen", "127.0.0.1:0", "--peer", "bob"], ["listen"],
])
def test_a_wrong_call_is_a_usage_error(run, tmp_path, arguments):
    result = run("tunnel-bridge", *arguments, cwd=tmp_path)
    assert result.status == 64
    assert result.out == ""
    assert result.err


# connect

def test_a_connection_is_handed_over_with_the_peer_and_the_bridge_lets_go_of_it(connect, path):
    bridge, address = connect("--peer", f"pk:{ALICE}")
    dial = Dial(path)
    before = descriptors_of(bridge.process, path)
    one = client(address)
    request, connection = dial.receive()
    assert request == {"open": {"id": 0, "peer": ALICE}}
    assert connection.getpeername() == one.getsockname()
    dial.accept(0)
    one.sendall(b"question")
    one.shutdown(socket.SHUT_WR)
    assert connection.recv(100) == b"question"
    assert connection.recv(100) == b""
    connection.sendall(b"answer")
    connection.close()
    assert one.recv(100) == b"answer"
    # The end only comes when nobody else holds the connection.
    assert one.recv(100) == b""
    assert descriptors_of(bridge.process, path) == before


def test_without_a_peer_the_choice_is_the_diallers(connect, path):
    _, address = connect()
    dial = Dial(path)
    keep = client(address)
    assert dial.receive()[0] == {"open": {"id": 0, "peer": None}}
    keep.close()


def test_many_connections_at_once_answered_in_any_order(connect, path):
    _, address = connect()
    dial = Dial(path)
    clients = [client(address) for _ in range(200)]
    requests = []
    for _ in clients:
        request, connection = dial.receive()
        requests.append((request["open"]["id"], connection))
    random.Random(1).shuffle(requests)
    for number, connection in requests:
        if number % 2:
            dial.refuse(number, "odd")
        else:
            connection.sendall(b"%d" % number)
            dial.accept(number)
        connection.close()
    texts = []
    for one in clients:
        try:
            texts.append(int(one.recv(100)))
        except ConnectionResetError:
            pass
    assert sorted(texts) == list(range(0, 200, 2))


def test_a_failed_dial_resets_the_client_and_says_why(connect, path):
    bridge, address = connect()
    dial = Dial(path)
    one = client(address)
    name = "%s:%d" % one.getsockname()
    request, connection = dial.receive()
    connection.close()
    dial.refuse(request["open"]["id"], "the peer proved to be \x1b[31msomebody else")
    assert is_reset(one)
    bridge.stop()
    assert bridge.process.stderr.read().decode() == (
        f"tunnel-bridge: {name}: no stream: the peer proved to be \\u{{1b}}[31msomebody else\n")


def test_clients_of_a_dialler_that_vanishes_are_reset_and_the_next_dialler_serves(connect, path):
    _, address = connect()
    dial = Dial(path)
    one = client(address)
    _, connection = dial.receive()
    connection.close()
    dial.close()
    assert is_reset(one)
    two = client(address)
    dial = Dial(path)
    request, connection = dial.receive()
    dial.accept(request["open"]["id"])
    connection.sendall(b"x")
    assert two.recv(1) == b"x"


def test_clients_that_come_before_the_dialler_wait_for_it(connect, path):
    _, address = connect()
    clients = [client(address) for _ in range(10)]
    for one in clients:
        one.sendall(b"early")
    dial = Dial(path)
    for number in range(10):
        request, connection = dial.receive()
        assert request["open"]["id"] == number
        assert connection.recv(5) == b"early"
        dial.accept(number)


def test_more_waiting_clients_than_are_held_are_reset(connect, path):
    bridge, address = connect()
    clients = [client(address) for _ in range(256)]
    for _ in range(3):
        with pytest.raises(ConnectionResetError):  # while connecting or after
            client(address).recv(1)
    bridge.stop()
    assert all(is_reset(one) for one in clients)
    assert b"wait for quic-dial already" in bridge.process.stderr.read()


def test_new_connections_go_to_the_newest_dialler(connect, path):
    _, address = connect()
    old = Dial(path)
    first = client(address)
    request, connection = old.receive()
    connection.close()
    new = Dial(path)
    assert new.is_known()
    # The old one still answers what it was asked.
    second = client(address)
    assert new.receive()[0]["open"]["peer"] is None
    old.refuse(request["open"]["id"], "leaving")
    assert is_reset(first)
    second.close()


def test_a_dialler_with_garbage_is_cut_off(connect, path):
    bridge, address = connect()
    dial = Dial(path)
    dial.send(b"nonsense\n")
    assert dial.is_closed()
    bridge.stop()
    assert b"bad message" in bridge.process.stderr.read()


def test_a_listener_at_the_wrong_bridge_is_told(connect, path):
    connect()
    assert "right bridge" in Listen(path).open(1, ALICE)[0]["error"]


def test_connecting_survives_running_out_of_descriptors(connect, path):
    _, address = connect(preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (20, 20)))
    dial = Dial(path)
    clients = [client(address) for _ in range(40)]
    for one in clients:
        one.sendall(b"x")
    for _ in clients:
        request, connection = dial.receive()
        assert connection.recv(1) == b"x"
        dial.accept(request["open"]["id"])


def test_an_address_in_use_is_a_configuration_error(connect, run, path, tmp_path):
    _, (host, port) = connect()
    result = run("tunnel-bridge", "connect", "--socket", tmp_path / "other.sock", "--listen", f"{host}:{port}")
    assert result.status == 78
    assert f"can't listen at {host}:{port}: Address already in use" in result.err
    assert not (tmp_path / "other.sock").exists()


def test_listening_on_ipv6_and_on_a_name(connect):
    bridge, address = connect(listen="[::1]:0")
    client(address).close()
    bridge.stop()
    _, address = connect(listen="localhost:0")
    client(address).close()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_cleanly(connect, path, number):
    bridge, address = connect()
    waiting = client(address)
    bridge.process.send_signal(number)
    assert bridge.process.wait(PATIENCE) == 0
    assert is_reset(waiting)
    assert not path.exists()


def test_a_closed_standard_output_ends_it_cleanly(path):
    reading, writing = os.pipe()
    os.close(reading)
    result = subprocess.run(
        command("tunnel-bridge", "connect", "--socket", path, "--listen", "127.0.0.1:0"), stdout=writing, stderr=subprocess.PIPE,
        timeout=PATIENCE)
    os.close(writing)
    assert (result.returncode, result.stderr) == (0, b"")
    assert not path.exists()


# the protocol's page

def test_the_example_of_keyhole_handover_serves_a_stream(tmp_path, echo, path):
    page = (ROOT / "man" / "keyhole-handover.7").read_text()
    example = re.search(r"\.Bd -literal -offset indent\n(import json.*?)\n\.Ed", page, re.DOTALL)[1].replace("\\e", "\\")
    # A line when it listens, so that nobody has to guess.
    example = example.replace("6286", echo.split(":")[1]).replace('"gate.sock"', repr(str(path))).replace(
        "bridge.listen()", "bridge.listen(); print(flush=True)")
    process = subprocess.Popen(["python3", "-c", example], stdout=subprocess.PIPE)
    try:
        process.stdout.readline()
        listen = Listen(path)
        for number in range(3):
            answer, connection = listen.open(number, ALICE)
            assert answer == {"id": number, "ok": True}
            assert talks(connection)
    finally:
        process.kill()
        process.wait()
        process.stdout.close()
