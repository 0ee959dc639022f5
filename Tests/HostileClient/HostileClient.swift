import Crypto
import HostileKeys
import Iroh
import Platform
import QUIC

/// A client that proves its key as any other and then sends what it likes, from wherever it likes: small packets and large ones, in any
/// order and several times over, to ids new and old, faster than any answer comes.
public final class HostileClient<Source: Choices> {
    /// How a session behaves; it stays so, because what leads somewhere has to be done for a while.
    private struct Temper {
        var acknowledges: Int
        var answersChallenges: Int
        var replacesIDs: Int
        var pads: Int
        var paths: Int
        var haste: Int
        var slips: Int

        init(_ choices: inout Source) {
            // Out of four.
            acknowledges = choices.next(5)
            answersChallenges = choices.next(5)
            replacesIDs = choices.next(5)
            pads = choices.next(5)
            paths = 2 + choices.next(6)
            haste = choices.next(4)
            // Whether it does what ends the connection at once.
            slips = choices.next(4)
        }
    }

    private let network: HostileNetwork
    public var choices: Source
    private var temper: Temper
    private let number: UInt64
    private var keys: (out: OpaquePointer, in: [OpaquePointer])
    private var secrets: (out: [UInt8], in: [UInt8], headerOut: [UInt8])
    private var phase: UInt8 = 0
    private var packetNumber: UInt64 = 1000
    /// Ids that the server has issued, by their sequence numbers.
    private var serverIDs: [(sequence: UInt64, id: [UInt8])]
    /// The last one of its own. The client that connected has issued as many as a server of ours takes.
    private var ownSequence: UInt64 = 7
    private var issued: [UInt64] = []
    private var tokens: [[UInt8]] = []
    private var owed: Int = 0
    private var challenges: [(data: [UInt8], path: NetworkPath)] = []
    private var largest: UInt64 = 0
    private var received: Set<UInt64> = []
    private var path: NetworkPath
    private var id: [UInt8]
    private var streams: [UInt64: UInt64] = [:]
    public private(set) var isOver = false
    public private(set) var sent = 0

    /// Connects; nil when the server takes no connection.
    public init?(to network: HostileNetwork, choosing choices: Source, number: UInt64) {
        self.network = network
        self.choices = choices
        self.number = number
        temper = Temper(&self.choices)
        path = Self.path(0, number)
        guard let handshake = network.handshake(from: path) else { return nil }
        secrets = (handshake.client, handshake.server, handshake.client)
        keys = (hostile_keys_new(handshake.client, handshake.client), [hostile_keys_new(handshake.server, handshake.server)])
        serverIDs = [(0, handshake.serverID)]
        id = handshake.serverID
        for datagram in handshake.datagrams { read(datagram, from: path) }
    }

    deinit {
        hostile_keys_free(keys.out)
        keys.in.forEach(hostile_keys_free)
    }

    /// The places that a client may be at: addresses, some behind several of ours, and behind a relay.
    private static func path(_ place: Int, _ number: UInt64) -> NetworkPath {
        switch place {
        case 2: return NetworkPath(relay: 1, to: EndpointID(bytes: [UInt8](repeating: UInt8(truncatingIfNeeded: number), count: 32))!)
        case 4: return NetworkPath(relay: 1, to: EndpointID(bytes: [UInt8](repeating: UInt8(truncatingIfNeeded: number &+ 1), count: 32))!)
        case 5: return NetworkPath(transport: 0, local: IPAddress("198.51.100.1")!, remote: SocketAddress("192.0.2.1:4433")!)
        case 6: return NetworkPath(transport: 2, remote: SocketAddress("192.0.2.1:4433")!)
        default: return NetworkPath(transport: 0, remote: SocketAddress("192.0.2.1:\(4433 + place)")!)
        }
    }

    /// Sends one packet, most often a valid one, and lets some time pass.
    public func step() {
        if choices.once(in: 4) { path = Self.path(choices.next(temper.paths), number) }
        if choices.once(in: 4), let other = choices.recent(of: serverIDs) { id = other.id }
        var payload: [UInt8] = []
        if choices.next(4) < temper.acknowledges, !received.isEmpty { payload += Frame.ack(received) }
        var target = path
        while !challenges.isEmpty, payload.count < 800, choices.next(4) < temper.answersChallenges {
            let challenge = challenges.remove(at: choices.next(challenges.count))
            if !choices.once(in: 4) { target = challenge.path }
            payload += Frame.pathResponse(challenge.data)
            if choices.once(in: 8) { challenges.append(challenge) }
        }
        if owed > 0, choices.next(4) < temper.replacesIDs {
            for _ in 0..<min(owed, 8) { payload += newID() }
            owed = 0
        }
        for _ in 0..<choices.next(4) { payload += frame() }
        if payload.isEmpty { payload = Frame.ping }
        payload += [UInt8](repeating: 0, count: max(0, 4 - payload.count))
        if choices.next(4) < temper.pads { payload += [UInt8](repeating: 0, count: max(0, 1160 - payload.count)) }
        guard payload.count < 1400 else { return }
        send(payload, along: target)
        pass()
    }

