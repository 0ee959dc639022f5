"""Which path a connection between two kinds of network has to take.

| a listener behind | can be dialled directly by | because |
|---|---|---|
| none, ipv6-only | everybody of a family in common | its own addresses are public and nothing filters |
| forwarded | everybody with IPv4 | the user has forwarded a port and announces it |
| same-lan | the other host of the same network | it announces its local address |
| anything else | nobody | nobody may send to it unasked, or it does not know its public address |

A direct path needs UDP at both ends. Where there is none, the path is the relay's. This is what can be had without punching holes; whoever
teaches the commands to ask a STUN server, to have ports opened or to punch adds the rule here, and the matrix holds them to it.
"""
from NATLab.behaviour import BLOCKED

DIRECT, RELAY = "direct", "relay"
OPEN = {"none", "ipv6-only", "forwarded"}
LAN = {"same-lan"}


def expected(listener, dialler):
    """The path for two kinds."""
    passes = BLOCKED not in (listener.behaviour.mapping, dialler.behaviour.mapping)
    common = set(listener.families) & set(dialler.families)
    if listener.name in OPEN and passes and common:
        return DIRECT
    if listener.name in LAN and dialler.name == listener.name:
        return DIRECT
    return RELAY
