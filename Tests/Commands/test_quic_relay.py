"""quic-relay as a process: its pages, TLS, access, limits, signals, and clients that mean it no good."""
import os
import signal
import socket
import ssl
import subprocess
import sys
import threading

import pytest

from conftest import BIN, PATIENCE, ROOT, Service, command
from packets import Key
from relay_client import AUTH, CHALLENGE, CONFIRMED, DENIED, GONE, PING, PONG, RESTARTING, RelayClient
from relay_service import alive, connect, get, make_certificate, metrics, relay  # noqa: F401, some are fixtures


# What it is for

def test_two_clients_exchange_datagrams_and_hear_when_the_other_goes(relay, connect):
    running = relay()
    first, second = connect(running.http, 1), connect(running.http, 2)
    for size in (1, 1200, 60_000):
        content = os.urandom(size)
        first.datagram(second.key.bytes, content)
        assert second.received() == (first.key.bytes, content)
    second.send(PING, b"12345678")
    assert second.frame() == (PONG, b"12345678")
    first.close()
    assert second.frame() == (GONE, first.key.bytes)
    figures = metrics(running)
    assert (figures["quic_relay_clients"], figures["quic_relay_frames_relayed_total"]) == (1, 3)


def test_the_pages(relay):
    running = relay()
    assert get(running.http, "/ping")[1]["Access-Control-Allow-Origin"] == "*"
    assert get(running.http, "/generate_204", {"X-Iroh-Challenge": "ts_a"})[1]["X-Iroh-Response"] == "response ts_a"
    assert get(running.http, "/healthz")[2].startswith('{"status":"ok"')
    assert get(running.http, "/")[0] == 200
    assert get(running.http, "/elsewhere")[0] == 404


def test_metrics_are_shown_to_exempt_addresses_only(relay):
    assert get(relay("--exempt", "none").http, "/metrics")[0] == 403


# TLS

def test_a_client_proves_its_key_over_tls_without_being_asked(relay, connect, tmp_path):
    running = relay("--https", "127.0.0.1:0", *make_certificate(tmp_path))
    first = connect(running.https, 1, secure=True, proof=True)
    second = connect(running.https, 2, secure=True)
    assert (first.was_asked, second.was_asked) == (False, True)
    content = os.urandom(60_000)
    first.datagram(second.key.bytes, content)
    assert second.received() == (first.key.bytes, content)
    second.datagram(first.key.bytes, content)
    assert first.received() == (second.key.bytes, content)


def test_a_frame_may_come_in_records_and_a_record_in_segments(relay, connect, tmp_path):
    running = relay("--https", "127.0.0.1:0", *make_certificate(tmp_path))
    client, other = connect(running.https, 1, secure=True), connect(running.https, 2, secure=True)
    client.socket.plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    ping = bytes([0x82, 0x89]) + bytes(4) + bytes([PING]) + b"12345678"
    records = []
    for part in (ping[:5], ping[5:]):
        client.socket.tls.sendall(part)
        records.append(client.socket.tls.bio_read(1 << 16))
    for piece in (records[0], records[1][:3], records[1][3:20], records[1][20:]):
        client.socket.plain.sendall(piece)
        # When the relay has answered somebody else it has read this.
        other.send(PING, b"87654321")
        assert other.frame() == (PONG, b"87654321")
    assert client.frame() == (PONG, b"12345678")


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_pages_over_tls_tell_browsers_to_come_back_with_tls(relay, tmp_path, version):
    running = relay("--https", "127.0.0.1:0", *make_certificate(tmp_path))
    tls = ssl.create_default_context(cafile=tmp_path / "cert.pem")
    tls.check_hostname = False
    tls.minimum_version = tls.maximum_version = version
    status, headers, _ = get(running.https, "/ping", tls=tls)
    assert status == 200 and "max-age" in headers["Strict-Transport-Security"]


def test_a_proof_from_another_tls_connection_has_to_be_given_again(relay, connect, tmp_path):
    running = relay("--https", "127.0.0.1:0", *make_certificate(tmp_path))
    honest = connect(running.https, 1, secure=True)
    stolen = honest.proof()
    thief = connect(running.https, secure=True)
    thief.upgrade(fields=[f"X-Iroh-Relay-Client-Auth-V1: {stolen}"])
    assert thief.frame()[0] == CHALLENGE