    private func send(_ payload: [UInt8], along path: NetworkPath) {
        var number = packetNumber
        switch choices.next(32) {
        case 0: number = packetNumber &- UInt64(choices.next(64))
        case 1:
            packetNumber += UInt64(choices.next(4000))
            number = packetNumber
        default: break
        }
        packetNumber = max(packetNumber, number) + 1
        let length = choices.once(in: 8) ? 1 + choices.next(3) : 4
        var datagram = [UInt8](repeating: 0, count: 1 + id.count + length + payload.count + 16)
        // The fixed bit, or not: servers of ours do not mind (RFC 9287). The spin bit. The key phase.
        let first: UInt8 = (choices.once(in: 16) ? 0 : 0x40) | (choices.once(in: 4) ? 0x20 : 0) | phase << 2
        hostile_seal(keys.out, &datagram, first, id, id.count, number, length, payload, payload.count)
        if choices.once(in: 64) { datagram[choices.next(datagram.count)] ^= UInt8(1 << choices.next(8)) }
        if choices.once(in: 64) { datagram.removeLast(choices.next(datagram.count)) }
        sent += 1
        // Late, several times, from somewhere else too; or at once.
        for _ in 0..<(choices.once(in: 8) ? 3 : 1) {
            let from = choices.once(in: 16) ? Self.path(choices.next(temper.paths), self.number) : path
            network.send(datagram, from: from, after: choices.once(in: 6) ? .milliseconds(choices.next(120)) : .zero)
        }
    }

    private func frame() -> [UInt8] {
        switch choices.next(20) {
        case 0, 1, 2: return Frame.ping
        case 3, 4: return Frame.pathChallenge(choices.bytes(8))
        case 5: return Frame.pathResponse(choices.bytes(8))
        case 6: return temper.slips < 2 && choices.once(in: 8) ? newID() : []
        case 7, 8: return serverIDs.count < 3 ? [] : retire()
        case 9: return (0..<(1 + choices.next(6))).flatMap { _ in Frame.pathChallenge(choices.bytes(8)) }
        case 10: return Frame.of(0x10, UInt64(choices.next(1 << 15)) << 8)
        case 11: return Frame.of(0x12, 100)
        case 12: return Frame.of(0x14, UInt64(choices.next(1000)))
        case 13, 14, 15: return stream()
        case 16: return keyUpdate()
        case 17: return temper.slips == 0 && choices.once(in: 16) ? slip() : []
        default: return []
        }
    }

    private func stream() -> [UInt8] {
        let id = UInt64(choices.next(4)) * 4
        let offset = streams[id, default: 0]
        let bytes = [UInt8](repeating: 7, count: 1 + choices.next(200))
        streams[id] = offset + UInt64(bytes.count)
        switch choices.next(24) {
        case 0 where temper.slips < 2: return Frame.of(0x04, id, 9, offset)
        case 1: return Frame.of(0x05, id, 9)
        case 2: return Frame.of(0x11, id, 1 << 20)
        default: return Frame.stream(id, offset: offset, bytes, fin: false)
        }
    }

    private func newID() -> [UInt8] {
        if choices.once(in: 16), let old = issued.last { ownSequence = old } else { ownSequence += 1 }
        issued.append(ownSequence)
        if issued.count > 64 { issued.removeFirst() }
        let prior = choices.once(in: 8) ? ownSequence - UInt64(choices.next(min(Int(ownSequence), 12))) : 0
        var id = Self.ownID(ownSequence)
        if choices.once(in: 64) { id = choices.bytes(8) }
        let token = [UInt8](repeating: UInt8(truncatingIfNeeded: ownSequence), count: 16)
        tokens.append(token)
        if tokens.count > 64 { tokens.removeFirst() }
        return Frame.newConnectionID(ownSequence, retirePriorTo: prior, id: id, token: token)
    }

    private static func ownID(_ sequence: UInt64) -> [UInt8] { (0..<8).map { UInt8(truncatingIfNeeded: sequence &* 0x9e37_79b9_7f4a_7c15 >> (8 * $0)) } }

    private func retire() -> [UInt8] {
        let index = choices.next(serverIDs.count)
        let one = serverIDs[index]
        guard one.id != id || choices.once(in: 64) else { return [] }
        // Some are used on.
        if !choices.once(in: 4) { serverIDs.remove(at: index) }
        return Frame.retireConnectionID(one.sequence)
    }

