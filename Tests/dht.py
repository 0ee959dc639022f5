"""A client of the DHT in a few lines, made without our own code: what a test needs to store at and ask one node (BEP 5, BEP 44)."""
import hashlib
import socket

PATIENCE = 30


def bencode(value):
    if isinstance(value, int):
        return b"i%de" % value
    if isinstance(value, bytes):
        return b"%d:%s" % (len(value), value)
    return b"d" + b"".join(bencode(key) + bencode(value[key]) for key in sorted(value)) + b"e"


def field(answer, name, count=None):
    """The string called `name` in a bencoded answer, if it is there: enough for answers whose form is known."""
    start = answer.find(b"%d:%s" % (len(name), name))
    if start < 0:
        return None
    rest = answer[start + len(bencode(name)):]
    digits, _, data = rest.partition(b":")
    return data[:int(digits)] if digits.isdigit() else rest[1:rest.index(b"e")]


class Asker:
    """Asks one node from one address."""

    def __init__(self, node, source="127.0.0.1"):
        host, _, port = node.rpartition(":")
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind((source, 0))
        self.socket.connect((host, int(port)))
        self.socket.settimeout(PATIENCE)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def send(self, method, **arguments):
        query = {b"a": {b"id": b"i" * 20, **{name.encode(): value for name, value in arguments.items()}}, b"q": method.encode(),
                 b"ro": 1, b"t": b"tttt", b"y": b"q"}
        self.socket.send(bencode(query))

    def ask(self, method, **arguments):
        self.send(method, **arguments)
        return self.socket.recv(4096)

    def get(self, key):
        """(value, sequence) of a key's item; (None, None) without one."""
        answer = self.ask("get", target=hashlib.sha1(key.bytes).digest())
        value = field(answer, b"v") if field(answer, b"k") else None
        return value, value and int(field(answer, b"seq"))

    def put(self, key, value, sequence):
        """Whether the node has stored the item."""
        token = field(self.ask("get", target=hashlib.sha1(key.bytes).digest()), b"token")
        answer = self.ask("put", k=key.bytes, seq=sequence, sig=key.item(bencode(value), sequence), token=token, v=value)
        return b"1:y1:r" in answer
