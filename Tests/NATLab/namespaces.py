"""Network namespaces named after this process, so that two runs don't meet, and what runs in them."""
import atexit
import contextlib
import ctypes
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

CLONE_NEWNET = 0x40000000  # <sched.h>
MOUNTED = Path("/run/netns")
# What ip-netns(8) shows to a program instead of the machine's own /etc.
ETC = Path("/etc/netns")
PREFIX = "natlab"
libc = ctypes.CDLL(None, use_errno=True)


class Refused(Exception):
    """The kernel or a tool would not do what the laboratory needs; one line."""


# What the kernel or a router's program has not done after so many seconds, it will not do.
PATIENCE = 30


def wait_for(condition, what):
    """Until the condition holds; Refused if that takes too long."""
    deadline = time.monotonic() + PATIENCE
    while not condition():
        if time.monotonic() > deadline:
            raise Refused(f"still waiting for {what}")
        time.sleep(0.002)


def tool(*arguments, input=None):
    try:
        done = subprocess.run(list(map(str, arguments)), input=input, capture_output=True, text=True)
    except FileNotFoundError:
        raise Refused(f"there is no {arguments[0]} here; `make test-deps` installs it") from None
    if done.returncode:
        raise Refused(f"{' '.join(map(str, arguments[:6]))}: {done.stderr.strip() or done.stdout.strip()}")
    return done.stdout


def enter(path):
    """Moves this thread into a network namespace; sockets stay in the one they were made in."""
    with open(path) as namespace:
        if libc.setns(namespace.fileno(), CLONE_NEWNET):
            raise OSError(ctypes.get_errno(), f"setns: {os.strerror(ctypes.get_errno())}")


class Namespace:
    """One machine: a host, a router or the Internet."""

    def __init__(self, name):
        self.name = name
        self.processes = []
        tool("ip", "netns", "add", name)
        self.ip("link set lo up")

    def ip(self, *commands):
        """Commands of ip(8), all in one go."""
        tool("ip", "-n", self.name, "-batch", "-", input="\n".join(commands) + "\n")

    def is_up(self, devices=None):
        """Whether the devices, or all, can carry packets: the kernel notices in its own time that both ends of a cable are there."""
        for device in json.loads(tool("ip", "-n", self.name, "-json", "-details", "link")):
            port = device.get("linkinfo", {}).get("info_slave_data", {}).get("state", "forwarding")
            if (devices is None and device["ifname"] != "lo" or device["ifname"] in (devices or ())) and (
                    device["operstate"] != "UP" or port != "forwarding"):
                return False
        return True

    def set(self, **values):
        """set(ipv4__ip_forward=1) writes a value below /proc/sys/net, two underscores for a slash."""
        with self.inside():
            for key, value in values.items():
                path = Path("/proc/sys/net", key.replace("__", "/"))
                if path.parent.exists():  # or the kernel has no such part, which then does nothing either
                    path.write_text(f"{value}\n")

    def rules(self, text):
        """Rules for nft(8), added to those that are there."""
        tool(*self.arguments("nft", "-f", "-"), input=text)

    def names(self, table):
        """Names and addresses that programs here find in /etc/hosts."""
        folder = ETC / self.name
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "hosts").write_text("127.0.0.1 localhost\n" + "".join(f"{address} {name}\n" for name, address in table))
        (folder / "resolv.conf").write_text("# Nobody answers here.\n")

    @contextlib.contextmanager
    def inside(self):
        """What is opened in this block is opened here."""
        with open("/proc/thread-self/ns/net") as home:
            enter(MOUNTED / self.name)
            try:
                yield
            finally:
                libc.setns(home.fileno(), CLONE_NEWNET)

    def arguments(self, *arguments):
        """The arguments that run a program here."""
        return ["ip", "netns", "exec", self.name, *map(str, arguments)]

    def output(self, *arguments):
        """What a program here prints, to its end."""
        return tool(*self.arguments(*arguments))

    def start(self, *arguments, **options):
        """A program here, which ends with the laboratory."""
        process = subprocess.Popen(self.arguments(*arguments), **options)
        self.processes.append(process)
        return process

    def remove(self):
        for process in self.processes:
            if process.poll() is None:
                process.kill()
            process.wait()
            for pipe in (process.stdin, process.stdout, process.stderr):
                if pipe:
                    with contextlib.suppress(OSError):
                        pipe.close()
        clear(self.name)


def clear(name):
    """Ends what still runs in a namespace of ours and removes it."""
    with contextlib.suppress(Refused):
        for pid in tool("ip", "netns", "pids", name).split():
            with contextlib.suppress(ProcessLookupError):
                os.kill(int(pid), signal.SIGKILL)
    subprocess.run(["ip", "netns", "del", name], capture_output=True)
    shutil.rmtree(ETC / name, ignore_errors=True)


def sweep():
    """Removes what a run left behind that was killed before it could."""
    for folder in (MOUNTED, Path(tempfile.gettempdir())):
        for path in folder.glob(f"{PREFIX}*-*"):
            owner = re.match(rf"{PREFIX}(\d+)-", path.name)
            if owner and not Path("/proc", owner[1]).exists():
                if folder == MOUNTED:
                    clear(path.name)
                else:
                    shutil.rmtree(path, ignore_errors=True)


class Namespaces:
    """All namespaces of a laboratory; used as a context they are removed at its end, and else when the process ends."""

    laboratories = 0

    def __init__(self):
        sweep()
        self.all = []
        Namespaces.laboratories += 1
        self.prefix = f"{PREFIX}{os.getpid()}-{Namespaces.laboratories}"
        atexit.register(self.remove)

    def add(self, name):
        self.all.append(Namespace(f"{self.prefix}{name}"))
        return self.all[-1]

    def remove(self):
        while self.all:
            self.all.pop().remove()
        with contextlib.suppress(OSError):
            ETC.rmdir()  # only when nobody else has anything in it
        atexit.unregister(self.remove)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.remove()


def end_on_signals():
    """A run that is told to end tidies up first."""
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda number, _: sys.exit(128 + number))
