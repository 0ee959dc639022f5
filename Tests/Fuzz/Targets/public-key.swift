import Crypto
import FuzzSupport

@_cdecl("LLVMFuzzerTestOneInput")
public func input(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
    fuzz(start, count) { bytes in
        guard let key = PublicKey(parsing: String(decoding: bytes, as: UTF8.self)) else { return }
        precondition(PublicKey(zBase32: key.zBase32) == key, "a key reads back as itself")
    }
}
