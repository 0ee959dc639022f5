"""Two of our commands, each behind a network of its own, and what becomes of them."""
import hashlib
import json
import subprocess
import threading
import time

from NATLab.expectations import expected
from NATLab.internet import Internet
from NATLab.kinds import KINDS
from NATLab.namespaces import Refused
from NATLab.probe import check
from NATLab.services import PATIENCE, RELAY, Service, command, environment, start_relay

# More than what fits into one flight of packets, so that acknowledgements have to come back.
SIZE = 256 << 10


def content(*names):
    """Bytes that belong to one pair."""
    return hashlib.shake_128(" ".join(names).encode()).digest(SIZE)


class Matrix:
    """Sites of the kinds, each checked, with one that listens and one that dials, and a relay in between; as a context gone at its end."""

    def __init__(self, kinds):
        self.internet = Internet()
        try:
            self.listeners = {name: self.site(name) for name in kinds}
            self.diallers = {name: self.listeners[name] if name == "same-lan" else self.site(name) for name in kinds}
            start_relay(self.internet)
        except BaseException:
            self.internet.remove()
            raise

    def site(self, name):
        site = self.internet.site(KINDS[name])
        check(site)
        return site

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.internet.remove()

    def run(self, listener, dialler):
        """What happens between the two, as an object to be printed."""
        result = {"listener": listener, "dialler": dialler, "expected": expected(KINDS[listener], KINDS[dialler]), "path": None,
                  "remote": None, "first_byte_ms": None, "bytes": 0, "failed": [], "error": None}
        try:
            self.transfer(self.listeners[listener], self.diallers[dialler], content(listener, dialler), result)
        except (Refused, OSError, ValueError) as error:
            result["error"] = str(error)
        result["ok"] = result["error"] is None and result["path"] == result["expected"]
        return result

    def transfer(self, home, away, data, result):
        tag = f"-{result['listener']}-{result['dialler']}"
        secret = self.internet.path(f"secret{tag}")
        secret.touch(0o600)
        secret.write_text(hashlib.sha256(tag.encode()).hexdigest() + "\n")
        options = [option.format(public=home.public[4]) for option in home.kind.options]
        service = Service(self.internet, home.hosts[0], "quic-listen", "--key", secret, "--relay", RELAY, *options, "--", "cat", tag=tag,
                          env=environment(home))
        try:
            endpoint = service.next()
            # Without its relay it would be known by its addresses only.
            while not endpoint["relay_urls"]:
                endpoint = service.next()
            file = self.internet.path(f"endpoint{tag}")
            file.write_text(json.dumps(endpoint) + "\n")
            self.dial(away, file, data, result)
        finally:
            service.stop()

    def dial(self, away, file, data, result):
        start = time.monotonic()
        process = away.hosts[-1].start(command("quic-dial"), "--endpoint", file, "--stdio", env=environment(away),
                                       stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        timer = threading.Timer(PATIENCE, process.kill)
        timer.start()
        said = []
        threads = [threading.Thread(target=write, args=(process.stdin, data), daemon=True),
                   threading.Thread(target=lambda: said.append(process.stderr.read()), daemon=True)]
        for thread in threads:
            thread.start()
        answer = process.stdout.read1(1 << 16)
        if answer:
            result["first_byte_ms"] = round((time.monotonic() - start) * 1000, 1)
            answer += process.stdout.read()
        status = process.wait()
        timer.cancel()
        for thread in threads:
            thread.join()
        lines = said[0].decode(errors="replace").splitlines()
        for stream in (json.loads(line) for line in lines if line.startswith("{")):
            result["path"], result["remote"] = stream.get("path"), stream.get("remote")
            result["failed"] = stream.get("failed", [])
        result["bytes"] = len(answer)
        if status:
            raise Refused(f"quic-dial ended with {status}: {lines[-1] if lines else 'and said nothing'}")
        if answer != data:
            raise Refused(f"what came back is not what was sent, at byte {differs(answer, data)}")


def differs(one, other):
    """Where two strings of bytes cease to be the same."""
    return next((at for at, pair in enumerate(zip(one, other)) if pair[0] != pair[1]), min(len(one), len(other)))


def write(pipe, data):
    try:
        with pipe:
            pipe.write(data)
    except BrokenPipeError:
        pass  # whoever reads the answer finds out
