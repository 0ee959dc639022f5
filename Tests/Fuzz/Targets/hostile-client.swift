import FuzzSupport
import HostileClient

/// The decisions of a client that has proved its key, as many as a short session takes: a handshake is most of the work.
@_cdecl("LLVMFuzzerTestOneInput")
public func input(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
    fuzz(start, count) { bytes in
        let network = HostileNetwork()
        guard let client = HostileClient(to: network, choosing: GivenChoices(Array(bytes.prefix(400))), number: 1) else {
            preconditionFailure("a client that begins as any other is let in")
        }
        while !client.isOver, !client.choices.isOver { client.step() }
        precondition(network.settle(), "whatever it was, it ends")
    }
}
