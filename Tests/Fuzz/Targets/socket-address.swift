import FuzzSupport
import Platform

@_cdecl("LLVMFuzzerTestOneInput")
public func input(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
    fuzz(start, count) { bytes in
        guard let address = SocketAddress(String(decoding: bytes, as: UTF8.self)) else { return }
        precondition(SocketAddress(address.description) == address, "an address reads back as itself")
    }
}
