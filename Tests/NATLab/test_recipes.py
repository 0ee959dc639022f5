"""The recipes of keyhole-recipes(7), run as they stand there: the server behind one household's router, the client behind another's."""
import contextlib
import hashlib
import json
import os
import re
import socket
import subprocess
import sys
import threading

import pytest

from NATLab.kinds import KINDS
from NATLab.links import Link
from NATLab.namespaces import ETC, tool, wait_for
from NATLab.services import PATIENCE, ROOT, environment, whole_internet
from recipes import RECIPES

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root may make network namespaces")
TESTED = set()


class Computer:
    """A host with a home of its own, which its programs find as that of root."""

    def __init__(self, site, folder):
        self.site, self.host, self.home = site, site.hosts[0], folder
        self.home.mkdir(mode=0o700)
        (ETC / self.host.name / "passwd").write_text(f"root:*:0:0:root:{self.home}:/bin/sh\nsshd:*:1:1::/:/usr/sbin/nologin\n")
        given = environment(site)
        self.environment = {**given, "HOME": str(self.home), "PKARR_RELAYS": "", "PATH": f"{ROOT / 'examples'}:{given['PATH']}"}
        for name in ("XDG_STATE_HOME", "XDG_RUNTIME_DIR", "STATE_DIRECTORY"):
            self.environment.pop(name, None)

    def start(self, *arguments, log="log", **options):
        """A program that goes on, and says what it has to say into a file at home."""
        with open(self.home / log, "ab") as out:
            return self.host.start(*arguments, **{"cwd": self.home, "env": self.environment, "stdout": out, "stderr": out, **options})

    def run(self, text, **options):
        """What a block prints that ends by itself."""
        done = subprocess.run(self.host.arguments("sh", "-euc", text), capture_output=True, text=True, timeout=4 * PATIENCE,
                              **{"cwd": self.home, "env": self.environment, **options})
        assert done.returncode == 0, f"{done.returncode}\n{done.stdout}\n{done.stderr}\n{self.logs()}"
        return done.stdout

    def logs(self):
        return "\n".join(path.read_text(errors="replace") for path in self.home.glob("*log"))

    def listens(self, port):
        with self.host.inside(), socket.socket() as one:
            return one.connect_ex(("127.0.0.1", port)) == 0

    def says(self, log, what):
        """Whether a program has said so by now; it may not have ended."""
        return what in (self.home / log).read_text(errors="replace")


class Recipe:
    """The blocks of a recipe one after the other, with the key in them."""

    def __init__(self, name, server, client, key=None):
        self.blocks, self.computers = list(RECIPES[name]), {"server": server, "client": client}
        self.key, self.other = key, None
        TESTED.add(name)

    def next(self, computer):
        """The next block, as it is typed on that computer; of a file its text."""
        block = self.blocks.pop(0)
        assert block.computer == computer
        text = block.text
        for name, key in (("KEY", self.key), ("OTHER", self.other)):
            assert key or name not in text
            text = text.replace(name, key or "")
        if block.file and block.file.startswith("~/"):
            path = self.computers[computer].home / block.file[2:]
            path.parent.mkdir(mode=0o700, exist_ok=True)
            path.write_text(text)
        return text

    def run(self, computer):
        return self.computers[computer].run(self.next(computer))

    def start(self, computer, log):
        return self.computers[computer].start("sh", "-euc", self.next(computer), log=log)

    def make_key(self):
        self.key, self.other = [*(json.loads(line)["public_key"] for line in self.run("server").splitlines()), None][:2]

    def serve(self, key=None):
        """Starts the next gateway, and waits until a packet with the relay is out."""
        server = self.computers["server"]
        gateway = self.start("server", "gateway.log")

        def announced():
            assert gateway.poll() is None, server.logs()
            found = subprocess.run(server.host.arguments("sh", "-c", f"pkarr-resolve {key or self.key} | iroh-txt decode"), env=server.environment,
                                   capture_output=True, text=True, timeout=PATIENCE)
            return "relay.example" in found.stdout

        wait_for(announced, "the gateway's packet")


@contextlib.contextmanager
def recipe(internet, name, folder, link=Link(), key=None):
    """On two computers at sites of their own; every block has to be used."""
    server, client = (Computer(internet.site(KINDS["home"], how), folder / name) for name, how in (("server", Link()), ("client", link)))
    one = Recipe(name, server, client, key)
    try:
        yield one, server, client
        assert not one.blocks
    finally:
        # The addresses of the laboratory stay taken; the programs don't go on.
        for computer in (server, client):
            computer.host.remove()


@pytest.fixture(scope="module")
def internet():
    with whole_internet() as internet:
        yield internet


