"""What the commands are to a service manager: told and watched (sd_notify), given sockets and credentials, and read in its journal."""
import contextlib
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from conftest import BIN, PATIENCE, ROOT, Service, command
from quic_commands import LISTENER, id_of


class Manager:
    """What a service manager hears, and the environment in which it is told."""

    def __init__(self, path):
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.settimeout(PATIENCE)
        self.socket.bind(str(path))
        self.env = {**os.environ, "NOTIFY_SOCKET": str(path), "WATCHDOG_USEC": "300000"}

    def hear(self, start):
        """The next message that begins so."""
        while not (heard := self.socket.recv(1000)).startswith(start):
            pass
        return heard.decode()

    def silence(self):
        """Nothing for three times as long as it wants to hear something; what was said before is heard first."""
        self.socket.settimeout(0.9)
        with pytest.raises(TimeoutError):
            while True:
                self.socket.recv(1000)
        self.socket.settimeout(PATIENCE)


@pytest.fixture
def manager(tmp_path):
    manager = Manager(tmp_path / "notify")
    yield manager
    manager.socket.close()


def test_it_hears_where_the_listener_can_be_reached_and_that_it_goes_on(listen, manager):
    one = listen("--no-port-map", program=["cat"], env=manager.env)
    assert manager.hear(b"READY=1") == f"READY=1\nSTATUS={id_of(LISTENER)} at {one.address}"
    for _ in range(3):
        assert manager.hear(b"WATCHDOG=1") == "WATCHDOG=1"


def test_it_does_not_hear_of_one_that_hangs(listen, manager):
    one = listen("--no-port-map", program=["cat"], env=manager.env)
    manager.hear(b"WATCHDOG=1")
    one.process.send_signal(signal.SIGSTOP)
    manager.silence()
    one.process.send_signal(signal.SIGCONT)
    manager.hear(b"WATCHDOG=1")


def test_one_that_waits_for_somebody_else_is_not_told(listen, manager):
    listen("--no-port-map", program=["cat"], env={**manager.env, "WATCHDOG_PID": "1"})
    assert manager.hear(b"").startswith("READY=1")
    manager.silence()


def test_a_program_that_the_listener_starts_is_no_part_of_the_service(listen, dial, manager):
    one = listen("--no-port-map", program=["sh", "-c", 'echo "${NOTIFY_SOCKET-none} ${WATCHDOG_USEC-none}"'], env=manager.env)
    assert dial(one.address).out == "none none\n"


def test_sockets_that_it_has_opened_are_used_and_stay_over_a_restart(key_file, dial):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as free:
        free.bind(("127.0.0.1", 0))
        address = "127.0.0.1:%d" % free.getsockname()[1]
    one = Service([sys.executable, str(ROOT / "Tests" / "service_manager.py"), f"quic=udp:{address}", "--",
                   *command("quic-listen", "--key", key_file(), "--no-port-map", "--", "cat")])
    try:
        first = one.next()
        assert first["addresses"] == [address]
        assert dial(address, input=b"hello").out == "hello"
        one.process.send_signal(signal.SIGHUP)
        assert one.next() == first
        assert dial(address, input=b"again").out == "again"
    finally:
        assert one.stop() == 0


@pytest.mark.parametrize("mode, folder, status", [
    (0o400, "credentials", 0), (0o440, "credentials", 0), (0o440, "elsewhere", 77), (0o444, "credentials", 77), (0o460, "credentials", 77)])
def test_a_credential_may_be_readable_by_what_looks_like_a_group(run, tmp_path, mode, folder, status):
    (tmp_path / "credentials").mkdir()
    (tmp_path / "credentials" / "secret").write_text(f"{5:064x}")
    (tmp_path / "credentials" / "secret").chmod(mode)
    done = run("pkarr-build", "--key", tmp_path / "credentials" / "secret", input=b'{"records":[]}\n', env={"CREDENTIALS_DIRECTORY": str(tmp_path / folder)})
    assert done.status == status


