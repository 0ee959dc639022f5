import Crypto
import FuzzSupport
import HolePunching
import Platform
import QUIC

/// The input is what a peer that has the keys sends: messages, each behind a byte for its length and how it comes.
@_cdecl("LLVMFuzzerTestOneInput")
public func input(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
    fuzz(start, count) { bytes in
        if let message = ControlMessage(decoding: bytes) { precondition(ControlMessage(decoding: message.encoded) == message, "a message reads back") }
        for role in [PunchSession.Role.client, .server] { play(bytes, to: role) }
    }
}

/// As the peer does it: both directions have the same key here.
private func seal(_ message: [UInt8], number: UInt64, secret: [UInt8]) -> [UInt8] {
    var header = [0x40] + ControlDatagram.destinationID
    header.append(contentsOf: secret.suffix(8))
    header.append(contentsOf: withUnsafeBytes(of: number.bigEndian, Array.init))
    return header + SealingKey(bytes: secret[..<SealingKey.length])!.seal(message, number: number, header: header)
}

private func play(_ bytes: [UInt8], to role: PunchSession.Role) {
    let secret = [UInt8](repeating: 7, count: SessionKeys.exportedLength)
    let keys = SessionKeys(exported: secret, role: role)!
    let relay = NetworkPath(relay: 1, to: .init(bytes: [UInt8](repeating: 9, count: 32))!)
    var session = PunchSession(role, keys: keys, budget: ProbeBudget()) { NetworkPath(transport: 0, remote: $0) }
    session.isAdmitted = true
    var now = Instant(nanoseconds: 1_000_000_000)
    if role == .client { _ = session.begin(knowing: [], over: relay, roundTrip: nil, now: now) }
    var rest = bytes[...]
    var number: UInt64 = 0
    var received = 0
    var sent = 0
    while let first = rest.popFirst() {
        let message = Array(rest.prefix(Int(first & 0x3f)))
        rest = rest.dropFirst(message.count)
        let path = first & 0x40 == 0 ? relay : NetworkPath(transport: 0, remote: SocketAddress(ip: .v4(0xc633_6400 + UInt32(first)), port: 9))
        number += 1
        let datagram = seal(message, number: number, secret: secret)
        datagram.withUnsafeBytes { session.receive($0, on: path, isProved: path.isRelayed, now: now) }
        received += 1
        now = now + .milliseconds(first & 0x80 == 0 ? 1 : 300)
        if let deadline = session.deadline, deadline <= now { session.handleDeadline(now: now) }
        for case .send(let datagram, _) in session.takeEvents(now: now) {
            precondition(datagram.count <= ControlDatagram.mostBytes, "no datagram is longer than the longest")
            sent += 1
        }
    }
    // Answers and replies, and in each of the few rounds the probes it may have.
    precondition(sent <= 2 * received + 5 + 130 * (6 + received / 30), "a peer gets \(sent) datagrams for \(received)")
}
