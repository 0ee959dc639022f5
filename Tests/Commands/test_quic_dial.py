"""quic-dial as a process, with quic-listen at the other end."""
import concurrent.futures
import os
import socket
import subprocess
import time

import pytest

from conftest import PATIENCE, command, lines
from packets import Key
from quic_commands import LISTENER, ask, id_of, resident, wait_for, write_until_full


def shell(script):
    return ["sh", "-c", script]


@pytest.fixture
def stdio(endpoint_file):
    """stdio(address…) -> a running quic-dial --stdio with pipes at both ends"""
    started = []

    def stdio(*addresses, key=LISTENER):
        started.append(subprocess.Popen(
            command("quic-dial", "--endpoint", endpoint_file(*addresses, key=key), "--stdio"),
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE))
        return started[-1]

    yield stdio
    for one in started:
        one.kill()
        one.wait()
        for pipe in (one.stdin, one.stdout, one.stderr):
            pipe.close()


@pytest.fixture
def silent():
    """A UDP address where nobody answers."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as hole:
        hole.bind(("127.0.0.1", 0))
        yield "127.0.0.1:%d" % hole.getsockname()[1]


def test_a_pipe_to_the_peer_and_back(listen, dial):
    data = os.urandom(3 << 20)
    done = dial(listen(program=["cat"]).address, input=data)
    assert (done.status, done.bytes == data) == (0, True)
    assert "connected to" in done.err


def test_the_side_that_is_dialled_may_speak_first(listen, stdio):
    dialler = stdio(listen(program=shell("echo welcome; cat")).address)
    assert dialler.stdout.readline() == b"welcome\n"


def test_an_answer_is_read_to_its_end_after_the_question_is_over(listen, stdio):
    dialler = stdio(listen(program=shell("cat > /dev/null; echo done")).address)
    dialler.stdin.close()
    assert dialler.stdout.read() == b"done\n"
    assert dialler.wait(PATIENCE) == 0


def test_the_question_goes_on_after_the_answer_is_over(listen, stdio, tmp_path):
    heard = tmp_path / "heard"
    dialler = stdio(listen(program=shell(f"exec >&-; cat > {heard}.part; mv {heard}.part {heard}")).address)
    dialler.stdin.write(b"more")
    dialler.stdin.close()
    assert dialler.wait(PATIENCE) == 0
    wait_for(heard.exists)
    assert heard.read_bytes() == b"more"


def test_a_file_is_standard_input_and_output_too(listen, endpoint_file, tmp_path):
    question, answer = tmp_path / "question", tmp_path / "answer"
    question.write_bytes(os.urandom(1 << 20))
    with open(question, "rb") as source, open(answer, "wb") as sink:
        done = subprocess.run(
            command("quic-dial", "--endpoint", endpoint_file(listen(program=["cat"]).address), "--stdio"),
            stdin=source, stdout=sink, stderr=subprocess.PIPE, timeout=PATIENCE)
    assert done.returncode == 0, done.stderr
    assert answer.read_bytes() == question.read_bytes()


def test_memory_stays_bounded_while_our_reader_does_not_read(listen, stdio):
    # 64 MiB would come without back-pressure.
    listener = listen(program=shell("head -c 67108864 /dev/zero"))
    before = resident(listener.process.pid)
    dialler = stdio(listener.address)
    dialler.stdin.close()
    assert dialler.stdout.read(1) == b"\0"
    # Until nothing moves any more.
    last, present = -1, resident(dialler.pid)
    while present != last:
        time.sleep(0.5)
        last, present = present, resident(dialler.pid)
    assert present < 48 << 20
    assert resident(listener.process.pid) - before < 32 << 20
    assert len(dialler.stdout.read()) == (64 << 20) - 1
    assert dialler.wait(PATIENCE) == 0


def test_the_peer_stops_when_our_reader_has_gone(listen, endpoint_file, tmp_path):
    ended = tmp_path / "ended"
    address = listen(program=shell(f"yes; touch {ended}")).address
    dialler = subprocess.Popen(command("quic-dial", "--endpoint", endpoint_file(address), "--stdio"),
                               stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert dialler.stdout.read(2) == b"y\n"
    dialler.stdout.close()
    assert dialler.wait(PATIENCE) == 0
    dialler.stderr.close()
    wait_for(ended.exists)


# A program at our end

@pytest.mark.parametrize("status", [0, 1, 3, 255])
def test_a_programs_exit_code_is_ours(listen, dial, status):
    done = dial(listen(program=["cat"]).address, "--", *shell(f"echo hello; read answer; test $answer = hello && exit {status}"))
    assert done.status == status


def test_a_program_that_a_signal_ends_gives_128_and_its_number(listen, dial):
    assert dial(listen(program=["cat"]).address, "--", *shell("kill -TERM $$")).status == 128 + 15


def test_a_program_knows_the_peer_from_its_environment(listen, dial, tmp_path):
    shown = tmp_path / "environment"
    address = listen(program=["cat"]).address
    assert dial(address, "--", *shell(f"env > {shown}")).status == 0
    variables = dict(line.split("=", 1) for line in shown.read_text().splitlines() if "=" in line)
    assert variables["PROTO"] == "QUIC"
    assert variables["QUICREMOTEKEY"] == id_of(LISTENER)
    assert variables["QUICREMOTEIP"] + ":" + variables["QUICREMOTEPORT"] == address
    assert variables["QUICALPN"] == "pubky/iroh-homeserver/0"


def test_what_a_program_wrote_last_arrives_though_it_has_ended(listen, dial, tmp_path):
    heard = tmp_path / "heard"
    listener = listen(program=shell(f"cat > {heard}.part; mv {heard}.part {heard}"))
    assert dial(listener.address, "--", *shell("head -c 5000000 /dev/zero")).status == 0
    wait_for(heard.exists)
    assert heard.stat().st_size == 5_000_000


def test_a_program_that_cannot_be_run_ends_it_with_code_78(listen, dial):
    done = dial(listen(program=["cat"]).address, "--", "/nonexistent/program")
    assert done.status == 78
    assert "/nonexistent/program" in done.err


# Many streams on one connection

def test_2000_streams_one_after_the_other(listen_for, echo, tunnel):
    address = tunnel(listen_for(echo).address)
    for number in range(2000):
        assert ask(address, b"%d" % number, PATIENCE) == b"%d" % number
    # One line: one connection.
    tunnel.dialler.stop()
    assert len(tunnel.dialler.process.stdout.read().splitlines()) == 1


def test_100_streams_at_once(listen_for, echo, tunnel):
    address = tunnel(listen_for(echo).address)
    questions = [os.urandom(100_000) for _ in range(100)]
    with concurrent.futures.ThreadPoolExecutor(100) as pool:
        assert list(pool.map(lambda data: ask(address, data, PATIENCE), questions)) == questions
    tunnel.dialler.stop()
    assert len(tunnel.dialler.process.stdout.read().splitlines()) == 1


def test_more_streams_at_once_than_the_peer_allows_all_get_their_turn(listen_for, echo, tunnel):
    address = tunnel(listen_for(echo).address)
    assert ask(address, b"the dialler is there", PATIENCE)
    connections = [socket.create_connection(address, PATIENCE) for _ in range(300)]
    # All are open before the first ends.
    for number, connection in enumerate(connections):
        connection.sendall(b"%d" % number)
    for number, connection in enumerate(connections):
        connection.shutdown(socket.SHUT_WR)
        answer = b""
        while piece := connection.recv(100):
            answer += piece
        connection.close()
        assert answer == b"%d" % number


def test_a_stalled_stream_does_not_hold_up_the_others(listen_for, tunnel):
    with socket.create_server(("127.0.0.1", 0), backlog=16) as server:
        server.settimeout(PATIENCE)
        address = tunnel(listen_for("127.0.0.1:%d" % server.getsockname()[1]).address)
        stalled = socket.create_connection(address, PATIENCE)
        theirs, _ = server.accept()
        assert write_until_full(stalled.fileno()) < 64 << 20

        def another():
            with socket.create_connection(address, PATIENCE) as other:
                other.sendall(b"hello")
                end, _ = server.accept()
                end.settimeout(PATIENCE)
                assert end.recv(5) == b"hello"
                end.close()
                assert other.recv(1) == b""

        for _ in range(3):
            another()
        stalled.close()
        theirs.close()
        # Nor does its end, in the middle of everything, end any other.
        for _ in range(3):
            another()


# Finding the way

def test_a_stream_line_tells_the_way_taken(listen, service, endpoint_file, tmp_path):
    address = listen(program=["cat"]).address
    bridge_path = tmp_path / "connect.sock"
    bridge = service("tunnel-bridge", "connect", "--socket", bridge_path, "--listen", "127.0.0.1:0")
    host, port = bridge.next()["listening"].rsplit(":", 1)
    dialler = service("quic-dial", "--endpoint", endpoint_file(address), "--bridge", bridge_path)
    assert ask((host, int(port)), b"hello", PATIENCE) == b"hello"
    line = dialler.next()
    assert (line["peer"], line["path"], line["remote"], line["failed"]) == (id_of(LISTENER), "direct", address, [])
    assert 0 < line["rtt_ms"] < 60_000
    assert dialler.stop() == 0


def test_a_dead_address_costs_only_its_head_start(listen, dial, silent):
    listener = listen(program=["cat"])
    started = time.monotonic()
    done = dial([silent, listener.address], input=b"hello")
    assert (done.status, done.out) == (0, "hello")
    # The time-out of ten seconds is never waited for.
    assert time.monotonic() - started < 8


def test_ipv6_and_ipv4(listen, dial):
    for bind in ("127.0.0.1:0", "[::1]:0"):
        assert dial(listen(program=["cat"], bind=bind).address, input=b"hello").out == "hello"


def test_a_listener_that_is_started_again_is_reached_again_within_a_second_however_it_ended(listen, listen_for, echo, tunnel, tmp_path):
    running = listen_for(echo)
    address = tunnel(running.address)
    assert ask(address, b"one", PATIENCE) == b"one"
    for _ in range(3):
        # Nobody is told: the next process answers packets of the old connection with a reset that is believed, for it has the same key.
        running.process.kill()
        running.process.wait()
        started = time.monotonic()
        running = listen("--bridge", tmp_path / "serve.sock", bind=running.address)
        # A stream that meets the reset is lost with its connection; the one after it finds a new one.
        wait_for(lambda: answers(address, b"two"))
        # Nothing here waits for a time-out; the rest is a machine that is busy.
        assert time.monotonic() - started < 3
    lines_printed = [tunnel.dialler.next() for _ in range(4)]
    assert [line["remote"] for line in lines_printed] == [running.address] * 4


def answers(address, data):
    try:
        return ask(address, data, 10) == data
    except OSError:
        return False


def test_later_endpoint_lines_replace_earlier_ones(listen, service, silent, tmp_path):
    listener = listen(program=["cat"])
    path = tmp_path / "connect.sock"
    bridge = service("tunnel-bridge", "connect", "--socket", path, "--listen", "127.0.0.1:0")
    host, port = bridge.next()["listening"].rsplit(":", 1)
    dialler = service("quic-dial", "--bridge", path, "--timeout", "1s")

    def tell(*addresses):
        dialler.process.stdin.write(lines({**listener.endpoint, "addresses": addresses}))
        dialler.process.stdin.flush()

    tell(silent)
    wait_for(lambda: not answers((host, int(port)), b"hello"))
    tell(listener.address)
    wait_for(lambda: answers((host, int(port)), b"hello"))
    assert dialler.stop() == 0


# How it fails

def test_another_key_ends_it_with_code_76_and_the_program_is_never_run(listen, dial, tmp_path):
    witness = tmp_path / "was-run"
    listener = listen(program=["touch", witness])
    done = dial(listener.address, key=LISTENER + 1, input=b"a secret")
    assert (done.status, done.out) == (76, "")
    assert id_of(LISTENER + 1) in done.err and listener.address in done.err
    # Whatever came has been dealt with when the next client is served.
    assert dial(listener.address).status == 0
    assert witness.exists()
    witness.unlink()


def test_another_key_is_not_passed_over_for_the_next_address(listen, dial, silent):
    wrong = listen(program=["cat"], key=LISTENER + 2)
    right = listen(program=["cat"])
    assert dial([wrong.address, right.address]).status == 76


def test_nobody_there_ends_it_with_code_69_in_time(dial, silent):
    started = time.monotonic()
    done = dial(silent, "--timeout", "1s", input=b"hello")
    assert (done.status, done.out) == (69, "")
    assert silent in done.err and "no answer" in done.err
    assert 1 <= time.monotonic() - started < 8


def test_an_endpoint_without_addresses_ends_it_with_code_69(run, endpoint_file):
    done = run("quic-dial", "--endpoint", endpoint_file(), "--stdio")
    assert done.status == 69
    assert "no address" in done.err


@pytest.mark.parametrize("content", [
    "", "\n", "not json\n", "[]\n", "{}\n", '{"endpoint_id": "short", "addresses": []}\n', '{"endpoint_id": 7, "addresses": []}\n',
    '{"endpoint_id": "' + Key(LISTENER).name + '", "addresses": ["127.0.0.1"]}\n',
    '{"endpoint_id": "' + Key(LISTENER).name + '", "addresses": ["localhost:80"]}\n',
    '{"endpoint_id": "' + Key(LISTENER).name + '", "addresses": "127.0.0.1:80"}\n',
])
@pytest.mark.parametrize("how", [["--stdio"], ["--", "true"]])
def test_a_bad_endpoint_file_ends_it_with_code_65(run, tmp_path, content, how):
    path = tmp_path / "endpoint"
    path.write_text(content)
    done = run("quic-dial", "--endpoint", path, *how)
    assert (done.status, done.out) == (65, "")
    assert done.err.startswith("quic-dial: ")


def test_a_bad_line_is_told_about_and_the_next_one_counts(listen, service, tmp_path):
    listener = listen(program=["cat"])
    path = tmp_path / "connect.sock"
    bridge = service("tunnel-bridge", "connect", "--socket", path, "--listen", "127.0.0.1:0")
    host, port = bridge.next()["listening"].rsplit(":", 1)
    dialler = service("quic-dial", "--bridge", path)
    dialler.process.stdin.write(lines("nonsense", listener.endpoint))
    dialler.process.stdin.close()
    wait_for(lambda: answers((host, int(port)), b"hello"))
    assert dialler.stop() == 0
    assert b"standard input, line 1" in dialler.process.stderr.read()


def test_a_missing_endpoint_file_ends_it_with_code_78(run, tmp_path):
    done = run("quic-dial", "--endpoint", tmp_path / "none", "--stdio")
    assert done.status == 78
    assert str(tmp_path / "none") in done.err


@pytest.mark.parametrize("arguments", [
    [], ["--stdio"], ["--stdio", "--bridge", "socket"], ["--bridge", "socket", "--", "cat"], ["--alpn", "", "--bridge", "socket"],
    ["--alpn", "x" * 256, "--bridge", "socket"], ["--timeout", "soon", "--bridge", "socket"], ["--no-such-option", "--bridge", "socket"],
])
def test_wrong_usage_ends_with_code_64(run, arguments):
    done = run("quic-dial", *arguments)
    assert (done.status, done.out) == (64, "")


def test_key_files_are_read_with_care(run, key_file, endpoint_file, tmp_path):
    path = key_file()
    path.chmod(0o640)
    assert run("quic-dial", "--key", path, "--endpoint", endpoint_file(), "--stdio").status == 77
    assert run("quic-dial", "--key", tmp_path / "none", "--endpoint", endpoint_file(), "--stdio").status == 78


def test_a_bridge_path_that_can_never_be_a_socket_ends_it_with_code_78(run, endpoint_file):
    done = run("quic-dial", "--endpoint", endpoint_file("127.0.0.1:1"), "--bridge", "/tmp/" + "x" * 200)
    assert done.status == 78
    assert "too long" in done.err


def test_a_peer_that_ends_the_connection_ends_a_pipe_with_code_69(listen, stdio):
    listener = listen(program=["cat"])
    dialler = stdio(listener.address)
    dialler.stdin.write(b"hello")
    dialler.stdin.flush()
    assert dialler.stdout.read(5) == b"hello"
    listener.stop()
    assert dialler.wait(PATIENCE) == 69


def test_sigterm_ends_it_with_code_0_and_the_peer_hears_so(listen, stdio, tmp_path):
    listener = listen("-v", program=["cat"])
    dialler = stdio(listener.address)
    dialler.stdin.write(b"hello")
    dialler.stdin.flush()
    assert dialler.stdout.read(5) == b"hello"
    dialler.terminate()
    assert dialler.wait(PATIENCE) == 0
    log = iter(listener.process.stderr.readline, b"")
    assert any(b"ended: closed by the peer with code 0" in line for line in log)


def test_streams_go_on_when_nobody_reads_the_stream_lines(listen_for, echo, endpoint_file, service, tmp_path):
    path = tmp_path / "connect.sock"
    bridge = service("tunnel-bridge", "connect", "--socket", path, "--listen", "127.0.0.1:0")
    host, port = bridge.next()["listening"].rsplit(":", 1)
    dialler = service("quic-dial", "--endpoint", endpoint_file(listen_for(echo).address), "--bridge", path)
    dialler.process.stdout.close()
    wait_for(lambda: answers((host, int(port)), b"hello"))
    assert answers((host, int(port)), b"again")
    assert dialler.stop() == 0
