import HTTPServer
import Pkarr

/// The puts of one key: one is under way, newer packets wait for their turn.
///
/// Only whoever signs with the key can make a newer packet, so nobody else can fill the line.
struct PutLine {
    /// A packet with those who want it to be put.
    struct Place {
        var packet: SignedPacket
        var exchanges: [HTTPExchange]
    }

    enum Entry {
        /// It is under way now, nothing was.
        case isFirst
        /// It waits, or has joined its like.
        case waits
        /// A more recent packet is under way or waits.
        case isOlder
        case isFull
    }

    /// Packets that wait. A put takes a second or two in the public DHT: the last of them waits no longer than a patient client.
    static let mostWaiting = 8

    private(set) var underWay: Place?
    private var waiting: [Place] = []

    mutating func join(_ packet: SignedPacket, _ exchange: HTTPExchange) -> Entry {
        guard underWay != nil else {
            underWay = Place(packet: packet, exchanges: [exchange])
            return .isFirst
        }
        if underWay?.packet == packet {
            underWay?.exchanges.append(exchange)
            return .waits
        }
        if let index = waiting.firstIndex(where: { $0.packet == packet }) {
            waiting[index].exchanges.append(exchange)
            return .waits
        }
        guard let newest = waiting.last?.packet ?? underWay?.packet, packet.isMoreRecent(than: newest) else { return .isOlder }
        guard waiting.count < PutLine.mostWaiting else { return .isFull }
        waiting.append(Place(packet: packet, exchanges: [exchange]))
        return .waits
    }

    /// Ends the put that is under way. The next one is under way then, if any waits.
    mutating func next() -> Place? {
        underWay = waiting.isEmpty ? nil : waiting.removeFirst()
        return underWay
    }

    /// Leaves only these to be answered when the put that is under way ends.
    mutating func keep(_ exchanges: [HTTPExchange]) { underWay?.exchanges = exchanges }
}
