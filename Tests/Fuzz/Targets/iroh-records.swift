import Crypto
import FuzzSupport
import Iroh
import JSON
import Pkarr

/// Each line of the input is the string of one _iroh record; the first byte chooses where they stand.
@_cdecl("LLVMFuzzerTestOneInput")
public func input(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
    fuzz(start, count) { bytes in
        guard let first = bytes.first else { return }
        let key = SecretKey(seed: [UInt8](repeating: 0, count: 32))!.publicKey
        let name = EndpointAddress.recordNames(in: key)[Int(first & 1)]
        let records = bytes.dropFirst().split(separator: 0x0a).map { line in
            ResourceRecord(name: name, type: .txt, timeToLive: 30, rdata: RecordData.strings([Array(line.prefix(255))]).rdata)
        }
        guard let endpoint = PublishedEndpoint(RecordSet(publicKey: key, records: records)) else { return }
        for warning in endpoint.warnings { _ = warning.description }
        let text = JSONValue.object(endpoint.address.json).text
        precondition(try! EndpointAddress(json: JSONValue(parsing: text).objectValue!) == endpoint.address, "an endpoint reads back")
        // Nothing is let out that is read as something else.
        guard let written = try? endpoint.address.records(timeToLive: 30), !written.records.isEmpty else { return }
        let again = PublishedEndpoint(written)
        precondition(again?.address == endpoint.address && again?.warnings.isEmpty == true, "what is published is read as it was meant")
    }
}
