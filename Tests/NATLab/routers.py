"""What routers do with packets, as rules of nftables. Each class is one device; several in series make a carrier's network.

A router has an interface `wan` towards the Internet and a bridge `lan` towards the hosts. `rules()` is what nft(8) reads.

Linux's own `masquerade` keeps the port where it can, which looks endpoint-independent until two hosts use one port: then both have the same
public one as long as they send to different destinations (port overloading, RFC 4787, section 4.2), and one of them gets another when they
send to the same. Here the mapping is decided by two tables instead, learnt from the first packet of a flow: `outgoing` from the host's
address and port to the public port, and `incoming` back. What `outgoing` knows is used again for every destination, which is what RFC 4787
calls endpoint-independent mapping, and `incoming`, where it is consulted for packets that belong to no flow, is endpoint-independent
filtering.
"""
from dataclasses import dataclass

# Where the lifetime of mappings is not what is looked at: RFC 4787, REQ-5, wants at least two minutes.
LIFETIME = 120

FORWARD = """
    chain forward {{
        type filter hook forward priority filter; policy drop
        {refused}
        ct state established,related accept
        ct status dnat accept
        {passed}
    }}
    chain input {{
        type filter hook input priority filter; policy drop
        ct state established,related accept
        iifname != "wan" accept
        meta l4proto {{ icmp, ipv6-icmp }} accept
    }}
"""


@dataclass(frozen=True)
class NAT:
    """Translates IPv4 addresses and ports (NAPT).

    `random` gives each flow a port of its own (address and port-dependent mapping), `open` lets in what nobody asked for on ports that are
    mapped (endpoint-independent filtering), `hairpin` lets hosts reach each other's public ports from inside, `forwarded` are UDP ports
    that always go to the first host, `refused` is a rule for what may not leave, `lifetime` how many seconds a UDP mapping lives unused,
    `daemon` the program that runs on the router.
    """

    random: bool = False
    open: bool = False
    hairpin: bool = False
    forwarded: tuple = ()
    refused: str = ""
    lifetime: int = LIFETIME
    daemon: object = None

    # What `rules` remembers by itself.
    learnt = ("map ip nat outgoing", "map ip nat incoming", "set ip nat taken")

    def settings(self):
        return {"ipv4__ip_forward": 1, "netfilter__nf_conntrack_udp_timeout": self.lifetime,
                "netfilter__nf_conntrack_udp_timeout_stream": self.lifetime}

    def rules(self, router):
        public, inside = router.address, "" if self.hairpin else 'iifname "wan" '
        dnat = [f"{inside}ip daddr {public} udp dport {port} dnat to {router.first_host}:{port}" for port in self.forwarded]
        if self.open:
            dnat.append(f"{inside}ip daddr {public} dnat ip to udp dport map @incoming")
        if self.random:
            snat = [f"snat to {public} fully-random"]
        else:
            snat = ["snat ip to ip saddr . udp sport map @outgoing", f"udp sport @taken snat to {public} fully-random", f"snat to {public}"]
        within = f'oifname "lan" ip saddr {router.first_host}/24 ct status dnat '
        crossing = ['oifname "wan" ', *([within] if self.hairpin else [])]
        table = f"""
            size 65535
            flags dynamic,timeout
            timeout {self.lifetime}s
        """
        learnt = f'ip saddr {public} ct original ip saddr != {public} meta l4proto udp'
        between = "\n        "
        return f"""
table ip nat {{
    map outgoing {{
        type ipv4_addr . inet_service : ipv4_addr . inet_service{table}
    }}
    map incoming {{
        type inet_service : ipv4_addr . inet_service{table}
    }}
    set taken {{
        type inet_service{table}
    }}
    chain prerouting {{
        type nat hook prerouting priority dstnat
        {between.join(dnat)}
    }}
    chain postrouting {{
        type nat hook postrouting priority srcnat
        {between.join(where + rule for where in crossing for rule in snat)}
    }}
    chain learn {{
        type filter hook postrouting priority 200
        {learnt} update @outgoing {{ ct original ip saddr . ct original proto-src : ip saddr . udp sport }}
        {learnt} update @incoming {{ udp sport : ct original ip saddr . ct original proto-src }}
        {learnt} update @taken {{ udp sport }}
    }}
    {FORWARD.format(refused=self.refused, passed='iifname "lan" oifname "wan" accept')}
}}"""


@dataclass(frozen=True)
class Firewall:
    """Translates nothing and lets in only answers, of both families."""

    daemon: object = None
    learnt = ()

    def settings(self):
        return {"ipv4__ip_forward": 1, "ipv6__conf__all__forwarding": 1}

    def rules(self, router):
        return f"""
table inet firewall {{
    {FORWARD.format(refused="", passed='iifname "lan" accept')}
}}"""


@dataclass(frozen=True)
class PrefixTranslation:
    """NPTv6 (RFC 6296): puts a public prefix in the place of the private one, both of 48 bits, and changes the 16 bits behind it so that
    checksums stay right. Stateless, in both directions, and back inside where a host calls another by its public address.
    """

    daemon: object = None
    private: int = 0xFD93_7A5B_11C2
    learnt = ()

    def settings(self):
        return {"ipv6__conf__all__forwarding": 1}

    @staticmethod
    def translated(prefix, subnet, other):
        """The 64 bits with the other prefix: the one's complement sum of all four words stays what it was."""

        def fold(value):
            while value >> 16:
                value = (value & 0xFFFF) + (value >> 16)
            return value

        words = [prefix >> 32 & 0xFFFF, prefix >> 16 & 0xFFFF, prefix & 0xFFFF]
        others = [other >> 32 & 0xFFFF, other >> 16 & 0xFFFF, other & 0xFFFF]
        changed = fold(subnet + fold(sum(words)) + (fold(sum(others)) ^ 0xFFFF))
        return other << 16 | (0 if changed == 0xFFFF else changed)

    def rules(self, router):
        private = self.private << 16 | router.subnet
        public = self.translated(self.private, router.subnet, router.prefix)
        text = [":".join(f"{prefix >> shift & 0xFFFF:x}" for shift in (48, 32, 16, 0)) + "::/64" for prefix in (private, public)]
        return f"""
table ip6 prefix {{
    chain prerouting {{
        type filter hook prerouting priority raw
        iifname "lan" ip6 daddr {text[1]} meta mark set 1
        ip6 daddr {text[1]} @nh,192,64 set {private:#018x}
    }}
    chain postrouting {{
        type filter hook postrouting priority 300
        oifname "wan" ip6 saddr {text[0]} @nh,64,64 set {public:#018x}
        meta mark 1 ip6 saddr {text[0]} @nh,64,64 set {public:#018x}
    }}
}}"""

