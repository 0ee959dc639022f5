import Crypto
import FuzzSupport
import Iroh
import JSON

/// The input once as the ticket's text, once as the bytes in it.
@_cdecl("LLVMFuzzerTestOneInput")
public func input(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
    fuzz(start, count) { bytes in
        for text in [String(decoding: bytes, as: UTF8.self), "endpoint" + Base32Alphabet.rfc4648LowerCase.encode(Array(bytes))] {
            guard let address = try? EndpointTicket.address(text) else { continue }
            let object = JSONValue.object(address.json).text
            precondition(try! EndpointAddress(json: JSONValue(parsing: object).objectValue!) == address, "an endpoint reads back")
        }
    }
}
