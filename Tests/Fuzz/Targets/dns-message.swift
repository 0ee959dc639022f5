import FuzzSupport
import Pkarr

/// Records that were read are written and read again as they were: merging a packet loses nothing.
@_cdecl("LLVMFuzzerTestOneInput")
public func input(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
    fuzz(start, count) { bytes in
        guard let message = try? DNSMessage(wire: Array(bytes)) else { return }
        for case .service(let service) in message.answers.map(\.data) {
            precondition(service.addressHints.count * 4 <= bytes.count, "each address has bytes of its own")
            _ = (service.port, service.asksForMore)
        }
        let again = message.wire
        // Expanded names may make a record longer than its length field says; no packet is that long.
        guard MessageBudget(message).entries.allSatisfy({ $0.size <= UInt16.max }) else { return }
        precondition(try! DNSMessage(wire: again) == message, "a message reads back as itself")
    }
}