def test_sighup_takes_a_new_certificate_and_leaves_connections_alone(relay, connect, tmp_path):
    running = relay("--https", "127.0.0.1:0", *make_certificate(tmp_path, "old.test"))
    first = connect(running.https, 1, secure=True)
    assert "old.test" in str(first.socket.certificate().subject)
    make_certificate(tmp_path, "new.test")
    running.process.send_signal(signal.SIGHUP)
    assert b"read again" in running.process.stderr.readline()
    second = connect(running.https, 2, secure=True)
    assert "new.test" in str(second.socket.certificate().subject)
    first.datagram(second.key.bytes, b"still here")
    assert second.received()[1] == b"still here"
    (tmp_path / "cert.pem").write_text("nonsense")
    running.process.send_signal(signal.SIGHUP)
    assert b"goes on with what it had" in running.process.stderr.readline()
    assert "new.test" in str(connect(running.https, 3, secure=True).socket.certificate().subject)


@pytest.mark.parametrize("spoil, status, words", [
    (lambda folder: (folder / "key.pem").chmod(0o644), 77, "can be read by others"),
    (lambda folder: (folder / "cert.pem").unlink(), 78, "No such file"),
    (lambda folder: (folder / "key.pem").write_text("x"), 78, "both are PEM"),
])
def test_a_certificate_that_can_t_be_used_is_named(run, tmp_path, spoil, status, words):
    options = make_certificate(tmp_path)
    spoil(tmp_path)
    done = run("quic-relay", "--https", "127.0.0.1:0", *options)
    assert (done.status, done.out) == (status, "")
    assert words in done.err and str(tmp_path) in done.err


# Access

@pytest.fixture
def access(tmp_path):
    path = tmp_path / "access"

    def access(text, mode=0o600):
        path.write_text(text)
        path.chmod(mode)
        return path

    return access


def test_only_those_on_the_list_or_with_a_token_are_let_in(relay, connect, access):
    running = relay("--access", access(f"{Key(1).name}  # a friend\ndeny {Key(2).name}\ntoken open\n"))
    assert connect(running.http, 1).denial is None
    assert "denied" in connect(running.http, 2, token="open").denial
    assert connect(running.http, 3, token="open").denial is None
    assert "token is not valid" in connect(running.http, 4, token="shut").denial
    stranger = connect(running.http, 5)
    assert "asks for a token" in stranger.denial
    assert stranger.closing() == 1008
    assert connect(running.http, 6, target="/relay?token=open").denial is None
    line = running.process.stderr.readline().decode()
    assert line == f"quic-relay: denied to {Key(2).name} from 127.0.0.1: not authorized: this key is denied\n"


def test_sighup_reads_the_list_again_and_sends_away_who_is_not_on_it(relay, connect, access):
    running = relay("--access", access(f"{Key(1).name}\n{Key(2).name}\n"))
    first, second = connect(running.http, 1), connect(running.http, 2)
    access(f"{Key(2).name}\n")
    running.process.send_signal(signal.SIGHUP)
    assert first.closing() == 1008
    second.send(PING, b"12345678")
    assert second.frame() == (PONG, b"12345678")


@pytest.mark.parametrize("text, mode, status, words", [
    ("token open\n", 0o644, 77, "holds tokens and can be read by others"),
    ("one\ntwo words\n", 0o600, 78, "line 1: not a key: one"),
    ("deny\n", 0o600, 78, "line 1: not a key: deny"),
])
def test_an_access_list_that_can_t_be_used_is_named(run, access, text, mode, status, words):
    done = run("quic-relay", "--http", "127.0.0.1:0", "--access", access(text, mode))
    assert (done.status, done.out) == (status, "")
    assert words in done.err


# Clients that mean it no good

