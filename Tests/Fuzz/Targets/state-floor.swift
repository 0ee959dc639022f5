import Crypto
import FuzzSupport
import JSON

@testable import PublicationState

@_cdecl("LLVMFuzzerTestOneInput")
public func input(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
    fuzz(start, count) { bytes in
        let key = SecretKey(seed: [UInt8](repeating: 0, count: 32))!.publicKey
        guard let floor = try? Floor(Array(bytes), for: key) else { return }
        precondition(floor.packet.map { $0.publicKey == key && $0.timestamp <= floor.timestamp } ?? true, "a packet is the key's, and seen")
        let again = try! Floor(Array(JSONValue.object(floor.json(for: key)).text.utf8), for: key)
        precondition(again == floor, "what is written reads back")
    }
}
