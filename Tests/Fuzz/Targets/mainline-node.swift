import FuzzSupport
import Mainline
import Platform

/// A server in the middle of a look-up gets datagrams from those whom it has asked: two bytes of length, then the datagram, again and
/// again. Transaction ids are random, so `????` in a datagram stands for the one of the latest query.
@_cdecl("LLVMFuzzerTestOneInput")
public func input(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
    fuzz(start, count) { bytes in
        var now = Instant(nanoseconds: 1)
        let node = MainlineNode(
            mode: .server, ownAddress: SocketAddress("9.9.9.9:6881")!, awaitingBootstraps: true, storeCapacity: 4096, now: now)
        let peer = SocketAddress("8.8.4.4:6881")!
        node.add(bootstraps: [peer], areAll: true, now: now)
        _ = node.get(NodeID([UInt8](repeating: 1, count: 20))!, now: now)
        var transaction: [UInt8] = []
        var rest = bytes[...]
        while rest.count > 2 {
            for datagram in node.takeDatagrams() {
                guard let message = try? KRPCMessage(datagram.bytes) else { preconditionFailure("what is sent can be read") }
                precondition(datagram.bytes.count <= MainlineNode.largestDatagram, "what is sent fits a datagram")
                if case .query = message.body { transaction = message.transaction }
            }
            let length = min(Int(rest.removeFirst()) << 8 | Int(rest.removeFirst()), rest.count)
            var datagram = Array(rest.prefix(length))
            rest = rest.dropFirst(length)
            if transaction.count == 4, let place = datagram.indices.dropLast(3).first(where: { datagram[$0..<$0 + 4].allSatisfy { $0 == 0x3f } }) {
                datagram.replaceSubrange(place..<place + 4, with: transaction)
            }
            now = now + .milliseconds(100)
            node.receive(datagram, from: peer, now: now)
            node.advance(to: now)
            _ = node.takeEvents(now: now)
            precondition(node.storedItems <= 4096 / 512, "the store keeps within its memory")
        }
    }
}
