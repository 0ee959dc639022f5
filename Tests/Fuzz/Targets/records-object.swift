import Crypto
import FuzzSupport
import JSON
import Pkarr

@_cdecl("LLVMFuzzerTestOneInput")
public func input(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
    fuzz(start, count) { bytes in
        let key = SecretKey(seed: [UInt8](repeating: 0, count: 32))!.publicKey
        guard let object = try? JSONValue(parsing: Array(bytes)).objectValue, let set = try? RecordSet(json: object, for: key) else { return }
        let text = JSONValue.object(set.json).text
        precondition(try! RecordSet(json: JSONValue(parsing: text).objectValue!) == set, "records read back from their object")
        let message = DNSMessage(answers: set.records)
        precondition(try! DNSMessage(wire: message.wire) == message, "what is read can be written")
    }
}
