"""What a service manager does with a service that has sockets: opens them, starts it with them, and restarts it while they stay open.

    service_manager.py NAME=tcp:ADDR:PORT… NAME=udp:ADDR:PORT… -- PROGRAM ARGUMENT…

SIGHUP is `systemctl restart`: SIGTERM to the service, and the next one when it has ended. SIGTERM ends both. SIGUSR1 and SIGUSR2 are the two
halves of a restart; "ended" on standard error tells that the first is done. The service's output is its own. When the service ends by
itself, so does this, with its status.
"""
import ctypes
import os
import signal
import socket
import sys

FIRST = 3


def opened(kind, address):
    host, port = address.rsplit(":", 1)
    host = host.strip("[]")
    one = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_STREAM if kind == "tcp" else socket.SOCK_DGRAM)
    if one.family == socket.AF_INET6:
        one.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
    if kind == "tcp":
        one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    one.bind((host, int(port)))
    if kind == "tcp":
        one.listen(4096)
    return one


def start(sockets, program):
    child = os.fork()
    if child:
        return child
    signal.pthread_sigmask(signal.SIG_SETMASK, [])
    # Whatever becomes of this process, the service does not outlive it (PR_SET_PDEATHSIG).
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)
    # Above all numbers that they get, so that none is overwritten.
    copies = [os.dup2(one.fileno(), FIRST + len(sockets) + 100 + index) for index, (_, one) in enumerate(sockets)]
    for index, copy in enumerate(copies):
        os.dup2(copy, FIRST + index)
    os.closerange(FIRST + len(sockets), 1000)
    os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS=str(len(sockets)), LISTEN_FDNAMES=":".join(name for name, _ in sockets))
    os.execvp(program[0], program)


def main():
    split = sys.argv.index("--")
    sockets, program = [], sys.argv[split + 1:]
    for given in sys.argv[1:split]:
        name, _, rest = given.partition("=")
        kind, _, address = rest.partition(":")
        sockets.append((name, opened(kind, address)))
    signals = {signal.SIGHUP, signal.SIGTERM, signal.SIGINT, signal.SIGUSR1, signal.SIGUSR2, signal.SIGCHLD}
    signal.pthread_sigmask(signal.SIG_BLOCK, signals)
    child = start(sockets, program)
    while True:
        number = signal.sigwait(signals)
        if number == signal.SIGCHLD:
            # Of a child that has been waited for, too.
            if child and os.waitid(os.P_PID, child, os.WEXITED | os.WNOHANG | os.WNOWAIT):
                sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
            continue
        if number != signal.SIGUSR2 and child:
            os.kill(child, signal.SIGTERM)
            status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
            child = None
            print("ended", file=sys.stderr, flush=True)
            if status != 0:
                sys.exit(status)
        if number in (signal.SIGTERM, signal.SIGINT):
            return
        if number != signal.SIGUSR1:
            child = start(sockets, program)


main()
