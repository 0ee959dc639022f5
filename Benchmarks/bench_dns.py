"""The DNS door of pkarr-serve against dnsmasq and unbound, each with the same record and one thread: questions answered a second."""
import contextlib
import json
import re
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

from harness import BIN, Figure, ROOT, accepts, free_port, median, output, started

sys.path.insert(0, str(ROOT / "Tests"))
ROUNDS = 5
SECONDS = 2
# As many clients as there are questions on their way at once; more would measure the kernel's queues.
CLIENTS = 20


def measure(results):
    from dns_tools import zone_message
    from packets import Key

    key = Key(1)
    name = f"{key.name}.key"
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        questions = folder / "questions"
        questions.write_text(f"{name} A\n")
        serve = stack.enter_context(started(BIN / "pkarr-serve", "--dht-bind", "127.0.0.1:0", "--http", "127.0.0.1:0", "--dns", "127.0.0.1:0"))
        addresses = json.loads(serve.first)
        payload = key.payload(zone_message(key, ("@", 86400, "A", "192.0.2.1")), int(time.time() * 1_000_000))
        urllib.request.urlopen(urllib.request.Request(f"{addresses['http']}/{key.name}", payload, method="PUT")).close()
        ports = {"pkarr-serve": int(addresses["dns"][0].rsplit(":", 1)[1])}

        ports["dnsmasq"] = free_port()
        stack.enter_context(started(
            "dnsmasq", "--keep-in-foreground", "--conf-file=/dev/null", "--no-resolv", "--no-hosts", "--bind-interfaces", "--user=root",
            "--listen-address=127.0.0.1", f"--port={ports['dnsmasq']}", "--pid-file", f"--host-record={name},192.0.2.1", line=False))
        ports["unbound"] = free_port()
        (folder / "unbound.conf").write_text(
            f'server:\n interface: 127.0.0.1@{ports["unbound"]}\n do-daemonize: no\n username: ""\n chroot: ""\n directory: "/"\n pidfile: ""\n'
            f' use-syslog: no\n num-threads: 1\n module-config: "iterator"\n local-zone: "key." static\n local-data: "{name}. A 192.0.2.1"\n'
            'remote-control:\n control-enable: no\n')
        stack.enter_context(started("unbound", "-c", folder / "unbound.conf", line=False))
        for port in ports.values():
            accepts(port)

        def ask(port):
            printed = output("dnsperf", "-s", "127.0.0.1", "-p", port, "-d", questions, "-l", SECONDS, "-c", CLIENTS, "-q", CLIENTS, "-T", 1, "-e")
            assert re.search(r"NOERROR \d+ \(100.00%\)", printed), printed
            assert float(re.search(r"Queries lost: .*\((.*)%\)", printed)[1]) < 0.1, printed
            return float(re.search(r"Queries per second: *(\S+)", printed)[1])

        rates = results.rounds({name: lambda port=port: ask(port) for name, port in ports.items()}, ROUNDS)
    ours = median(rates["pkarr-serve"])
    for other, least in (("dnsmasq", 0.5), ("unbound", 0.3)):
        theirs = median(rates[other])
        yield Figure(f"questions a second, pkarr-serve over {other}", ours / theirs, least, "", True, f"{ours:.0f} against {theirs:.0f}")
