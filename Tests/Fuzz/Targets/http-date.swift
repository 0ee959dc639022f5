import FuzzSupport
import Platform

@_cdecl("LLVMFuzzerTestOneInput")
public func input(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
    fuzz(start, count) { bytes in
        guard let time = HTTPDate.microseconds(String(decoding: bytes, as: UTF8.self)) else { return }
        precondition(HTTPDate.microseconds(HTTPDate.text(microseconds: time)) == time, "a date reads back as itself")
    }
}
