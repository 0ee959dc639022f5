"""The kinds of network that people are behind. `matrix --list` prints what is said here of each."""
from dataclasses import dataclass, replace

from NATLab.behaviour import ADDRESS_AND_PORT, BLOCKED, INDEPENDENT, UNTRANSLATED, Behaviour
from NATLab.daemons import LAN, PROXY_PORT, miniupnpd, tinyproxy
from NATLab.routers import NAT, Firewall, PrefixTranslation

DOCUMENTATION = "198.51.100"
# miniupnpd refuses to open ports on addresses that it knows to be nobody's, so its router needs one of the others.
UNRESERVED = "11.92.0"
FORWARDED_PORT = 4433
# As RFC 6888 wants a carrier's: whoever knows a subscriber's mapped port can send to it, even from inside.
CARRIER_GRADE = NAT(open=True, hairpin=True)


@dataclass(frozen=True)
class Kind:
    """A kind of network: its routers from the Internet inwards, and what a probe has to find there.

    `options` are what a user there gives quic-listen, with {public} for the site's address; `environment` what is set for every program;
    `is_routed` says that the only router has no public address of its own, because it translates nothing; `together` that two of the kind
    are hosts of one network.
    """

    name: str
    about: str
    behaviour: Behaviour
    routers: tuple = ()
    families: tuple = (4,)
    is_routed: bool = False
    together: bool = False
    network: str = DOCUMENTATION
    options: tuple = ()
    environment: tuple = ()

    def but(self, **changes):
        """The same with other routers, or another behaviour."""
        return replace(self, **changes)


KINDS = {}


def kind(function):
    """Takes a kind into the table under the name of the function that describes it."""
    name = function.__name__.replace("_", "-")
    KINDS[name] = Kind(name, " ".join(function.__doc__.split()), **function())
    return function


# What is seen of a household's router, unless something is done about it.
HOUSEHOLD = Behaviour(mapping=INDEPENDENT, filtering=ADDRESS_AND_PORT, unasked=False, neighbours=True, hairpin=False)


@kind
def none():
    """A host with public addresses of both families and nothing in front of it: a rented server, or a university network of the old kind.
    No translation and no filtering."""
    return {"families": (4, 6), "behaviour": Behaviour(mapping=UNTRANSLATED, filtering=INDEPENDENT, unasked=True)}


@kind
def full_cone():
    """A router that uses one public port for all that a socket sends and lets everybody send to it: endpoint-independent mapping and
    filtering (RFC 4787, sections 4.1 and 5), with hairpinning. Some household routers behave so for games ("NAT type open"), as do many
    carriers. Nobody can send there before the host has sent something, and the host has to be told its public port by a STUN server."""
    return {"routers": (NAT(open=True, hairpin=True),),
            "behaviour": Behaviour(mapping=INDEPENDENT, filtering=INDEPENDENT, unasked=False, neighbours=True, hairpin=True)}


@kind
def home():
    """The usual router of a household, most of which run Linux: one public port for all that a socket sends (endpoint-independent
    mapping), and in comes only what answers, from the very address and port that was sent to (address and port-dependent filtering). No
    hairpinning. Two such can be joined by punching a hole."""
    return {"routers": (NAT(),), "behaviour": HOUSEHOLD}


@kind
def symmetric():
    """A NAT that takes another random public port for each destination: address and port-dependent mapping and filtering, against REQ-1 of
    RFC 4787. Many company firewalls (pfSense and OPNsense as they come, among others) and some mobile carriers behave so. What a STUN
    server sees is not what another peer would see, so that a hole can be punched only to somebody who filters less."""
    return {"routers": (NAT(random=True),),
            "behaviour": Behaviour(mapping=ADDRESS_AND_PORT, filtering=ADDRESS_AND_PORT, unasked=False, neighbours=True, hairpin=False)}


