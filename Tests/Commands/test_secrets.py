"""A secret is read from its file, and is nowhere else: not among arguments, in an environment, in what is printed, or in a core file."""
import base64
import json
import os
import resource
import signal
import socket
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest

from conftest import BIN, COMMANDS, Service, command, lines
from packets import zbase32
from quic_commands import LISTENER, id_of, wait_for

NOBODY = {"user": 65534, "group": 65534}
TOKEN = "Zm9yLXRoZS1yZWxheS1vbmx5"


def spellings(secret):
    """The ways in which 32 bytes are written."""
    return [secret, secret.hex().encode(), secret.hex().upper().encode(), base64.b64encode(secret).rstrip(b"="), zbase32(secret).encode()]


SECRETS = [*spellings(LISTENER.to_bytes(32)), TOKEN.encode()]


def holds(data, secrets=SECRETS):
    return [secret for secret in secrets if secret in data]


def allow_cores():
    hard = resource.getrlimit(resource.RLIMIT_CORE)[1]
    resource.setrlimit(resource.RLIMIT_CORE, (hard, hard))


def ending(process):
    """By which signal a process has ended, and whether there is a core file of it."""
    _, status = os.waitpid(process.pid, 0)
    process.returncode = -os.WTERMSIG(status)
    return os.WTERMSIG(status), os.WCOREDUMP(status)


class Holder:
    """A command that has read its secrets and goes on, allowed to leave a core file as large as it likes in a folder of its own."""

    def __init__(self, folder, name, *arguments, input=b"", first=None):
        (folder / "cores").mkdir()
        self.cores, self.log, self.out = folder / "cores", folder / "log", folder / "out"
        with open(self.log, "wb") as log, open(self.out, "wb") as out:
            self.process = subprocess.Popen(command(name, *arguments, "-v") if "--" not in arguments else command(name, "-v", *arguments),
                                            stdin=subprocess.PIPE, stdout=out, stderr=log, cwd=self.cores, preexec_fn=allow_cores,
                                            # In a build for debugging Swift's own runtime would take the signal.
                                            env={**os.environ, "SWIFT_BACKTRACE": "enable=no"})
        self.process.stdin.write(input)
        self.process.stdin.flush()
        wait_for(lambda: self.has_said(first) or self.process.poll() is not None)
        assert self.process.poll() is None, self.log.read_text()

    def has_said(self, first):
        return first in self.log.read_bytes() + self.out.read_bytes()

    def crashes(self):
        """Whether there is a core file of it then, and what else it has left where it was."""
        self.process.send_signal(signal.SIGABRT)
        number, has_core = ending(self.process)
        assert number == signal.SIGABRT
        return has_core, list(self.cores.iterdir())


@pytest.fixture
def token_file(tmp_path):
    path = tmp_path / "token"
    path.write_text(TOKEN + "\n")
    path.chmod(0o600)
    return path


@pytest.fixture
def certificate(tmp_path):
    """A certificate, its key, and the lines of it that are secret."""
    chain, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ed25519", "-nodes", "-days", "2", "-subj", "/CN=relay.example", "-out", chain,
                    "-keyout", key], check=True, capture_output=True)
    key.chmod(0o600)
    [line] = key.read_bytes().splitlines()[1:-1]
    return chain, key, [line, *spellings(base64.b64decode(line)[-32:])]


