"""quic-listen as a process, mostly with quic-dial at the other end."""
import os
import re
import signal
import socket
import subprocess

import pytest

from conftest import PATIENCE, command
from quic_commands import LISTENER, id_of, resident, wait_for, write_until_full


def shell(script):
    return ["sh", "-c", script]


def test_it_prints_where_it_can_be_reached(listen):
    listener = listen(program=["cat"])
    port = int(listener.address.rsplit(":", 1)[1])
    assert listener.endpoint == {"endpoint_id": id_of(LISTENER), "relay_urls": [], "addresses": [f"127.0.0.1:{port}"], "user_data": None}


def test_a_given_address_is_announced_first_and_once(service, key_file):
    listener = service("quic-listen", "--key", key_file(), "--bind", "127.0.0.1:0", "--address", "203.0.113.7:11204", "--", "cat")
    assert listener.next()["addresses"][0] == "203.0.113.7:11204"


def test_every_bound_address_is_served(listen, dial):
    listener = listen("--bind", "[::1]:0", program=["cat"])
    assert len(listener.endpoint["addresses"]) == 2
    for address in listener.endpoint["addresses"]:
        assert dial(address, input=b"hello").out == "hello"


def test_a_program_knows_the_peer_from_its_environment(listen, dial, key_file):
    listener = listen(program=["env"])
    client = LISTENER + 1
    shown = dict(line.split("=", 1) for line in dial(listener.address, "--key", key_file(client)).out.splitlines() if "=" in line)
    assert shown["PROTO"] == "QUIC"
    assert shown["QUICREMOTEKEY"] == id_of(client)
    assert shown["QUICLOCALKEY"] == id_of(LISTENER)
    assert shown["QUICREMOTEIP"] == "127.0.0.1"
    assert 0 < int(shown["QUICREMOTEPORT"]) < 65536
    assert shown["QUICALPN"] == "pubky/iroh-homeserver/0"
    assert shown["QUICPATH"] == "direct"


def test_a_program_inherits_the_rest_of_the_environment_and_none_of_anothers_peer(listen, dial):
    listener = listen(program=["env"], env={**os.environ, "FLAVOUR": "vanilla", "QUICREMOTEKEY": "forged", "PROTO": "TCP"})
    shown = dial(listener.address).out.splitlines()
    assert "FLAVOUR=vanilla" in shown
    assert not [line for line in shown if "forged" in line or line == "PROTO=TCP"]


def test_a_client_that_has_finished_still_reads_the_answer_to_the_end(listen, dial):
    # The program answers only after the client's last byte.
    listener = listen(program=shell("wc -c; yes answer | head -n 200000; echo last"))
    answer = dial(listener.address, input=b"x" * 100_000).out.splitlines()
    assert answer[0] == "100000"
    assert answer[1:] == ["answer"] * 200_000 + ["last"]


