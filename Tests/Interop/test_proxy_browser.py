"""A real browser, set up by the proxy's own file, shows a homeserver's page by its key, and other pages get nothing by it."""
import json
import os
import shutil
import signal
import subprocess
import threading

import pytest

from conftest import PATIENCE, lines
from quic_commands import LISTENER, id_of
from scripted_servers import Pages, echo_websocket


BROWSER = shutil.which("chromium") or shutil.which("chromium-browser")
pytestmark = pytest.mark.skipif(BROWSER is None, reason="no chromium")
KEY = id_of(LISTENER)
OBJECTS = 50

REPORT = """
run().catch((error) => ({error: String(error)})).then((seen) => fetch("/seen", {method: "POST", body: JSON.stringify(seen)}));
"""
SCRIPTS = "".join(f'<script src="/object/{number}"></script>' for number in range(OBJECTS))
PAGE = """<!doctype html><title>home</title>""" + SCRIPTS + """<script>
async function run() {
  const seen = {origin: location.origin, loaded: window.loaded};
  const posted = await fetch("/echo", {method: "POST", body: "x".repeat(1 << 20)});
  seen.posted = (await posted.text()).length;
  seen.path = posted.headers.get("X-Pubky-Path");
  seen.via = posted.headers.get("Via");
  seen.socket = await new Promise((resolve, reject) => {
    const socket = new WebSocket(`ws://${location.host}/socket`);
    socket.onopen = () => socket.send("hello");
    socket.onmessage = (event) => { resolve(event.data); socket.close(); };
    socket.onerror = () => reject("the WebSocket failed");
  });
  const stream = (await fetch("/slow")).body.getReader();
  seen.pieces = 0;
  while (!(await stream.read()).done) seen.pieces += 1;
  return seen;
}
window.onload = () => { """ + REPORT + """ };
</script>"""

EVIL = """<!doctype html><title>evil</title><script>
const key = "http://%s", proxy = "%s";
async function outcome(work) { try { const answer = await work(); return answer.type + answer.status; } catch { return "failed"; } }
async function run() {
  const seen = {};
  seen.read = await outcome(() => fetch(`${key}/private`));
  seen.put = await outcome(() => fetch(`${key}/private`, {method: "PUT", body: "x"}));
  seen.form = await outcome(() => fetch(`${key}/act`, {method: "POST", mode: "no-cors", body: "x"}));
  seen.socket = await new Promise((resolve) => {
    const socket = new WebSocket(`ws://%s/socket`);
    socket.onopen = () => resolve("open");
    socket.onerror = () => resolve("failed");
  });
  seen.status = await outcome(() => fetch(`${proxy}/`));
  seen.configuration = await outcome(() => fetch(`${proxy}/proxy.pac`));
  // The answer is there but can't be read; that it is a refusal shows in what the proxy counts.
  seen.blind = await outcome(() => fetch(`${proxy}/`, {mode: "no-cors"}));
  return seen;
}
""" % (KEY, "%s", KEY) + REPORT + "</script>"


class Reports(Pages):
    """A server with pages of its own, and what they reported."""

    def __init__(self, answer):
        self.reported, self.reports = threading.Event(), []

        def serve(connection, request):
            if request.target == "/seen":
                self.reports.append(json.loads(request.body()))
                connection.answer(b"")
                self.reported.set()
                return True
            return answer(connection, request)

        super().__init__(serve)


def homeserver(connection, request):
    if request.target == "/":
        connection.answer(PAGE.encode(), "Content-Type: text/html; charset=utf-8")
    elif request.target.startswith("/object/"):
        connection.answer(b"window.loaded = (window.loaded || 0) + 1;", "Content-Type: text/javascript")
    elif request.target == "/echo":
        connection.answer(request.body())
    elif request.target == "/socket":
        return echo_websocket(connection, request)
    elif request.target == "/slow":
        connection.send("HTTP/1.1 200 OK", "Transfer-Encoding: chunked")
        for _ in range(10):
            connection.socket.sendall(b"1\r\nx\r\n")
        connection.socket.sendall(b"0\r\n\r\n")
    else:
        connection.answer(request.body(), status="404 Not Found")


@pytest.fixture
def browser(tmp_path):
    """browser(url, option…) -> a browser that shows it"""
    started = []

    def browser(url, *options):
        started.append(subprocess.Popen(
            [BROWSER, "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run", "--disable-background-networking",
             "--remote-debugging-port=0", f"--user-data-dir={tmp_path}/profile", *options, url],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True))

    yield browser
    for process in started:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


@pytest.fixture
def proxy(run, service, listen_for, key_file, tmp_path):
    """proxy(backend) -> its URL"""

    def proxy(backend):
        records = run("iroh-txt", "encode", input=lines(listen_for(backend.address).endpoint)).bytes
        packet = run("pkarr-build", "--key", key_file(), input=records).objects[0]
        bridge = service("tunnel-bridge", "proxy", "--socket", tmp_path / "proxy.sock", "--listen", "127.0.0.1:0", "--allow-local")
        address = bridge.next()["listening"]
        bridge.process.stdin.write(lines(packet))
        bridge.process.stdin.flush()
        service("quic-dial", "--bridge", tmp_path / "proxy.sock")
        return f"http://{address}"

    return proxy


def test_a_page_with_all_that_belongs_to_it_is_shown_by_its_key(proxy, browser):
    backend = Reports(homeserver)
    url = proxy(backend)
    browser(f"http://{KEY}/", f"--proxy-pac-url={url}/proxy.pac")
    assert backend.reported.wait(2 * PATIENCE), [request.target for request in backend.requests]
    seen = backend.reports[0]
    assert seen.pop("pieces") >= 1
    assert seen == {"origin": f"http://{KEY}", "loaded": OBJECTS, "posted": 1 << 20, "path": "direct", "via": "1.1 keyhole", "socket": "hello"}
    # A browser opens six connections to a host, and the proxy no more to the homeserver, but for the WebSocket.
    assert backend.connections <= 8
    backend.close()


def test_a_page_of_another_site_gets_nothing_by_it(proxy, browser):
    backend = Pages(homeserver)
    url = proxy(backend)
    site = Reports(lambda connection, request: connection.answer((EVIL % url).encode(), "Content-Type: text/html; charset=utf-8"))
    browser(f"http://{site.address}/", f"--proxy-pac-url={url}/proxy.pac")
    assert site.reported.wait(2 * PATIENCE)
    seen = site.reports[0]
    assert seen.pop("blind") in ("opaque0", "failed")
    # A form that was refused looks like any other to the page.
    assert seen.pop("form") in ("opaque0", "failed")
    assert set(seen.values()) == {"failed"}
    # What the homeserver was asked it has not allowed; what nobody would have asked it about has not come.
    assert {(request.method, request.target) for request in backend.requests} <= {("GET", "/private"), ("OPTIONS", "/private")}
    assert ("GET", "/private") in {(request.method, request.target) for request in backend.requests}
    backend.close()
    site.close()