def sshd(server, client):
    """An ordinary one on the server, which takes the key of the client's user."""
    folder = ETC / server.host.name / "ssh"
    folder.mkdir()
    tool("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", folder / "host_key")
    (folder / "sshd_config").write_text("HostKey /etc/ssh/host_key\nPidFile none\nSubsystem sftp internal-sftp\nListenAddress 127.0.0.1\n")
    for computer in (server, client):
        (computer.home / ".ssh").mkdir(mode=0o700)
    tool("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", client.home / ".ssh" / "id_ed25519")
    (server.home / ".ssh" / "authorized_keys").write_text((client.home / ".ssh" / "id_ed25519.pub").read_text())
    os.makedirs("/run/sshd", 0o755, exist_ok=True)
    daemon = server.start("/usr/sbin/sshd", "-D", "-e", log="sshd.log")

    def ready():
        assert daemon.poll() is None, server.logs()
        return server.listens(22)

    wait_for(ready, "sshd")


def stays_open(client, hosts, internet):
    """A session goes on while one computer after the other goes to another network."""
    session = client.start("ssh", "home", "cat", stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    watch = threading.Timer(2 * PATIENCE, session.kill)
    watch.start()
    try:
        for number, host in enumerate([None, *hosts]):
            if host:
                internet.site(KINDS["home"]).welcome(host)
            session.stdin.write(b"%d\n" % number)
            session.stdin.flush()
            assert session.stdout.readline() == b"%d\n" % number, client.logs()
        session.stdin.close()
        assert session.wait(PATIENCE) == 0, client.logs()
    finally:
        watch.cancel()


def test_a_computer_is_logged_in_to_and_copied_from_by_its_key(internet, tmp_path):
    with recipe(internet, "ssh by a key", tmp_path) as (one, server, client):
        sshd(server, client)
        one.make_key()
        one.serve()
        one.next("client")
        assert one.run("client") == os.uname().nodename + "\n"
        # The same two computers, and the same configuration.
        copying = Recipe("Copying with rsync", server, client, one.key)
        pictures = client.home / "pictures"
        pictures.mkdir()
        for number in range(20):
            (pictures / f"{number}.raw").write_bytes(os.urandom(100_000))
        copying.run("client")
        assert not copying.blocks
        for copy in (server.home / "pictures", client.home / "again"):
            assert {path.name: path.read_bytes() for path in copy.iterdir()} == {path.name: path.read_bytes() for path in pictures.iterdir()}
        stays_open(client, [client.host, server.host], internet)
        # Nobody else gets in, who knows the key of the server only.
        (client.home / ".ssh" / "id_ed25519").unlink()
        refused = subprocess.run(client.host.arguments("ssh", "-o", "BatchMode=yes", "home", "true"), env=client.environment,
                                 capture_output=True, text=True, timeout=PATIENCE)
        assert refused.returncode == 255 and "Permission denied" in refused.stderr


def site_on_a_laptop(one, server, files):
    """The recipe's blocks up to where a client comes."""
    (server.home / "site").mkdir()
    for name, content in files.items():
        (server.home / "site" / name).write_bytes(content)
    one.make_key()
    one.start("server", "web.log")
    wait_for(lambda: server.listens(8080), "the web server")
    one.serve()


def test_a_site_is_served_from_a_laptop(internet, tmp_path):
    page = b"<p>from my laptop</p>\n"
    with recipe(internet, "A site from a laptop", tmp_path) as (one, server, client):
        site_on_a_laptop(one, server, {"index.html": page})
        assert one.run("client").encode() == page


def test_a_laptop_goes_to_another_network_during_a_download(internet, tmp_path):
    film = os.urandom(40_000_000)
    # So slow that the download takes ten seconds at least, and is not over when the laptop has gone.
    with recipe(internet, "A site from a laptop", tmp_path, Link(rate=32_000_000)) as (one, server, client):
        site_on_a_laptop(one, server, {"index.html": b"", "film": film})
        one.next("client")
        elsewhere = internet.site(KINDS["home"])
        download = Recipe("To another network during a download", server, client, one.key)
        process = download.start("client", "fetch.log")
        file = client.home / "film"

        def comes(size):
            assert process.poll() is None, client.logs()
            return file.exists() and file.stat().st_size >= size

        wait_for(lambda: comes(4_000_000), "the film's beginning")
        elsewhere.welcome(server.host)
        # What is on its way to the client by then is little against what is left.
        assert process.poll() is None and file.stat().st_size < len(film) - 10_000_000
        assert process.wait(4 * PATIENCE) == 0, client.logs()
        assert hashlib.sha256(file.read_bytes()).digest() == hashlib.sha256(film).digest()
        assert not download.blocks


def test_two_servers_are_reached_through_one_proxy(internet, tmp_path):
    with recipe(internet, "Two servers behind one proxy", tmp_path) as (one, server, client):
        for port, text in ((8081, "a blog\n"), (8082, "photos\n")):
            folder = server.home / f"site-{port}"
            folder.mkdir()
            (folder / "index.html").write_text(text)
            server.start(sys.executable, "-m", "http.server", "--bind", "127.0.0.1", "--directory", folder, port, log="web.log")
        wait_for(lambda: server.listens(8081) and server.listens(8082), "the web servers")
        one.make_key()
        one.serve(one.key)
        one.serve(one.other)
        one.start("client", "proxy.log")
        wait_for(lambda: client.listens(8080), "the proxy")
        shown = one.run("client")
        assert shown.startswith("a blog\nphotos\nHTTP/1.")
        assert re.search(r"^X-Pubky-Path: (direct|punched|relay)\r?$", shown, re.MULTILINE | re.IGNORECASE)


def cron(computer, table):
    """Runs the jobs of a crontab once, as cron(8) does: with nothing of the environment but this, /bin/sh, no input and no terminal."""
    given = {"HOME": str(computer.home), "LOGNAME": "root", "SHELL": "/bin/sh", "PATH": "/usr/bin:/bin"}
    jobs = []
    for line in table.splitlines():
        name, is_setting, value = line.partition("=")
        if is_setting and name.isidentifier():
            given[name] = value
        else:
            jobs.append(line.split(None, 5)[5])
    assert jobs and "%" not in table  # which is a new line there
    # The test's own lines at the top of the table; what is installed is found where it was built.
    given |= {name: computer.environment[name] for name in ("PKARR_BOOTSTRAP", "PKARR_RELAYS")}
    given["PATH"] = given["PATH"].replace("/usr/local/bin", computer.environment["PATH"], 1)
    return [subprocess.run(computer.host.arguments("env", "-i", *(f"{name}={value}" for name, value in given.items()), "setsid", "--wait",
                                                   "/bin/sh", "-c", job), cwd=computer.home, stdin=subprocess.DEVNULL,
                           capture_output=True, text=True, timeout=PATIENCE) for job in jobs]


def test_records_are_published_and_kept_alive_from_cron(internet, tmp_path):
    with recipe(internet, "Publishing from cron", tmp_path) as (one, server, client):
        one.make_key()
        announcing = one.next("server")
        keeping = one.next("client")

        def found():
            packet = json.loads(client.run(f"pkarr-resolve {one.key}"))
            return [(record["name"], record["address"]) for record in packet["records"]], packet["timestamp"]

        [first] = cron(server, announcing)
        assert (first.returncode, first.stdout) == (0, ""), first.stderr
        records, timestamp = found()
        assert records == [("www", "203.0.113.7")]
        # Again, with what has changed, and what others have added.
        (server.home / "records").write_text((server.home / "records").read_text().replace("203.0.113.7", "203.0.113.8"))
        (server.home / "others").write_text('{"records":[{"name":"mail","type":"A","ttl":60,"address":"203.0.113.9"}]}')
        server.run(f"pkarr-resolve {one.key} | pkarr-build --key secret --records others | pkarr-publish")
        [second] = cron(server, announcing)
        assert (second.returncode, second.stdout, second.stderr) == (0, "", "")
        records, later = found()
        assert sorted(records) == [("mail", "203.0.113.9"), ("www", "203.0.113.8")] and later > timestamp
        [kept] = cron(client, keeping)
        assert (kept.returncode, kept.stdout, kept.stderr) == (0, "", "")
        assert json.loads((client.home / "receipt").read_text())["stored"]
        # Where nobody answers, nothing is signed, nothing that was kept is lost, and cron has something to mail.
        before, kept = found(), (client.home / "kept").read_bytes()
        for computer, table in ((server, announcing), (client, keeping)):
            computer.site.go_away()
            [alone] = cron(computer, table)
            assert alone.returncode == 69 and alone.stderr
            computer.site.come_back()
        assert found() == before and (client.home / "kept").read_bytes() == kept


def test_each_stage_is_run_by_hand(internet, tmp_path):
    with recipe(internet, "Each stage by hand", tmp_path) as (one, server, client):
        one.make_key()
        listener = one.start("server", "listener.log")

        def announced():
            assert listener.poll() is None, server.logs()
            endpoint = server.home / "endpoint"
            return endpoint.exists() and endpoint.read_bytes().endswith(b"\n")

        wait_for(announced, "the endpoint")
        shown = [json.loads(line) for line in one.run("server").splitlines()]
        assert ["_iroh", "TXT", ["relay=https://relay.example/"]] in shown
        assert shown[-5] == one.key and shown[-3:-1] == [True, None] and 0 < shown[-1] <= 20
        assert one.run("client").splitlines()[-1] == "hello"


def test_every_recipe_is_run():
    assert TESTED == set(RECIPES)
