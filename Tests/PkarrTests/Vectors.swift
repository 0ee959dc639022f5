import Crypto
import JSON
import Platform
import Testing

@testable import Pkarr

/// The packets of Tests/Vectors/packets.json, made by an independent encoder.
enum Vectors {
    static let file: JSONObject = {
        let path = #filePath.split(separator: "/").dropLast(2).map { "/" + $0 }.joined() + "/Vectors/packets.json"
        return try! JSONValue(parsing: try! readFile(path, limit: 1 << 20)).objectValue!
    }()

    static let packets = file["packets"]!.arrayValue!.map { PacketVector(object: $0.objectValue!) }
    // Lists by name, because Swift 6.0 crashes on a closure among the arguments of @Test.
    static let good = packets.filter { $0.expectation == "ok" }
    static let compressed = good.filter { $0.object["name"] != "uncompressed" }
    static let undecodable = packets.filter { $0.expectation == "refuse-decode" }
    static let unbuildable = packets.filter { $0.expectation == "refuse-build" }
    static let withRecords = packets.filter { $0.object["records_out"] != nil }

    static let extra = file["extra"]!.objectValue!
}

struct PacketVector: CustomTestStringConvertible, Sendable {
    var object: JSONObject
    var testDescription: String { object["name"]!.stringValue! }
    var expectation: String { object["expect"]!.stringValue! }
    var isDecodeOnly: Bool { object["decode_only"]?.boolValue == true }
    var signedPacket: [UInt8] { bytes(hexadecimal: object["signed_packet_hex"]!.stringValue!)! }
    var publicKey: PublicKey { PublicKey(zBase32: object["public_key"]!.stringValue!)! }
    var secretKey: SecretKey { SecretKey(seed: bytes(hexadecimal: object["secret_key"]!.stringValue!)!)! }
    var timestamp: UInt64 { UInt64(object["timestamp"]!.integerValue!) }
    var message: [UInt8] { bytes(hexadecimal: object["dns_hex"]!.stringValue!)! }
    var payload: [UInt8] { bytes(base64: object["payload"]!.stringValue!)! }
}
