"""Which path a connection between two kinds of network has to take, by what both do to datagrams and by nothing else.

Without punching, a listener is dialled directly where anybody may send to it unasked and it knows the address to announce: its own where
nothing is translated, or one that the user has configured. With it, both send to whatever the other has heard of its own address from a
STUN server, a router that has opened a port, or its user, and go on from there:

| to an end | gets through | because |
|---|---|---|
| that is open: filters endpoint-independently or not at all, or has had a port opened | everybody | its address is known, and nobody has to be expected |
| that maps endpoint-independently, or does not translate | who does so too | it has sent to where the other comes from |
| whose mapping depends on the destination | nobody | its address is another than anybody knows |

Whoever gets through one way has both, since an answer passes every filter. What crosses neither way takes the relay, as do pairs of which
one passes no UDP, and those without a family of addresses in common. test_punchability shows by experiment that the table is right.
"""
from NATLab.behaviour import BLOCKED, INDEPENDENT, UNTRANSLATED

DIRECT, RELAY = "direct", "relay"
# Whether the commands punch holes.
PUNCHING = True


def expected(listener, dialler):
    """The path for two kinds."""
    return DIRECT if (punchable if PUNCHING else dialable)(listener, dialler) else RELAY


def dialable(listener, dialler):
    """Whether a direct path comes about as soon as one side sends."""
    behaviour = listener.behaviour
    announced = behaviour.mapping == UNTRANSLATED or "--address" in listener.options
    return passes(listener, dialler) and (are_neighbours(listener, dialler) or behaviour.unasked and announced)


def punchable(listener, dialler):
    """Whether one comes about when both do all they can, short of guessing ports."""
    # A port is forwarded to the listener; who dials from there is another host.
    forwarded = listener.behaviour.unasked
    return passes(listener, dialler) and (
        are_neighbours(listener, dialler) or forwarded or is_open(listener) or is_open(dialler)
        or maps_alike(listener) and maps_alike(dialler))


def passes(one, other):
    """Whether there is anything but the relay to try."""
    return BLOCKED not in (one.behaviour.mapping, other.behaviour.mapping) and bool(set(one.families) & set(other.families))


def are_neighbours(one, other):
    return one.together and one.name == other.name and one.behaviour.neighbours


def is_open(kind):
    """Whether a host there can have an address that is known and takes what comes from anybody."""
    return kind.behaviour.opens_ports or maps_alike(kind) and kind.behaviour.filtering == INDEPENDENT


def maps_alike(kind):
    """Whether a peer sees the same address as a STUN server."""
    return kind.behaviour.mapping in (UNTRANSLATED, INDEPENDENT)
