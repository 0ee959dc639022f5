"""Programs that run on a router."""
import contextlib
import socket
import subprocess

from NATLab.namespaces import Refused, wait_for

LAN, PROXY_PORT = "192.168.1.1", 3128


def start(site, router, name, *arguments, port, kind):
    """Runs a program on the router until it listens on the port."""
    path = site.internet.path(f"{site.name}-{name}.log")
    with open(path, "wb") as log:
        process = router.start(name, *arguments, stdout=log, stderr=subprocess.STDOUT)

    def listens():
        if process.poll() is not None:
            raise Refused(f"{name} ended with {process.returncode}: {path.read_text(errors='replace')[-500:]}")
        # A port that can't be had any more is in use.
        with router.inside(), contextlib.closing(socket.socket(socket.AF_INET, kind)) as ours:
            try:
                ours.bind(("", port))
            except OSError:
                return True
        return False

    wait_for(listens, name)


def tinyproxy(site, router):
    """An HTTP proxy for the hosts, which makes tunnels (CONNECT) to ports 80 and 443 only."""
    settings = site.internet.path(f"{site.name}-tinyproxy.conf")
    lines = (f"Port {PROXY_PORT}", f"Listen {LAN}", "Timeout 600", "MaxClients 100", "ConnectPort 80", "ConnectPort 443",
             "LogLevel Warning")
    settings.write_text("\n".join((*lines, "")))
    start(site, router, "tinyproxy", "-d", "-c", settings, port=PROXY_PORT, kind=socket.SOCK_STREAM)


def miniupnpd(site, router):
    """Opens ports for hosts that ask by UPnP IGD, NAT-PMP or PCP."""
    router.rules("""
table inet opened {
    chain forwarding {
    }
    chain destinations {
    }
    chain sources {
    }
    chain forward {
        type filter hook forward priority -1
        jump forwarding
    }
    chain prerouting {
        type nat hook prerouting priority -101
        jump destinations
    }
    chain postrouting {
        type nat hook postrouting priority 99
        jump sources
    }
}""")
    settings = site.internet.path(f"{site.name}-miniupnpd.conf")
    settings.write_text(f"""ext_ifname=wan
listening_ip=lan
ipv6_disable=yes
enable_natpmp=yes
enable_upnp=yes
secure_mode=yes
upnp_table_name=opened
upnp_nat_table_name=opened
upnp_forward_chain=forwarding
upnp_nat_chain=destinations
upnp_nat_postrouting_chain=sources
uuid=6b8f6b1a-3f0e-4d0f-9c0a-0000000000{site.number:02x}
allow 1024-65535 192.168.1.0/24 1024-65535
deny 0-65535 0.0.0.0/0 0-65535
""")
    process_id = site.internet.path(f"{site.name}-miniupnpd.pid")
    start(site, router, "miniupnpd", "-d", "-f", settings, "-P", process_id, port=5351, kind=socket.SOCK_DGRAM)
