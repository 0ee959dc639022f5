import Crypto
import Platform

/// Asks servers from which address they see us (RFC 8489, section 6.2.1), one round after the other. Sans-I/O.
///
/// A datagram is an answer only if it has the cookie and the transaction of a request under way, which nobody knows who has not seen the
/// request, and comes from where the request went. So it is told from QUIC's packets on the same socket with certainty (RFC 9443 would
/// do with the first byte).
public struct STUNClient {
    /// How long each of the requests waits for its answer, the last one in vain. RFC 8489 begins with 500 ms and goes on for 39 s, lest a
    /// server be flooded and because much depends on an answer. Here a request is 28 bytes to each of a few servers, most of which are
    /// nearer than 250 ms, nothing but a direct path's beginning waits for the answer, and the next round comes anyway.
    public static let waits: [Duration] = [.milliseconds(250), .milliseconds(500), .milliseconds(1000)]
    /// Servers asked in a round at most.
    public static let mostServers = 3

    private struct Request {
        var server: SocketAddress
        var transaction: [UInt8]
        var sent = 0
        var due: Instant
    }

    private var requests: [Request] = []

    public init() {}

    /// Whether answers are awaited.
    public var isAsking: Bool { !requests.isEmpty }

    /// Begins a round, which ends the one before.
    public mutating func ask(_ servers: some Sequence<SocketAddress>, now: Instant) {
        requests = servers.prefix(Self.mostServers).map { Request(server: $0, transaction: randomBytes(12), due: now) }
    }

    public mutating func stop() { requests = [] }

    /// The next datagram to send now; nil when none is due. Requests that have waited long enough are given up.
    public mutating func nextRequest(now: Instant) -> (datagram: [UInt8], server: SocketAddress)? {
        requests.removeAll { $0.sent == Self.waits.count && $0.due <= now }
        guard let index = requests.firstIndex(where: { $0.due <= now }) else { return nil }
        requests[index].due = now + Self.waits[requests[index].sent]
        requests[index].sent += 1
        return (STUNMessage.bindingRequest(transaction: requests[index].transaction).encoded, requests[index].server)
    }

    /// When ``nextRequest(now:)`` is to be called; nil between rounds.
    public var deadline: Instant? { requests.map(\.due).min() }

    /// Whether it is worth a closer look. The first two bits of a STUN message are zero; a QUIC packet has one of them set (RFC 9443,
    /// section 2).
    public static func mayBeAnswer(_ datagram: UnsafeRawBufferPointer) -> Bool {
        (20...STUNMessage.largest).contains(datagram.count) && datagram[0] < 0x40
    }

    /// What an answer brought.
    public enum Outcome: Equatable, Sendable {
        /// The server sees us there.
        case mapped(SocketAddress)
        /// It would not tell, or told nothing that can be an address of ours.
        case refused
    }

    /// Takes an answer to a request under way.
    ///
    /// - Returns: Nil when the datagram is none, but somebody else's.
    public mutating func take(_ datagram: UnsafeRawBufferPointer, from server: SocketAddress) -> Outcome? {
        guard Self.mayBeAnswer(datagram),
            let index = requests.firstIndex(where: { $0.server == server && $0.transaction.elementsEqual(datagram[8..<20]) }),
            let message = try? STUNMessage(decoding: Array(datagram)), message.kind != .bindingRequest
        else { return nil }
        requests.remove(at: index)
        guard let mapped = message.mappedAddress, mapped.ip.isV6 == server.ip.isV6, mapped.port != 0, mapped.ip.scope != .link else { return .refused }
        return .mapped(mapped)
    }
}