    private func keyUpdate() -> [UInt8] {
        guard choices.once(in: 8) else { return [] }
        hostile_next_secret(&secrets.out)
        hostile_keys_free(keys.out)
        keys.out = hostile_keys_new(secrets.out, secrets.headerOut)
        phase ^= 1
        return []
    }

    /// What no server lets pass.
    private func slip() -> [UInt8] {
        switch choices.next(8) {
        case 0: return Frame.of(0x1c, 0, 0, 0)
        case 1: return Frame.of(0x1e)
        case 2: return Frame.ack([largest + UInt64(choices.next(100))])
        case 3: return Frame.retireConnectionID(UInt64(choices.next(1000)))
        case 4: return Frame.newConnectionID(3, retirePriorTo: 9, id: choices.bytes(8), token: choices.bytes(16))
        case 5:
            // A stateless reset under one of our own tokens.
            guard let token = choices.recent(of: tokens) else { return [] }
            network.send([0x40] + id + choices.bytes(20) + token, from: path, after: .zero)
            return []
        case 6: return Frame.of(0x06, 0, 4) + choices.bytes(4)
        default: return choices.bytes(1 + choices.next(40))
        }
    }

    private func pass() {
        let millisecond = Duration.milliseconds(1)
        switch choices.next(40) {
        case 0: network.pass(.seconds(choices.next(6)))
        case 1, 2: network.pass(millisecond * choices.next(400))
        case 3..<(6 + 8 * temper.haste): network.pass(millisecond * choices.next(40))
        default: network.pass(.zero)
        }
        for (datagram, path) in network.takeAnswers() { read(datagram, from: path) }
        if network.connection?.isClosed ?? true { isOver = true }
    }

    /// Reads a datagram of the server that goes along `path`.
    private func read(_ datagram: [UInt8], from path: NetworkPath) {
        guard var packet = shortPacket(of: datagram), packet.count > 30 else { return }
        var header = 0
        guard hostile_uncover(keys.in[0], &packet, packet.count, 8, &header) else { return }
        let sent = packet[9..<header].reduce(0) { $0 << 8 | UInt64($1) }
        let span = UInt64(1) << (8 * UInt64(header - 9))
        // RFC 9000, appendix A.3.
        var number = (largest &+ 1) & ~(span - 1) | sent
        if number + span / 2 <= largest + 1 { number += span } else if number > largest + 1 + span / 2, number >= span { number -= span }
        for (index, one) in keys.in.enumerated().reversed() {
            let length = hostile_open(one, &packet, packet.count, header, number)
            guard length >= 0 else { continue }
            if index == keys.in.count - 1 {
                // The next phase may come at any time.
                hostile_next_secret(&secrets.in)
                keys.in.append(hostile_keys_new(secrets.in, secrets.in))
                if keys.in.count > 4 { hostile_keys_free(keys.in.remove(at: 1)) }
            }
            note(packet[header..<(header + length)], number, path)
            return
        }
    }

    private func note(_ payload: ArraySlice<UInt8>, _ number: UInt64, _ path: NetworkPath) {
        largest = max(largest, number)
        received.insert(number)
        if received.count > 32 { received.remove(received.min()!) }
        for news in News.all(in: payload) {
            switch news {
            case .newConnectionID(let sequence, let id):
                if !serverIDs.contains(where: { $0.sequence == sequence }) { serverIDs.append((sequence, id)) }
                if serverIDs.count > 24 { serverIDs.removeFirst() }
            case .retireConnectionID: owed += 1
            case .pathChallenge(let data):
                challenges.append((data, path))
                if challenges.count > 32 { challenges.removeFirst() }
            case .close: isOver = true
            }
        }
    }

    /// The last packet of a datagram, if it has a short header.
    private func shortPacket(of datagram: [UInt8]) -> [UInt8]? {
        var rest = datagram[...]
        while let first = rest.first {
            guard first & 0x80 != 0 else { return Array(rest) }
            // Version, both ids, the token of an Initial, the length.
            var at = rest.startIndex + 5
            for _ in 0..<2 {
                guard at < rest.endIndex else { return nil }
                at += 1 + Int(rest[at])
            }
            func variable() -> Int? {
                guard at < rest.endIndex else { return nil }
                let length = 1 << Int(rest[at] >> 6)
                guard at + length <= rest.endIndex else { return nil }
                defer { at += length }
                return rest[(at + 1)..<(at + length)].reduce(Int(rest[at] & 0x3f)) { $0 << 8 | Int($1) }
            }
            if first & 0x30 == 0 {
                guard let token = variable() else { return nil }
                at += token
            }
            guard let length = variable(), at + length <= rest.endIndex else { return nil }
            rest = rest[(at + length)...]
        }
        return nil
    }
}
