import FuzzSupport
import Mainline

@_cdecl("LLVMFuzzerTestOneInput")
public func input(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
    fuzz(start, count) { bytes in
        guard let message = try? KRPCMessage(bytes) else { return }
        // What is never sent has no form of its own.
        if case .query(_, let query) = message.body {
            switch query {
            case .other, .invalid: return
            default: break
            }
        }
        precondition((try? KRPCMessage(message.encoded))?.encoded == message.encoded, "a message reads back as itself")
    }
}