HOSTILE = {
    "nothing": b"",
    "half a request": b"GET /relay HTTP/1.1\r\nHo",
    "no HTTP": bytes(range(256)) * 40,
    "an endless head": b"GET / HTTP/1.1\r\n" + b"a: b\r\n" * 4000,
    "a TLS hello": bytes.fromhex("1603010200010001fc0303") + bytes(600),
}


@pytest.mark.parametrize("what", HOSTILE)
def test_a_client_that_speaks_something_else_disturbs_nobody(relay, connect, what):
    running = relay()
    bystander = connect(running.http, 3)
    rude = connect(running.http)
    rude.socket.sendall(HOSTILE[what])
    rude.close()
    bystander.send(PING, b"12345678")
    assert bystander.frame() == (PONG, b"12345678")
    assert alive(running, connect)


@pytest.mark.parametrize("message, status", [
    (b"", 1002), (b"\x04short", 1002), (bytes([4]) + bytes(70_000), 1009), (b"\x63", 1002), (b"\x06" + bytes(50), 1002), (b"\x09", 1002),
], ids=["empty", "truncated", "oversized", "unknown", "a relay's", "short ping"])
def test_a_frame_that_no_client_sends_ends_its_connection_only(relay, connect, message, status):
    running = relay()
    rude, bystander = connect(running.http, 1), connect(running.http, 2)
    rude.message(message)
    assert rude.closing() == status
    bystander.send(PING, b"12345678")
    assert bystander.frame() == (PONG, b"12345678")


def test_an_empty_datagram_does_not_reach_the_receiver(relay, connect):
    running = relay()
    rude, receiver = connect(running.http, 1), connect(running.http, 2)
    rude.datagram(receiver.key.bytes, b"")
    rude.datagram(receiver.key.bytes, b"next")
    assert receiver.received()[1] == b"next"


def test_an_answer_recorded_from_another_connection_is_refused(relay, connect):
    running = relay()
    honest = connect(running.http)
    honest.upgrade()
    key = Key(1)
    answer = key.bytes + b"\x40" + key.secret.sign(RelayClient.digest(honest.frame()[1]))
    honest.send(AUTH, answer)
    assert honest.frame()[0] == CONFIRMED
    thief = connect(running.http)
    thief.upgrade()
    thief.frame()
    thief.send(AUTH, answer)
    assert thief.frame() == (DENIED, b"\x11signature invalid")
    assert thief.closing() == 1008


def test_a_client_that_does_not_read_is_sent_away_and_holds_up_nobody(relay, connect):
    running = relay()
    sender, lazy, reader = (connect(running.http, key) for key in (1, 2, 3))
    content = bytes(60_000)
    # More than the kernel's buffers and the relay's queue hold, until the relay has had enough.
    while metrics(running)["quic_relay_clients"] == 3:
        for _ in range(50):
            sender.datagram(lazy.key.bytes, content)
        sender.datagram(reader.key.bytes, b"hello")
        assert reader.received() == (sender.key.bytes, b"hello")
    figures = metrics(running)
    assert figures["quic_relay_frames_dropped_totalfull"] > 0
    assert figures["quic_relay_queued_bytes"] == 0


def test_a_client_sends_as_fast_as_its_rate_allows(relay, connect):
    running = relay("--client-rate", "2M")
    sender, receiver = connect(running.http, 1), connect(running.http, 2)
    content = bytes(50_000)
    sending = threading.Thread(target=lambda: [sender.datagram(receiver.key.bytes, content) for _ in range(80)])
    sending.start()
    for _ in range(80):
        receiver.received()
    sending.join()
    figures = metrics(running)
    # 4 MB: two seconds but the burst of a tenth of one.
    assert figures["quic_relay_pauses_total"] >= 10


# Starting and ending

def test_sigterm_tells_clients_to_come_back_and_ends(relay, connect):
    running = relay()
    client = connect(running.http, 1)
    connect(running.http)
    running.process.terminate()
    kind, body = client.frame()
    assert (kind, len(body)) == (RESTARTING, 8)
    assert client.closing() == 1001
    client.close()
    assert running.process.wait(PATIENCE) == 0


