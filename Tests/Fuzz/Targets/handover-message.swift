import FuzzSupport
import Tunnel

@_cdecl("LLVMFuzzerTestOneInput")
public func input(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
    fuzz(start, count) { bytes in
        guard let message = try? HandoverMessage(parsing: bytes) else { return }
        let line = message.line
        precondition(line.firstIndex(of: 0x0a) == line.count - 1, "a message is one line")
        precondition(try! HandoverMessage(parsing: Array(line.dropLast())) == message, "a message reads back as itself")
    }
}