@pytest.fixture
def silent():
    """The address of a server that never says anything."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield "127.0.0.1:%d" % server.getsockname()[1]


@pytest.fixture
def hold(tmp_path, key_file, token_file, certificate, dead_port, silent):
    """hold("quic-listen") -> a Holder, ended when the test does"""
    held = []

    def hold(name):
        relay, own = ["--relay-token", token_file], ["--relay-token", f"http://{dead_port}/={token_file}"]
        chain, key, _ = certificate
        access = tmp_path / "access"
        access.write_text(f"token {TOKEN}\n")
        access.chmod(0o600)
        started = {
            "pkarr-build": lambda: ("pkarr-build", "--key", key_file(), "--every", "1h", "--state", tmp_path / "state"),
            "quic-listen": lambda: ("quic-listen", "--key", key_file(), *relay, "--relay", f"http://{dead_port}/", "--bind", "127.0.0.1:0",
                                    "--bridge", tmp_path / "bridge.sock"),
            "quic-dial": lambda: ("quic-dial", "--key", key_file(), *own, "--bridge", tmp_path / "bridge.sock"),
            "keyhole-diagnose": lambda: ("keyhole-diagnose", "--key", key_file(), *own, "--relay", f"http://{silent}", "--no-dht", id_of(5)),
            "quic-relay": lambda: ("quic-relay", "--https", "127.0.0.1:0", "--certificate", chain, "--certificate-key", key, "--access", access),
            "tunnel-bridge": lambda: ("tunnel-bridge", "proxy", "--token-file", token_file, "--socket", tmp_path / "dial.sock", "--listen",
                                      "127.0.0.1:0"),
            # Holds no secret but one that it has made itself.
            "nothing": lambda: ("tunnel-bridge", "connect", "--socket", tmp_path / "dial.sock", "--listen", "127.0.0.1:0"),
        }
        first = {"pkarr-build": b'"payload"', "quic-listen": b"bridge.sock", "quic-dial": b"bridge.sock", "keyhole-diagnose": b"\n",
                 "quic-relay": b"https", "tunnel-bridge": b"listening", "nothing": b"listening"}[name]
        input = lines({"records": [{"name": "@", "type": "TXT", "ttl": 60, "strings": ["hello"]}]}) if name == "pkarr-build" else b""
        held.append(Holder(tmp_path, *started[name](), input=input, first=first))
        return held[-1]

    yield hold
    for one in held:
        if one.process.poll() is None:
            one.process.kill()
        one.process.wait()
        one.process.stdin.close()


HOLDERS = ["keyhole-diagnose", "pkarr-build", "quic-dial", "quic-listen", "quic-relay", "tunnel-bridge"]


def test_these_are_all_the_commands_that_are_given_a_secret(run):
    def asks(name):
        described = json.loads(run(name, "--experimental-dump-help").out)["command"]
        found, commands = set(), [described]
        while commands:
            one = commands.pop()
            commands += one.get("subcommands", [])
            found |= {spelling["name"] for argument in one.get("arguments", []) for spelling in argument.get("names", [])}
        return bool(found & {"key", "relay-token", "certificate-key", "token-file"})

    assert [name for name in COMMANDS if asks(name)] == HOLDERS


@pytest.mark.parametrize("name", HOLDERS)
def test_a_secret_is_in_no_argument_environment_or_message(hold, certificate, name):
    one = hold(name)
    secrets = SECRETS + certificate[2]
    place = Path(f"/proc/{one.process.pid}")
    assert not holds((place / "cmdline").read_bytes(), secrets)
    if os.geteuid() == 0:
        assert not holds((place / "environ").read_bytes(), secrets)
    assert not holds(one.log.read_bytes() + one.out.read_bytes(), secrets)


@pytest.fixture
def cores(tmp_path):
    """A machine that keeps core files."""
    if not ending(subprocess.Popen(["sh", "-c", "kill -ABRT $$"], cwd=tmp_path, preexec_fn=allow_cores))[1]:
        pytest.skip("this machine keeps no core files")


@pytest.mark.parametrize("name", HOLDERS)
def test_a_crash_leaves_no_core_file(hold, cores, name):
    assert hold(name).crashes() == (False, [])


def test_a_crash_of_what_holds_no_secret_leaves_one(hold, cores):
    """Or the test before shows nothing."""
    assert hold("nothing").crashes()[0]


@pytest.fixture
def of_nobody():
    """of_nobody(name, argument…) -> a command that runs as the user nobody, with its first line read"""
    if os.geteuid() != 0:
        pytest.skip("only root may become somebody else")
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o777)
        (Path(folder) / "secret").write_text(f"{LISTENER:064x}\n")
        (Path(folder) / "secret").chmod(0o600)
        shutil.chown(Path(folder) / "secret", NOBODY["user"])
        started = []

        def of_nobody(name, *arguments):
            # Where it was built nobody may have no way to.
            program = shutil.copy(BIN / name, folder)
            started.append(Service([program, *arguments], cwd=folder, **NOBODY))
            started[-1].next()
            return started[-1].process.pid

        yield of_nobody
        for one in started:
            one.remove()


def test_others_of_the_same_user_can_not_look_into_what_holds_a_secret(of_nobody):
    def can_look(pid):
        return subprocess.run(["cat", f"/proc/{pid}/environ"], capture_output=True, **NOBODY).returncode == 0

    assert not can_look(of_nobody("quic-listen", "--key", "secret", "--bind", "127.0.0.1:0", "--", "cat"))
    assert can_look(of_nobody("tunnel-bridge", "connect", "--socket", "dial.sock", "--listen", "127.0.0.1:0"))


def test_what_a_listener_starts_has_no_way_to_its_secret(listen, dial):
    """The file is closed, and nothing is handed down."""
    one = listen("--relay", "http://127.0.0.1:1/", program=["sh", "-c", "ls -l /proc/self/fd; cat /proc/$$/environ"])
    shown = dial(one.address)
    assert shown.status == 0 and not holds(shown.bytes) and f"secret-{LISTENER}" not in shown.out


@pytest.mark.parametrize("name, arguments", [("pkarr-build", []), ("quic-listen", ["--", "cat"]), ("quic-dial", ["--stdio", "--endpoint", "x"]),
                                             ("keyhole-diagnose", [])])
def test_a_key_in_place_of_its_file_is_not_repeated(run, name, arguments):
    done = run(name, "--key", f"{LISTENER:064x}", *arguments)
    assert done.status == 64 and "the key itself was given instead of the name of its file" in done.err
    assert not holds(done.bytes + done.err.encode())


@pytest.mark.parametrize("content", [f"{LISTENER:064x}0", f"{LISTENER:064x}"[:-1], f"key={LISTENER:064x}"], ids=["long", "short", "named"])
def test_what_is_wrong_in_a_key_file_is_not_repeated(run, tmp_path, content):
    path = tmp_path / "secret"
    path.write_text(content)
    path.chmod(0o600)
    done = run("quic-listen", "-v", "--key", path, "--", "cat")
    assert done.status == 78 and content[:40] not in done.out + done.err