def journal(path, *words):
    """What a command writes to a file that is its journal, or is said to be."""
    with open(path, "wb") as log:
        status = os.fstat(log.fileno())
        stream = f"{status.st_dev}:{status.st_ino}"
        subprocess.run(words, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=log, timeout=PATIENCE, env={**os.environ, "JOURNAL_STREAM": stream})
        here = path.read_text()
        subprocess.run(words, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=log, timeout=PATIENCE, env={**os.environ, "JOURNAL_STREAM": stream + "1"})
    return here, path.read_text()[len(here):]


def test_each_line_in_the_journal_has_its_priority_and_nowhere_else(tmp_path):
    here, elsewhere = journal(tmp_path / "log", *command("pkarr-build", "--key", tmp_path / "missing"))
    name = "pkarr-build"
    assert [line.split()[0] for line in here.splitlines()] == [f"<3>{name}:", f"<3>{name}:"]
    assert here.replace("<3>", "") == elsewhere
    here, elsewhere = journal(tmp_path / "log", str(ROOT / "examples" / "homeserver-gateway"), "missing")
    assert here == "<3>" + elsewhere and elsewhere.startswith("homeserver-gateway: missing: no such")


def test_the_gateway_lets_nobody_but_its_listener_speak(manager, network, key_file, tmp_path):
    config = tmp_path / "gateway.conf"
    config.write_text(f"key={key_file()}\ntarget=127.0.0.1:9\nbind=127.0.0.1:0\nport-map=no\nstate={tmp_path}/state\n"
                      f"bootstrap={network[0]['dht']}\nrelays=no\nhandout=127.0.0.1:0\n")
    (tmp_path / "run").mkdir()
    env = {**manager.env, "PATH": f"{BIN}:{os.environ['PATH']}", "XDG_RUNTIME_DIR": str(tmp_path / "run")}
    # As the main process of a unit, which the time for the watchdog is meant for.
    one = Service(["sh", "-c", 'export WATCHDOG_PID=$$; exec "$0" "$1"', str(ROOT / "examples" / "homeserver-gateway"), str(config)], env=env,
                  stdin=subprocess.DEVNULL)
    try:
        assert manager.hear(b"READY=1").startswith(f"READY=1\nSTATUS={id_of(LISTENER)} at 127.0.0.1:")
        one.next()
        assert_alone_fed_by(manager, one, "quic-listen")
    finally:
        assert one.stop() == 0
        one.process.stderr.close()


def test_the_proxy_is_ready_when_it_listens_and_its_bridge_alone_speaks(manager, network, tmp_path):
    config = tmp_path / "proxy.conf"
    config.write_text(f"listen=127.0.0.1:0\nbootstrap={network[0]['dht']}\nrelays=no\n")
    (tmp_path / "run").mkdir()
    env = {**manager.env, "PATH": f"{BIN}:{os.environ['PATH']}", "XDG_RUNTIME_DIR": str(tmp_path / "run")}
    one = Service(["sh", "-c", 'export WATCHDOG_PID=$$; exec "$0" "$1"', str(ROOT / "examples" / "pubky-proxy"), str(config)], env=env,
                  stdin=subprocess.DEVNULL)
    try:
        assert manager.hear(b"READY=1") == "READY=1"
        assert_alone_fed_by(manager, one, "tunnel-bridge")
    finally:
        assert one.stop() == 0
        one.process.stderr.close()


def assert_alone_fed_by(manager, script, name):
    """The watchdog hears of the script as long as that command of it lives, and of no other."""
    [process] = [child for child in children(script.process.pid) if name_of(child) == name]
    os.kill(process, signal.SIGSTOP)
    manager.silence()
    os.kill(process, signal.SIGCONT)
    manager.hear(b"WATCHDOG=1")


def children(process):
    return [int(child) for child in Path(f"/proc/{process}/task/{process}/children").read_text().split()]


def name_of(process):
    """What it runs; nothing for one that has ended meanwhile, such as a script's small helper."""
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):
        return Path(f"/proc/{process}/cmdline").read_text().split("\0")[0]