def test_an_answer_that_ends_first_does_not_end_the_question(listen, service, endpoint_file, tmp_path):
    heard = tmp_path / "heard"
    # The program closes its output at once and goes on reading.
    listener = listen(program=shell(f"echo early; exec >&-; cat > {heard}.part; mv {heard}.part {heard}"))
    dialler = subprocess.Popen(command("quic-dial", "--endpoint", endpoint_file(listener.address), "--stdio"),
                               stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    try:
        # The program speaks first. To the answer's end: what follows is said after that direction is over.
        assert dialler.stdout.readline() == b"early\n"
        dialler.stdin.write(b"late" * 100_000)
        dialler.stdin.close()
        assert dialler.wait(PATIENCE) == 0
    finally:
        dialler.kill()
        dialler.stdout.close()
    wait_for(heard.exists)
    assert heard.read_bytes() == b"late" * 100_000


def test_a_program_that_cannot_be_run_refuses_the_stream(listen, dial):
    listener = listen(program=["/nonexistent/program"])
    done = dial(listener.address, input=b"hello")
    assert (done.status, done.out) == (69, "")
    assert "broke off the stream with code 2" in done.err


def test_a_client_with_another_alpn_is_refused(listen, dial):
    listener = listen("--alpn", "one/1", "--alpn", "two/2", program=shell("echo $QUICALPN"))
    assert dial(listener.address, "--alpn", "two/2").out == "two/2\n"
    done = dial(listener.address, "--alpn", "three/3")
    assert done.status == 69
    assert "no common ALPN" in done.err


def test_a_client_proves_its_address_when_every_client_has_to(listen, dial):
    listener = listen("--retry-threshold", "0", program=["cat"])
    assert dial(listener.address, input=b"hello").out == "hello"


@pytest.fixture
def stranger(listen):
    """Sends a listener one datagram and gives its answers until the listener has served somebody else after it."""
    listener = listen(program=["cat"])
    host, port = listener.address.rsplit(":", 1)

    def answers(datagram, dial):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            sender.connect((host, int(port)))
            sender.send(datagram)
            assert dial(listener.address, input=b"hello").out == "hello"
            sender.setblocking(False)
            received = []
            try:
                while True:
                    received.append(sender.recv(2000))
            except BlockingIOError:
                return received
    return answers


LONG_HEADER_OF_AN_UNKNOWN_VERSION = b"\xc0\xfa\xfa\xfa\xfa" + b"\x08destined" + b"\x06source"


@pytest.mark.parametrize("datagram", [
    b"", b"\x00", b"\x40", bytes(21), b"\x40" + bytes(20), b"\xc0\x00\x00\x00\x01" + bytes(1195), b"\xff" * 1472,
    # A version is only negotiated with somebody who has sent as much as an Initial (RFC 9000, 6.1 and 14.1).
    LONG_HEADER_OF_AN_UNKNOWN_VERSION.ljust(1199, b"\x00"),
], ids=lambda datagram: f"{datagram[:5].hex()}-{len(datagram)}")
def test_packets_that_are_no_quic_are_not_answered(stranger, dial, datagram):
    assert stranger(datagram, dial) == []


def test_a_packet_of_a_forgotten_connection_is_answered_by_a_shorter_reset(stranger, dial):
    [reset] = stranger(b"\x40" + bytes(range(1, 200)), dial)
    assert reset[0] & 0xc0 == 0x40 and 21 <= len(reset) <= 43


def test_an_unknown_version_is_answered_by_those_that_are_spoken(stranger, dial):
    [answer] = stranger(LONG_HEADER_OF_AN_UNKNOWN_VERSION.ljust(1200, b"\x00"), dial)
    assert answer[0] & 0x80 and answer[1:5] == bytes(4)
    assert answer[5:].startswith(b"\x06source\x08destined") and (1).to_bytes(4) in answer[20:]


@pytest.mark.parametrize("name", ["quic-listen", "quic-dial"])
def test_what_the_quic_library_gives_up_by_is_ours_so_that_it_ends_a_connection_and_not_the_process(name):
    # Else a client that has proved its key could end it: see Sources/CQUIC/guard.c. The unit tests show the rest.
    environment = {**os.environ, "LD_BIND_NOW": "1", "LD_DEBUG": "bindings"}
    bindings = subprocess.run(command(name, "--help"), env=environment, capture_output=True, text=True, timeout=PATIENCE).stderr
    for symbol in ("abort", "__assert_fail"):
        assert re.search(rf"/libngtcp2\.so\S* \[0\] to \S*{name} \[0\]: normal symbol `{symbol}'", bindings)


def test_sigterm_ends_it_with_code_0_and_the_peer_hears_so(listen, service, endpoint_file):
    listener = listen(program=["cat"])
    dialler = subprocess.Popen(command("quic-dial", "--endpoint", endpoint_file(listener.address), "--stdio"),
                               stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    dialler.stdin.write(b"hello")
    dialler.stdin.flush()
    assert dialler.stdout.read(5) == b"hello"
    assert listener.stop() == 0
    assert listener.process.stderr.read() == b""
    _, error = dialler.communicate(timeout=PATIENCE)
    assert dialler.returncode == 69
    assert b"closed by the peer with code 0: shutting down" in error


def test_programs_end_with_their_connection(listen, endpoint_file, tmp_path):
    ended = tmp_path / "ended"
    listener = listen(program=shell(f"cat; touch {ended}"))
    dialler = subprocess.Popen(command("quic-dial", "--endpoint", endpoint_file(listener.address), "--stdio"),
                               stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    dialler.stdin.write(b"hello")
    dialler.stdin.flush()
    assert dialler.stdout.read(5) == b"hello"
    dialler.send_signal(signal.SIGTERM)
    assert dialler.wait(PATIENCE) == 0
    dialler.stdin.close()
    dialler.stdout.close()
    wait_for(ended.exists)


def test_memory_stays_bounded_while_a_program_does_not_read(listen, endpoint_file, tmp_path):
    ready = tmp_path / "fifo"
    os.mkfifo(ready)
    listener = listen(program=shell(f"cat {ready}; cat | wc -c"))
    dialler = subprocess.Popen(command("quic-dial", "--endpoint", endpoint_file(listener.address), "--stdio"),
                               stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    before = resident(listener.process.pid), resident(dialler.pid)
    written = write_until_full(dialler.stdin.fileno())
    # A stream's window, what the sender keeps for it, and the pipes: nothing near what would come without back-pressure.
    assert 1 << 16 < written < 24 << 20
    assert resident(listener.process.pid) - before[0] < 32 << 20
    assert resident(dialler.pid) - before[1] < 32 << 20
    # And it goes on where it stopped.
    ready.write_text("")
    os.set_blocking(dialler.stdin.fileno(), True)
    dialler.stdin.write(b"x" * (32 << 20))
    dialler.stdin.close()
    assert int(dialler.stdout.read()) == written + (32 << 20)
    assert dialler.wait(PATIENCE) == 0
    dialler.stdout.close()


def test_streams_are_refused_while_there_is_no_bridge_and_served_when_it_comes(listen, service, dial, echo, tmp_path):
    path = tmp_path / "bridge.sock"
    listener = listen("--bridge", path)
    assert dial(listener.address, input=b"hello").status == 69
    service("tunnel-bridge", "serve", "--socket", path, "--to", echo).next()

    def is_served():
        return dial(listener.address, input=b"hello").out == "hello"

    wait_for(is_served)


# How it fails

@pytest.mark.parametrize("arguments", [
    ["--bind", "127.0.0.1:0"],
    ["--bridge", "socket", "--", "cat"],
    ["--bind", "localhost", "--", "cat"],
    ["--bind", "127.0.0.1:99999", "--", "cat"],
    ["--alpn", "", "--", "cat"],
    ["--alpn", "x" * 256, "--", "cat"],
    ["--retry-threshold", "-1", "--", "cat"],
    ["--retry-threshold", "some", "--", "cat"],
    ["--no-such-option", "--", "cat"],
])
def test_wrong_usage_ends_with_code_64(run, key_file, arguments):
    done = run("quic-listen", "--key", key_file(), *arguments)
    assert (done.status, done.out) == (64, "")
    assert done.err.startswith("quic-listen: ") or "Error:" in done.err


def test_a_key_is_demanded(run):
    assert run("quic-listen", "--", "cat").status == 64


def test_a_key_file_that_others_can_read_ends_it_with_code_77(run, key_file):
    path = key_file()
    path.chmod(0o644)
    done = run("quic-listen", "--key", path, "--", "cat")
    assert (done.status, done.out) == (77, "")
    assert f"chmod 600 {path}" in done.err


def test_a_missing_key_file_ends_it_with_code_78(run, tmp_path):
    done = run("quic-listen", "--key", tmp_path / "none", "--", "cat")
    assert (done.status, done.out) == (78, "")
    assert "does not exist" in done.err and "--generate-key" in done.err


def test_a_file_that_holds_no_key_ends_it_with_code_78(run, key_file):
    path = key_file()
    path.write_text("not a key")
    assert run("quic-listen", "--key", path, "--", "cat").status == 78


def test_an_address_in_use_ends_it_with_code_78(run, listen, key_file):
    listener = listen(program=["cat"])
    done = run("quic-listen", "--key", key_file(), "--bind", listener.address, "--", "cat")
    assert (done.status, done.out) == (78, "")
    assert listener.address in done.err and "in use" in done.err.lower()


def test_an_address_that_is_not_ours_ends_it_with_code_78(run, key_file):
    done = run("quic-listen", "--key", key_file(), "--bind", "192.0.2.1:0", "--", "cat")
    assert done.status == 78
    assert "192.0.2.1" in done.err


def test_a_bridge_path_too_long_for_a_socket_ends_it_with_code_78(run, key_file):
    done = run("quic-listen", "--key", key_file(), "--bind", "127.0.0.1:0", "--bridge", "/tmp/" + "x" * 200)
    assert (done.status, done.out) == (78, "")
    assert "too long" in done.err


def test_a_closed_standard_output_ends_it(key_file):
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run(command("quic-listen", "--key", key_file(), "--bind", "127.0.0.1:0", "--", "cat"),
                          stdout=writing, stderr=subprocess.PIPE, timeout=PATIENCE)
    os.close(writing)
    assert done.returncode == 0
    assert done.stderr == b""
