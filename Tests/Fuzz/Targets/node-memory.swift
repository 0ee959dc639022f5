import FuzzSupport
import Mainline
import Platform

/// The file in which a DHT node remembers others: whoever can write it must not be able to do more than to name them.
@_cdecl("LLVMFuzzerTestOneInput")
public func input(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
    fuzz(start, count) { bytes in
        guard let memory = try? NodeMemory(bytes) else { return }
        precondition(memory.nodes.count <= NodeMemory.mostNodes, "the list is bounded")
        let text = Array(memory.text.utf8)
        precondition(text.count <= NodeMemory.largestText, "what is written can be read")
        precondition((try? NodeMemory(text)) == memory, "a memory reads back as itself")
        let now = Instant(nanoseconds: 1)
        let node = MainlineNode(
            mode: .client, ownAddress: SocketAddress("9.9.9.9:6881")!, memory: memory, awaitingBootstraps: false, now: now)
        precondition(node.knownNodes <= memory.nodes.count)
        _ = node.get(NodeID([UInt8](repeating: 1, count: 20))!, now: now)
        for datagram in node.takeDatagrams() { precondition(!datagram.destination.ip.isV6, "a node asks only its own network") }
    }
}
