import FuzzSupport
import Tunnel

@_cdecl("LLVMFuzzerTestOneInput")
public func input(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
    fuzz(start, count) { bytes in
        guard let list = try? AccessList(parsing: bytes) else { return }
        precondition(list.keys.allSatisfy { list.allows($0) }, "a list allows whom it names")
    }
}