ACTIVATED = """
import os, socket, sys
listener = socket.socket(fileno=int(sys.argv[1]))
os.dup2(listener.fileno(), 3)
os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS="1", LISTEN_FDNAMES=sys.argv[2])
os.execv(sys.argv[3], sys.argv[3:])
"""


def activated(listener, name, *arguments):
    program = [sys.executable, "-c", ACTIVATED, str(listener.fileno()), name, *command("quic-relay", *arguments)]
    return Service(program, pass_fds=[listener.fileno()])


def test_with_a_socket_of_the_service_manager_a_restart_refuses_nobody(connect):
    listener = socket.create_server(("127.0.0.1", 0))
    address = "127.0.0.1:%d" % listener.getsockname()[1]
    first = activated(listener, "http")
    try:
        assert first.next() == {"http": [f"http://{address}"]}
        client = connect(address, 1)
        first.process.terminate()
        assert client.closing() == 1001
        client.close()
        assert first.process.wait(PATIENCE) == 0
        # Nobody is there, and still it is no refusal: the connection waits for the next one.
        early = connect(address)
        second = activated(listener, "http")
        second.next()
        early.upgrade()
        assert early.frame()[0] == CHALLENGE
        second.stop()
    finally:
        listener.close()
        for one in (first, second):
            for pipe in (one.process.stdin, one.process.stdout, one.process.stderr):
                pipe.close()


def test_a_socket_with_a_name_that_says_nothing_is_refused():
    listener = socket.create_server(("127.0.0.1", 0))
    one = activated(listener, "web")
    listener.close()
    out, err = one.process.communicate(timeout=PATIENCE)
    assert (one.process.returncode, out) == (78, b"") and b"FileDescriptorName=" in err


@pytest.mark.parametrize("arguments, words", [
    (["--https", "127.0.0.1:0"], "needs --certificate"), (["--certificate", "x"], "go together"), (["--client-rate", "1"], "client-rate"),
    (["--connections", "0"], "of no use"), (["--http", "localhost:80"], "--http"),
])
def test_called_wrongly_it_says_how(run, arguments, words):
    done = run("quic-relay", *arguments)
    assert (done.status, done.out) == (64, "") and words in done.err


def test_an_address_that_is_taken_is_named(run):
    taken = socket.create_server(("127.0.0.1", 0))
    address = "127.0.0.1:%d" % taken.getsockname()[1]
    done = run("quic-relay", "--http", address)
    taken.close()
    assert done.status == 78 and f"--http {address}: Address already in use" in done.err


def test_more_connections_than_files_are_refused_at_the_start(run):
    done = run("quic-relay", "--http", "127.0.0.1:0", "--connections", 4_000_000_000)
    assert done.status == 78 and "limit of open files" in done.err


def test_the_units_are_correct(tmp_path):
    for unit in (ROOT / "systemd").glob("quic-relay*"):
        # The checker looks for the program where it is.
        (tmp_path / unit.name).write_text(unit.read_text().replace("/usr/local/bin/quic-relay", str(BIN / "quic-relay")))
    checked = subprocess.run(["systemd-analyze", "verify", "--man=no", *sorted(tmp_path.iterdir())], capture_output=True, text=True)
    assert (checked.returncode, checked.stderr) == (0, "")


# STUN

def test_a_stun_client_is_told_its_address(relay):
    running = relay("--stun", "127.0.0.1:0")
    host, port = running.stun.split(":")
    asking = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    asking.settimeout(PATIENCE)
    asking.sendto(b"no STUN", (host, int(port)))
    transaction = os.urandom(12)
    asking.sendto(bytes.fromhex("000100002112a442") + transaction, (host, int(port)))
    answer = asking.recv(1000)
    assert answer[:20] == bytes.fromhex("0101000c2112a442") + transaction
    told_port = int.from_bytes(answer[26:28]) ^ 0x2112
    assert (answer[20:26], told_port) == (bytes.fromhex("002000080001"), asking.getsockname()[1])
    assert bytes(a ^ b for a, b in zip(answer[28:32], bytes.fromhex("2112a442"))) == bytes([127, 0, 0, 1])
    asking.close()
    assert metrics(running)["quic_relay_stun_answers_total"] == 1
