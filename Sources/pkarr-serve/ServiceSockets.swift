import Platform
import Toolkit

/// The sockets that a service manager has opened, by what they are for. They stay open while one process ends and the next begins.
struct ServiceSockets {
    private(set) var http: Int32?
    /// One a family of addresses at most.
    private(set) var dht: [Int32] = []
    private(set) var dns: [(address: SocketAddress, udp: Int32, tcp: Int32)] = []

    /// Takes them from the environment, once.
    init() throws {
        var streams: [(address: SocketAddress, socket: Int32)] = []
        var datagrams: [(address: SocketAddress, socket: Int32)] = []
        for socket in try ActivatedSockets.take() {
            let address = try Sockets.localAddress(socket.descriptor)
            let isStream = Sockets.isStream(socket.descriptor)
            switch (socket.name, isStream) {
            case ("http", true) where http == nil: http = socket.descriptor
            case ("dht", false): try take(dht: socket.descriptor, address)
            case ("dns", true): streams.append((address, socket.descriptor))
            case ("dns", false): datagrams.append((address, socket.descriptor))
            default:
                throw CommandError(
                    .configuration, "a \(isStream ? "stream" : "datagram") socket named \"\(printable(socket.name))\" was handed over",
                    hint: "in its unit, FileDescriptorName= is http (one ListenStream=), dht (ListenDatagram=) or dns (both)")
            }
        }
        for (address, udp) in datagrams {
            guard let index = streams.firstIndex(where: { $0.address == address }) else { throw Self.unpaired(address) }
            dns.append((address, udp, streams.remove(at: index).socket))
        }
        if let left = streams.first { throw Self.unpaired(left.address) }
    }

    private mutating func take(dht socket: Int32, _ address: SocketAddress) throws {
        for other in dht where try Sockets.localAddress(other).ip.isV6 == address.ip.isV6 {
            throw CommandError(.configuration, "two sockets for the DHT of one family of addresses were handed over",
                               hint: "a node has one address of IPv4 and one of IPv6")
        }
        dht.append(socket)
    }

    private static func unpaired(_ address: SocketAddress) -> CommandError {
        CommandError(.configuration, "a socket for DNS at \(address) was handed over alone", hint: "DNS needs both ListenDatagram= and ListenStream=")
    }
}
