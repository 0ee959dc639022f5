"""Two real iroh endpoints in the place of our commands."""
import importlib.util
import json
import subprocess
import sys
import threading
from pathlib import Path

from NATLab.expectations import punchable
from NATLab.namespaces import Refused
from NATLab.pairs import LONGEST_MOVE
from NATLab.services import PATIENCE, ROOT, environment


def python():
    """One that has iroh."""
    if importlib.util.find_spec("iroh"):
        return sys.executable
    installed = ROOT / ".build" / "venv" / "bin" / "python"
    if installed.exists():
        return str(installed)
    raise Refused("there is no iroh here; `make natlab` installs it in .build/venv")


class End:
    """One of the two, as a process."""

    def __init__(self, site, host, role):
        self.log = site.internet.path(f"{host.name}-iroh-{role}.log")
        with open(self.log, "wb") as log:
            self.process = host.start(python(), Path(__file__).parent / "iroh_end.py", role, env=environment(site), text=True,
                                      stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log)

    def next(self):
        timer = threading.Timer(PATIENCE, self.process.kill)
        timer.start()
        line = self.process.stdout.readline()
        timer.cancel()
        if not line:
            said = self.log.read_text(errors="replace").strip().splitlines()
            raise Refused(f"iroh ended: {said[-1] if said else 'nothing was said'}")
        return json.loads(line)

    def tell(self, value):
        self.process.stdin.write(json.dumps(value) + "\n")
        self.process.stdin.flush()

    def stop(self):
        self.process.kill()
        self.process.wait()
        self.process.stdin.close()
        self.process.stdout.close()


def host(address):
    return address.rsplit(":", 1)[0]


def run(home, away, announced):
    """What becomes of a connection between the two sites. The dialler is told the relay, and of the listener's addresses those on hosts that
    our listener announces too: neither starts with knowing more."""
    result = {"path": None, "first_byte_ms": None, "direct_ms": None, "bytes": 0, "error": None}
    if home.kind.behaviour.proxied or away.kind.behaviour.proxied:
        return result | {"error": "the Python package of iroh can't be told of a proxy"}
    options = [option.format(public=home.public[4]) for option in home.kind.options]
    address = options[options.index("--address") + 1] if "--address" in options else None
    listener, dialler = End(home, home.hosts[0], "listen"), End(away, away.hosts[-1], "dial")
    try:
        listener.next()
        listener.tell({"address": address})
        peer = listener.next()
        known = {host(address) for address in announced}
        peer["addresses"] = [address for address in peer["addresses"] if host(address) in known]
        dialler.next()
        dialler.tell({"peer": peer, "patience": LONGEST_MOVE if punchable(home.kind, away.kind) else 0})
        return result | dialler.next()
    except Refused as error:
        return result | {"error": str(error)}
    finally:
        listener.stop()
        dialler.stop()
