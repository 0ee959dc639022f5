"""What the Internet offers: a relay with STUN, and a node of the DHT."""
import contextlib
import json
import os
import shutil
import subprocess
import threading
import time
from pathlib import Path

from NATLab.internet import SERVICES, Internet
from NATLab.namespaces import Refused, tool

ROOT = Path(__file__).resolve().parent.parent.parent
# A service, or a command that has nothing to say for so many seconds, has failed; nothing is decided by this.
PATIENCE = int(os.environ.get("PATIENCE", 60))
# Of DHT nodes besides the one that everybody knows.
OTHERS = 9
RELAY, WITHOUT_TLS = "https://relay.example/", "http://relay.example/"


def command(name):
    """Where the built command, or the example, is."""
    built = [ROOT / ".build" / kind for kind in ("release", "debug")]
    folders = [Path(os.environ["KEYHOLE_BIN"])] if "KEYHOLE_BIN" in os.environ else built
    for folder in (*folders, ROOT / "examples"):
        if (folder / name).exists():
            return str((folder / name).resolve())
    if found := shutil.which(name):
        return found
    raise Refused(f"there is no {name}: run `make`, or say in KEYHOLE_BIN where it is")


def every(port):
    """The services' address of each family with that port."""
    return f"{SERVICES[4]}:{port}", f"[{SERVICES[6]}]:{port}"


class Service:
    """A command of ours in a namespace, which prints objects."""

    def __init__(self, internet, namespace, name, *arguments, tag="", **options):
        self.name = name
        self.log = internet.path(f"{namespace.name}-{name}{tag}.log")
        with open(self.log, "wb") as log:
            self.process = namespace.start(command(name), *arguments, stdout=subprocess.PIPE, stderr=log, **options)

    def next(self):
        """The next object that it prints; Refused with the end of what it said if it ends or prints nothing for long."""
        timer = threading.Timer(PATIENCE, self.process.kill)
        # Else a run that is told to end here waits for it.
        timer.daemon = True
        timer.start()
        line = self.process.stdout.readline()
        timer.cancel()
        if not line:
            raise Refused(f"{self.name} ended with {self.process.wait()}: {self.said()}")
        return json.loads(line)

    def wait_until_said(self, words):
        """Until it has said them to people."""
        deadline = time.monotonic() + PATIENCE
        while words not in self.log.read_text(errors="replace"):
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise Refused(f"{self.name} has not said \"{words}\": {self.said()}")
            time.sleep(0.005)

    def said(self):
        """The last it said to people."""
        lines = self.log.read_text(errors="replace").strip().splitlines()
        return lines[-1] if lines else "nothing was said"

    def rest(self):
        """Ends it and gives the objects that nobody has read yet."""
        self.process.terminate()
        lines = self.process.stdout.read().splitlines()
        self.stop()
        return [json.loads(line) for line in lines]

    def stop(self):
        self.process.terminate()
        self.process.wait(PATIENCE)
        self.process.stdout.close()


def start_relay(internet):
    """quic-relay at RELAY for both families, also without TLS on port 80, with STUN on port 3478 and a certificate of our own."""
    certificate, key = internet.path("relay.pem"), internet.path("relay.key")
    tool("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2", "-subj",
         "/CN=relay.example", "-addext", "subjectAltName=DNS:relay.example", "-out", certificate, "-keyout", key)
    key.chmod(0o600)
    options = [part for kind, port in (("http", 80), ("https", 443), ("stun", 3478)) for one in every(port) for part in (f"--{kind}", one)]
    relay = Service(internet, internet.core, "quic-relay", *options, "--certificate", certificate, "--certificate-key", key)
    relay.next()
    return relay


def start_dht(internet, more=0):
    """A node of the Mainline DHT at dht.example:6881, for both families, and others at addresses of their own that know of it."""
    def node(addresses, *arguments):
        options = [part for one in addresses for part in ("--dht-bind", f"{one}:6881")]
        started = Service(internet, internet.core, "pkarr-serve", *options, "--http", f"{addresses[0]}:6880", *arguments, tag=addresses[0])
        started.next()

    first, six = SERVICES.values()
    node((first, f"[{six}]"))
    for number in range(20, 20 + more):
        four, six = f"203.0.113.{number}", f"2001:db8::{number}"
        internet.core.ip(f"addr add {four}/32 dev lo", f"addr add {six}/128 dev lo nodad")
        node((four, f"[{six}]"), "--bootstrap", f"{first}:6881", "--bootstrap", f"[{SERVICES[6]}]:6881")


def environment(site):
    """What programs at a site have in their environment: our commands, the relay's authority, the DHT, and what the site's users have to
    set."""
    internet = site.internet
    return {**site.environment(), "SSL_CERT_FILE": str(internet.path("relay.pem")), "PKARR_BOOTSTRAP": "dht.example:6881",
            "NO_COLOR": "1", "PATH": f"{Path(command('quic-dial')).parent}:{os.environ['PATH']}"}


@contextlib.contextmanager
def whole_internet():
    """One that has all this."""
    with Internet() as internet:
        start_relay(internet)
        start_dht(internet, OTHERS)
        yield internet


def run(site, name, *arguments, **options):
    """What became of a command at a site."""
    host = site.hosts[-1]
    return subprocess.run(host.arguments(command(name), *arguments), env=environment(site), capture_output=True, timeout=PATIENCE, **options)


def wait_until_reachable(gateway, site, key):
    """Until a gateway's packet names the relay: its first one may be older than the connection to that; then another follows."""
    while True:
        gateway.next()
        packet = run(site, "pkarr-resolve", "--no-relays", key).stdout
        if RELAY in run(site, "iroh-txt", "decode", input=packet).stdout.decode():
            return
