"""The units as a real systemd runs them, and what the guide for operators has people type, typed.

The systemd is the first process of namespaces of its own; what it may write is in memory, and it knows no units but these.
"""
import os
import subprocess
import time
from pathlib import Path

import pytest

from conftest import BIN, PATIENCE, ROOT
from operator_guide import block

TARGETS = "basic default multi-user network network-online paths shutdown slices sockets sysinit timers umount".split()
BOOT = f"""
set -e
mount --make-rprivate /
mount -t tmpfs tmpfs /run
mkdir -p /run/units /run/bin /run/systemd /run/lock
cp {BIN}/quic-relay {BIN}/pkarr-serve /run/bin
for unit in {ROOT}/systemd/*.*; do sed 's|/usr/local/bin/|/run/bin/|' "$unit" > "/run/units/${{unit##*/}}"; done
for target in {" ".join(TARGETS)}; do
    printf '[Unit]\\nDescription=%s\\nDefaultDependencies=no\\n' "$target" > "/run/units/$target.target"
done
cp -a /etc /run/etc
mount --bind /run/etc /etc
mount -t tmpfs tmpfs /var/lib
mount -t tmpfs tmpfs /root
mount -t tmpfs tmpfs /tmp
echo '127.0.0.1 relay.example pkarr.example' >> /etc/hosts
getent group ssl-cert > /dev/null || groupadd --system ssl-cert
ip link set lo up
cd /
export container=other SYSTEMD_UNIT_PATH=/run/units
exec /lib/systemd/systemd --system --unit=default.target --log-target=null --show-status=0
"""


class Machine:
    """A systemd of its own, and how to run a script beside it."""

    def __init__(self):
        self.process = subprocess.Popen(
            ["unshare", "--pid", "--fork", "--mount", "--uts", "--ipc", "--net", "--cgroup", "--mount-proc", "--kill-child", "sh", "-c", BOOT],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        children, deadline = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children"), time.monotonic() + PATIENCE
        self.first = None
        while self.first is None or self.run("systemctl is-active default.target", status=None)[1] != "active\n":
            assert self.process.poll() is None and time.monotonic() < deadline, self.process.stderr.read().decode()
            self.first = next(iter(children.read_text().split()), None)
            time.sleep(0.02)

    def arguments(self, script):
        return ["nsenter", "-t", self.first, "--mount", "--pid", "--net", "--ipc", "--uts", "--cgroup", "sh", "-c", f"cd /root\n{script}"]

    def run(self, script, status=0):
        done = subprocess.run(self.arguments(script), capture_output=True, text=True, timeout=PATIENCE)
        assert status is None or done.returncode == status, done.stdout + done.stderr
        return done.returncode, done.stdout, done.stderr

    def stop(self):
        self.process.kill()
        self.process.wait()
        self.process.stderr.close()


@pytest.fixture(scope="module")
def machine():
    if os.geteuid() != 0:
        pytest.skip("only root may make namespaces")
    machine = Machine()
    yield machine
    machine.stop()


@pytest.fixture(scope="module")
def installed(machine):
    """The machine, with both services as the guide installs them."""
    # There is no network that the DHT node could know anybody of.
    machine.run(block("systemctl enable --now pkarr-serve-http.socket").replace("curl -f http://127.0.0.1:6881", "curl -s http://127.0.0.1:6881"))
    return machine


def main_process(machine, unit):
    return machine.run(f"systemctl show --property MainPID --value {unit}")[1]


def test_both_services_run_with_the_sockets_of_their_units(installed):
    for unit in ("quic-relay.service", "pkarr-serve.service"):
        assert installed.run(f"systemctl is-active {unit}")[1] == "active\n"
        assert installed.run(f"systemctl show --property Result --property NRestarts {unit}")[1].split() == ["Result=success", "NRestarts=0"]
    assert '"ok"' in installed.run("curl -fsS http://127.0.0.1:3340/healthz")[1]
    assert installed.run("curl -sS http://127.0.0.1:6881/healthz")[1] == "no DHT node is known\n"
    assert "quic_relay_clients 0\n" in installed.run("curl -fsS http://127.0.0.1:3340/metrics")[1]


def test_a_restart_by_systemd_refuses_nobody(installed):
    before = [main_process(installed, unit) for unit in ("quic-relay", "pkarr-serve")]
    asking = subprocess.Popen(installed.arguments(
        "while [ ! -e /root/stop ]; do\n"
        "curl -fsS -o /root/out http://127.0.0.1:3340/ping && curl -sS -o /root/out http://127.0.0.1:6881/healthz || exit\n"
        "echo answered; done"), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    for _ in range(5):
        assert asking.stdout.readline()
    installed.run(block("make && make install").replace("make && make install\n", ""))
    for _ in range(5):
        assert asking.stdout.readline()
    installed.run("touch /root/stop")
    _, errors = asking.communicate(timeout=PATIENCE)
    assert (asking.returncode, errors) == (0, "")
    after = [main_process(installed, unit) for unit in ("quic-relay", "pkarr-serve")]
    assert all(first != second for first, second in zip(before, after))


def test_a_certificate_comes_and_is_renewed_as_the_guide_says(installed):
    live, hook = "/etc/letsencrypt/live/relay.example", "/etc/letsencrypt/renewal-hooks/deploy/quic-relay"
    new = (f"mkdir -p {live} && openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=relay.example"
           f" -keyout {live}/privkey.pem -out {live}/fullchain.pem 2> /dev/null && RENEWED_LINEAGE={live} {hook}")
    installed.run(f"mkdir -p {os.path.dirname(hook)} && cat > {hook} <<'END'\n{block('renewal-hooks/deploy')}END\nchmod 755 {hook} && {new}")
    served = block("openssl s_client")
    assert "subject=CN = relay.example\n" in installed.run(served)[1].replace("subject=CN=", "subject=CN = ")
    fingerprint = "openssl s_client -connect relay.example:443 < /dev/null 2> /dev/null | openssl x509 -noout -fingerprint"
    first, process = installed.run(fingerprint)[1], main_process(installed, "quic-relay")
    installed.run(new)
    # A reload is done when the signal is sent, and the relay is about to read.
    deadline = time.monotonic() + PATIENCE
    while (second := installed.run(fingerprint)[1]) == first:
        assert time.monotonic() < deadline
    assert second == installed.run(f"openssl x509 -noout -fingerprint -in {live}/fullchain.pem")[1]
    assert main_process(installed, "quic-relay") == process


def test_an_access_list_is_put_in_place_as_the_guide_says(installed):
    installed.run("printf 'token open\\n' > access.conf\n" + block("access.conf /etc/quic-relay"))
    assert installed.run("systemctl is-active quic-relay")[1] == "active\n"


def test_the_store_is_copied_as_the_guide_says(installed):
    installed.run("set -e\n" + block("tar -C"))
    names = installed.run("tar -tzf /root/pkarr-serve.tar.gz")[1].split()
    assert {"pkarr-serve/packets.db", "pkarr-serve/items.db"} <= set(names)
    assert installed.run("curl -sS http://127.0.0.1:6881/healthz")[1] == "no DHT node is known\n"
