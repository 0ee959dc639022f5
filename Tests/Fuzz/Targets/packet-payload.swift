import Crypto
import FuzzSupport
import JSON
import Pkarr

/// Whatever is not signed is refused, so each input is also signed, that the rest is reached too.
@_cdecl("LLVMFuzzerTestOneInput")
public func input(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
    fuzz(start, count) { bytes in
        let key = SecretKey(seed: [UInt8](repeating: 0, count: 32))!
        if let packet = try? SignedPacket(publicKey: key.publicKey, payload: Array(bytes)) { check(packet, Array(bytes)) }
        let message = Array(bytes.dropFirst(72))
        let timestamp = bytes.dropFirst(64).prefix(8).reduce(0 as UInt64) { $0 << 8 | UInt64($1) }
        let signature = key.sign(SignedPacket.signable(timestamp: timestamp, message: message))
        let payload = signature + withUnsafeBytes(of: timestamp.bigEndian, Array.init) + message
        if let packet = try? SignedPacket(publicKey: key.publicKey, payload: payload) { check(packet, payload) }
    }
}

private func check(_ packet: SignedPacket, _ payload: [UInt8]) {
    precondition(packet.payload == payload, "a packet has the bytes it was read from")
    let text = JSONValue.object(packet.json).text
    precondition(try! SignedPacket(json: JSONValue(parsing: text).objectValue!) == packet, "a packet reads back from its object")
}
