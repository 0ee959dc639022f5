import Platform

/// Where a datagram came from or goes to.
public struct NetworkPath: Hashable, Sendable {
    /// Which of the endpoint's sockets; the endpoint does not interpret it.
    public var socket: Int
    /// The local address the peer knows us by, on sockets bound to several; nil lets the system choose.
    public var local: IPAddress?
    public var remote: SocketAddress

    public init(socket: Int, local: IPAddress? = nil, remote: SocketAddress) {
        self.socket = socket
        self.local = local
        self.remote = remote
    }
}

/// Takes the datagrams that an endpoint wants sent.
public protocol DatagramSink: AnyObject {
    /// Sends datagrams of `segmentSize` bytes each, the last may be shorter, that stand one after the other in `bytes`. The bytes are
    /// taken, or lost as any datagram may be, when this returns.
    ///
    /// - Parameter ecn: The ECN bits of the IP header.
    /// - Returns: Whether more can be sent now; false once stops the round.
    func send(_ bytes: UnsafeRawBufferPointer, segmentSize: Int, on path: NetworkPath, ecn: UInt8) -> Bool
}

/// The names under which ngtcp2 knows the paths of a connection. A name is never used again: a server that shows ngtcp2 an old path
/// as new can be made to abort by its peer (spec/path-migration.md, W1).
struct PathNames {
    private struct Entry {
        var path: NetworkPath
        var destination: ConnectionID
        var name: UInt64
    }

    /// Paths remembered for late packets. A peer that hops faster than this only loses packets.
    private static let remembered = 8

    private var entries: [Entry]
    private var current: Int = 0

    init(_ path: NetworkPath, destination: ConnectionID, name: UInt64) {
        entries = [Entry(path: path, destination: destination, name: name)]
    }

    var currentPath: NetworkPath { entries[current].path }
    var currentName: UInt64 { entries[current].name }

    /// The name for a packet that came along `path` to the id `destination`. On the path in use the peer may change the id as it
    /// likes; elsewhere a new id means that it has come back, which is a new path.
    mutating func name(for path: NetworkPath, destination: ConnectionID, fresh: () -> UInt64) -> UInt64 {
        if entries[current].path == path { return entries[current].name }
        if let known = entries.first(where: { $0.path == path && $0.destination == destination }) { return known.name }
        if entries.count == Self.remembered {
            let oldest = current == 0 ? 1 : 0
            entries.remove(at: oldest)
            if current > oldest { current -= 1 }
        }
        let name = fresh()
        entries.append(Entry(path: path, destination: destination, name: name))
        return name
    }

    func path(named name: UInt64) -> NetworkPath? { entries.first { $0.name == name }?.path }

    /// Notes which path ngtcp2 sends on. Returns whether that is another than before.
    mutating func setCurrent(_ name: UInt64) -> Bool {
        guard name != entries[current].name, let index = entries.firstIndex(where: { $0.name == name }) else { return false }
        current = index
        return true
    }
}
