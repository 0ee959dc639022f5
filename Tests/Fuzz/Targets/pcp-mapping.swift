import FuzzSupport
import Platform
import PortMapping

@_cdecl("LLVMFuzzerTestOneInput")
public func input(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
    fuzz(start, count) { bytes in
        let request = PCPMapping.Request(
            nonce: Array("twelve bytes".utf8), client: SocketAddress("192.168.1.2:4433")!, suggested: nil, lifetime: 7200)
        _ = PCPMapping.isSpoken(bytes)
        guard case .granted(let grant) = PCPMapping.answer(bytes, to: request) else { return }
        precondition(Array(bytes[24..<36]) == request.nonce, "nobody answers who has not seen the request")
        precondition(!grant.external.ip.isV6, "the address is of the client's family")
    }
}