@kind
def carrier():
    """A household's router behind the carrier's own NAT (CGN, NAT444), with 100.64.0.0/10 (RFC 6598) in between, as on many mobile, cable
    and fibre lines. The carrier's NAT is what RFC 6888 asks for, endpoint-independent in both respects, and the one at home decides what
    comes in: endpoint-independent mapping, address and port-dependent filtering. No port can be opened, since the carrier's router does
    not belong to the subscriber."""
    return {"routers": (CARRIER_GRADE, NAT()), "behaviour": HOUSEHOLD}


@kind
def firewall():
    """Public addresses of both families behind a firewall that lets in only answers, as IPv6 is served in households (RFC 6092) and both
    families in companies and universities. No translation, address and port-dependent filtering."""
    return {"routers": (Firewall(),), "families": (4, 6), "is_routed": True,
            "behaviour": Behaviour(mapping=UNTRANSLATED, filtering=ADDRESS_AND_PORT, unasked=False)}


@kind
def forwarded():
    """A household's router on which the user has forwarded a UDP port to the server, and told quic-listen so by --address. The port is
    reachable unasked; all others are as at home."""
    return {"routers": (NAT(forwarded=(FORWARDED_PORT,)),), "behaviour": HOUSEHOLD.but(unasked=True),
            "options": ("--bind", f"0.0.0.0:{FORWARDED_PORT}", "--address", f"{{public}}:{FORWARDED_PORT}")}


@kind
def upnp():
    """A household's router that opens ports for hosts which ask by UPnP IGD, NAT-PMP (RFC 6886) or PCP (RFC 6887): a real miniupnpd, which
    is what most such routers run. Until a host asks, it is as at home."""
    return {"routers": (NAT(daemon=miniupnpd),), "network": UNRESERVED, "behaviour": HOUSEHOLD.but(opens_ports=True)}


@kind
def udp_blocked():
    """A network that lets out TCP and drops all UDP, as hotels, hospitals and some companies do. QUIC can't pass; a relay on TCP can be
    reached."""
    return {"routers": (NAT(refused="meta l4proto udp drop"),),
            "behaviour": Behaviour(mapping=BLOCKED, filtering=BLOCKED, unasked=False, neighbours=True)}


@kind
def proxy():
    """A company network that lets no packet out. There is an HTTP proxy, named by the usual variables in the environment, which makes
    tunnels (CONNECT, RFC 9110, section 9.3.6) to ports 80 and 443."""
    url = f"http://{LAN}:{PROXY_PORT}"
    names = ("http_proxy", "https_proxy", "HTTPS_PROXY", "all_proxy")
    return {"routers": (NAT(refused="drop", daemon=tinyproxy),), "environment": tuple((name, url) for name in names),
            "behaviour": Behaviour(mapping=BLOCKED, filtering=BLOCKED, unasked=False, neighbours=True, tcp=False, proxied=True)}


@kind
def same_lan():
    """Two hosts behind one household router that does not send back what they send to its public address (no hairpinning), so that they
    meet only if they know each other's local addresses (quic-listen --lan). Against other kinds it is a home."""
    return {"routers": (NAT(),), "together": True, "options": ("--lan",), "behaviour": HOUSEHOLD}


@kind
def ipv6_only():
    """A host with a public IPv6 address and no IPv4 at all: the newer mobile and container networks, without the NAT64 that the former
    have. Nothing filters; whoever has IPv4 only can't reach it."""
    return {"families": (6,), "behaviour": Behaviour(mapping=UNTRANSLATED, filtering=INDEPENDENT, unasked=True)}


@kind
def nptv6():
    """Private IPv6 addresses whose prefix the router exchanges for a public one (NPTv6, RFC 6296): small companies with two lines, and
    OPNsense or OpenWrt set up so. One to one and stateless, so that mapping and filtering are endpoint-independent and hairpinning works;
    but the host does not know its public address."""
    return {"routers": (PrefixTranslation(),), "families": (6,),
            "behaviour": Behaviour(mapping=INDEPENDENT, filtering=INDEPENDENT, unasked=True, neighbours=True, hairpin=True)}
