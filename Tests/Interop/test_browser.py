"""A real browser fetches a packet through pkarr-serve, and puts one, from a page of another origin."""
import base64
import http.server
import json
import os
import shutil
import signal
import subprocess
import threading

import pytest

from conftest import PATIENCE

BROWSER = shutil.which("chromium") or shutil.which("chromium-browser")

PAGE = """<!doctype html><title>pkarr</title><body><script>
const relay = "%s", key = "%s", payload = Uint8Array.from(atob("%s"), (letter) => letter.charCodeAt(0));
async function run() {
  const seen = {};
  const before = await fetch(`${relay}/${key}`);
  seen.before = before.status;
  const put = await fetch(`${relay}/${key}`, {method: "PUT", body: payload, headers: {"X-Asks-First": "1"}});
  seen.put = put.status;
  seen.nodes = put.headers.get("Pkarr-Dht-Stored-Nodes");
  const got = await fetch(`${relay}/${key}?policy=NetworkOnly`, {cache: "no-store"});
  seen.got = got.status;
  seen.type = got.headers.get("Content-Type");
  seen.same = btoa(String.fromCharCode(...new Uint8Array(await got.arrayBuffer()))) === "%s";
  const old = await fetch(`${relay}/${key}`, {method: "PUT", body: new Uint8Array(2000)});
  seen.tooLong = old.status;
  const many = await Promise.all(Array.from({length: 60}, () => fetch(`${relay}/nonsense`, {cache: "no-store"})));
  seen.limited = many.some((answer) => answer.status === 429);
  return seen;
}
run().catch((error) => ({error: String(error)})).then((seen) => {
  document.body.innerText = "SEEN" + JSON.stringify(seen);
  return fetch("/seen", {method: "POST", body: JSON.stringify(seen)});
});
</script>"""


@pytest.fixture
def page():
    """page(text) -> (URL of a page with this text, of an origin of its own; an event and a list with what the page has reported)"""
    servers = []

    def page(text):
        reports, reported = [], threading.Event()

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                self.send_response(200)
                self.send_header("Content-Type", "text/html; charset=utf-8")
                self.end_headers()
                self.wfile.write(text.encode())

            def do_POST(self):
                reports.append(self.rfile.read(int(self.headers["Content-Length"])).decode())
                self.send_response(204)
                self.end_headers()
                reported.set()

            def log_message(self, *_):
                pass

        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        servers.append(server)
        return f"http://127.0.0.1:{server.server_address[1]}/", reported, reports

    yield page
    for server in servers:
        server.shutdown()
        server.server_close()


@pytest.mark.skipif(BROWSER is None, reason="no chromium")
def test_a_page_of_another_origin_fetches_and_puts_a_packet(service, page, new_key, tmp_path):
    node = service("pkarr-serve", "--dht-bind", "127.0.0.1:0", "--http", "127.0.0.1:0", "--exempt", "none")
    relay, key = node.next()["http"], new_key()
    encoded = base64.b64encode(key.payload()).decode()
    url, reported, reports = page(PAGE % (relay, key.name, encoded, encoded))
    browser = subprocess.Popen(
        [BROWSER, "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run", "--disable-background-networking",
         "--remote-debugging-port=0", f"--user-data-dir={tmp_path}/profile", url],
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)
    try:
        assert reported.wait(2 * PATIENCE), "the browser has not shown the page"
    finally:
        os.killpg(browser.pid, signal.SIGKILL)
        browser.wait()
    assert json.loads(reports[0]) == {
        "before": 404, "put": 204, "nodes": "1", "got": 200, "type": "application/pkarr.org/relays#payload", "same": True, "tooLong": 413,
        "limited": True}
