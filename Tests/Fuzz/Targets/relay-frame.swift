import FuzzSupport
import Iroh

@_cdecl("LLVMFuzzerTestOneInput")
public func input(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
    fuzz(start, count) { bytes in
        if let proof = RelayHeaderAuthentication(header: String(decoding: bytes, as: UTF8.self)) {
            precondition(RelayHeaderAuthentication(header: proof.header) == proof, "a proof reads back")
        }
        guard let frame = bytes.withUnsafeBytes({ try? RelayFrame(decoding: $0) }) else { return }
        if case .clientAuth(let proof) = frame { precondition(!proof.answers([UInt8](repeating: 0, count: 16)), "nobody can sign by chance") }
        let again = frame.encoded.withUnsafeBytes { try! RelayFrame(decoding: $0) }
        precondition(again == frame, "a frame reads back")
    }
}
