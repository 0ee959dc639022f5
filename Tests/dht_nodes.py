"""DHT nodes whose answers a test decides, for what no honest node does."""
import hashlib
import socket
import threading

import libtorrent


class StandIn:
    """A node on 127.0.0.1 that answers every `get` with the same, and every `put`.

    item is what it puts into its answer to `get`: {} for nothing, {"seq":…, "k":…, "sig":…, "v":…} for an item, a list [code, text] for an
    error, and None for silence; put is its answer to `put` in the same way. It names all nodes of its network, and keeps nothing.
    """

    def __init__(self, number, item):
        self.id = hashlib.sha1(b"%d" % number).digest()
        self.item, self.put = item, {}
        self.neighbours = []
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.1", 0))
        self.port = self.socket.getsockname()[1]
        self.address = f"127.0.0.1:{self.port}"
        self.thread = threading.Thread(target=self.serve, daemon=True)

    def serve(self):
        while True:
            datagram, source = self.socket.recvfrom(2048)
            if not datagram:
                return
            query = libtorrent.bdecode(datagram)
            said = {b"get": self.item, b"put": self.put}.get(query.get(b"q"), {})
            # A node that is silent to a get is dead to all.
            if said is None or self.item is None or query[b"y"] != b"q":
                continue
            answer = {b"t": query[b"t"]}
            if isinstance(said, list):
                code, text = said
                answer |= {b"y": b"e", b"e": [code, text.encode()]}
            else:
                nodes = b"".join(node.id + socket.inet_aton("127.0.0.1") + node.port.to_bytes(2) for node in self.neighbours)
                answer |= {b"y": b"r", b"r": {b"id": self.id, b"token": b"token", b"nodes": nodes} | {
                    name.encode(): value for name, value in said.items()}}
            self.socket.sendto(libtorrent.bencode(answer), source)

    def stop(self):
        # An empty datagram to oneself ends the thread.
        self.socket.sendto(b"", ("127.0.0.1", self.port))
        self.thread.join()
        self.socket.close()


def item_of(key, value, seq):
    """What a node that holds this value answers with."""
    return {"k": key.bytes, "seq": seq, "sig": key.item(b"%d:%s" % (len(value), value), seq), "v": value}


class StandIns:
    """A network of such nodes that all know each other."""

    def __init__(self, items):
        self.nodes = [StandIn(number, item) for number, item in enumerate(items)]
        for node in self.nodes:
            node.neighbours = self.nodes
            node.thread.start()

    def stop(self):
        for node in self.nodes:
            node.stop()
