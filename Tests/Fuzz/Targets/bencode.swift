import FuzzSupport
import Mainline

@_cdecl("LLVMFuzzerTestOneInput")
public func input(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
    fuzz(start, count) { bytes in
        guard let value = try? Bencode(bytes) else { return }
        precondition(value.encoded == bytes, "signatures depend on values being written as they were read")
    }
}
