import FuzzSupport
import Platform
import STUN

@_cdecl("LLVMFuzzerTestOneInput")
public func input(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
    fuzz(start, count) { bytes in
        let source = SocketAddress("192.0.2.1:1234")!
        if let answer = STUNMessage.answer(to: bytes, from: source) {
            precondition(answer.count <= max(bytes.count, 20) + 24, "an answer is no weapon")
            precondition(STUNMessage.answer(to: answer, from: source) == nil, "an answer is not answered")
            let message = try! STUNMessage(decoding: answer)
            precondition(message.kind == .bindingError || message.mappedAddress == source, "the address is the asker's")
        }
        guard let message = try? STUNMessage(decoding: bytes) else { return }
        _ = message.mappedAddress
        precondition(try! STUNMessage(decoding: message.encoded) == message, "a message reads back")
    }
}
