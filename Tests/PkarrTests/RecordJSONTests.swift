import Crypto
import JSON
import TestSupport
import Testing

@testable import Pkarr

private let key = SecretKey(seed: [UInt8](repeating: 0, count: 32))!.publicKey

private func record(_ text: String) throws -> ResourceRecord {
    try ResourceRecord(json: JSONValue(parsing: text).objectValue!, zone: key)
}

@Test("records in JSON give the message of the independent encoder, and come back in normal form",
      arguments: Vectors.withRecords)
func recordsVector(_ vector: PacketVector) throws {
    let expected = JSONObject(members: [("records", vector.object["records_out"]!)])
    #expect(try RecordSet(json: expected, for: key).records.count == expected["records"]!.arrayValue!.count)
    let packet = try SignedPacket(publicKey: vector.publicKey, payload: vector.payload)
    #expect(sorted(.object(packet.json)["records"]!) == sorted(expected["records"]!))
    guard !vector.isDecodeOnly else { return }
    let given = JSONObject(members: [("records", vector.object["records_in"]!)])
    let message = DNSMessage(answers: try RecordSet(json: given, for: vector.publicKey).records)
    #expect(message.wire == vector.message)
    #expect(try SignedPacket(signing: message, timestamp: vector.timestamp, with: vector.secretKey) == packet)
}

/// Members in the order of their names, as the vectors have another order than ours.
private func sorted(_ value: JSONValue) -> JSONValue {
    switch value {
    case .array(let elements): .array(elements.map(sorted))
    case .object(let object):
        .object(JSONObject(members: object.members.sorted { $0.name < $1.name }.map { ($0.name, sorted($0.value)) }))
    default: value
    }
}

extension JSONValue {
    fileprivate subscript(name: String) -> JSONValue? { objectValue?[name] }
}

@Test("what can't be built is refused", arguments: Vectors.unbuildable)
func refusedToBuild(_ vector: PacketVector) throws {
    let given = JSONObject(members: [("records", vector.object["records_in"]!)])
    switch vector.object["error"]! {
    case "BadRecord": #expect(throws: ObjectError.self) { try RecordSet(json: given, for: key) }
    case "PacketTooLarge":
        let message = DNSMessage(answers: try RecordSet(json: given, for: key).records)
        #expect(throws: SignedPacketError.tooLong(1001)) {
            try SignedPacket(signing: message, timestamp: 1, with: SecretKey(seed: [UInt8](repeating: 0, count: 32))!)
        }
    case let other: Issue.record("unknown error \(other)")
    }
}

@Test("every record comes back from its JSON form as it was", arguments: [
    #"{"name":"@","type":"HTTPS","ttl":1,"priority":1,"target":"a.b","params":{"mandatory":["alpn","65280"],"alpn":["h3","hex:ff"],"no-default-alpn":true,"port":1,"ipv4hint":["1.2.3.4","5.6.7.8"],"ech":"AAEC","ipv6hint":["::1","2001:db8::"],"65280":"hex:"}}"#,
    #"{"name":"a","type":"SVCB","ttl":0,"priority":0,"target":".","params":{"1":"hex:","3":"hex:010203"}}"#,
    #"{"name":"a","type":"NS","ttl":4294967295,"target":"ns\\.1.example"}"#,
    #"{"name":"\\@","type":"TXT","ttl":1,"strings":["hex:68","hex:6865783a31","hex:00","é\u0001"]}"#,
    #"{"name":"*.b","type":"TXT","ttl":1,"rdata_hex":""}"#,
    #"{"name":"m","type":15,"ttl":1,"rdata_hex":"000a046d61696c076578616d706c6500"}"#,
    #"{"name":"c","type":65534,"ttl":1,"class":3,"cache_flush":true,"rdata_hex":"c00c"}"#,
])
func roundTrip(_ text: String) throws {
    let first = try record(text)
    let again = try ResourceRecord(json: first.json(zone: key), zone: key)
    #expect(again == first)
    #expect(try DNSMessage(wire: DNSMessage(answers: [first]).wire).answers == [first])
}

@Test("what is already in normal form is printed as it was read", arguments: [
    #"{"name":"@","type":"HTTPS","ttl":1,"priority":1,"target":"a.b","params":{"mandatory":["alpn","65280"],"alpn":["h3","hex:ff"],"no-default-alpn":true,"port":1,"ipv4hint":["1.2.3.4"],"ech":"AAEC","ipv6hint":["::1"],"65280":"hex:"}}"#,
    #"{"name":"\\@.a\\\"b\\;","type":"TXT","ttl":1,"strings":["x","hex:6865783a"]}"#,
    #"{"name":"c","type":65534,"ttl":1,"class":3,"cache_flush":true,"rdata_hex":"c00c"}"#,
    #"{"name":"m","type":15,"ttl":1,"rdata_hex":"000a046d61696c076578616d706c6500"}"#,
])
func normalForm(_ text: String) throws { #expect(JSONValue.object(try record(text).json(zone: key)).text == text) }

@Test("a bad record is refused with the place of the mistake", arguments: [
    (#"{"type":"A","ttl":1,"address":"1.2.3.4"}"#, "name: missing"),
    (#"{"name":"a..b","type":"A","ttl":1,"address":"1.2.3.4"}"#, "name: the name has an empty label"),
    (#"{"name":"a b","type":"A","ttl":1,"address":"1.2.3.4"}"#, #"name: a name can't hold byte 32 as it is; write \032"#),
    (#"{"name":"a@b","type":"A","ttl":1,"address":"1.2.3.4"}"#, #"name: a name can't hold '@' as it is; write \@"#),
    (#"{"name":"\\25","type":"A","ttl":1,"address":"1.2.3.4"}"#,
     "name: in a name, a backslash needs a printable character or three digits (000 to 255) after it"),
    (#"{"name":"a","type":"A","ttl":-1,"address":"1.2.3.4"}"#, "ttl: expected a whole number from 0 to 4294967295, found -1"),
    (#"{"name":"a","type":"A","ttl":"1","address":"1.2.3.4"}"#, "ttl: expected a whole number from 0 to 4294967295, found a string"),
    (#"{"name":"a","type":"A","ttl":1,"address":"::1"}"#, "address: not an IPv4 address"),
    (#"{"name":"a","type":"MX","ttl":1}"#, "type: unknown type MX; give it as a number, with rdata_hex"),
    (#"{"name":"a","type":15,"ttl":1}"#, "rdata_hex: missing; types without a readable form need it"),
    (#"{"name":"a","type":15,"ttl":1,"rdata_hex":"000ac000"}"#, "rdata_hex: malformed data for type 15"),
    (#"{"name":"a","type":15,"ttl":1,"rdata_hex":"000"}"#, "rdata_hex: not the hexadecimal form of at most 65535 bytes"),
    (#"{"name":"a","type":"CNAME","ttl":1,"target":"@"}"#, #"target: a name can't hold '@' as it is; write \@"#),
    (#"{"name":"a","type":"TXT","ttl":1,"strings":["hex:0"]}"#, "strings[0]: malformed hexadecimal"),
    (#"{"name":"a","type":"SVCB","ttl":1,"priority":1,"target":".","params":{"3":"hex:01"}}"#, "params.3: malformed value"),
    (#"{"name":"a","type":"SVCB","ttl":1,"priority":1,"target":".","params":{"3":"hex:0101","port":2}}"#, "params.port: given twice"),
    (#"{"name":"a","type":"SVCB","ttl":1,"priority":1,"target":".","params":{"dohpath":"/"}}"#,
     "params.dohpath: unknown parameter; write its number"),
    (#"{"name":"a","type":"A","ttl":1,"class":9,"address":"1.2.3.4"}"#, "class: unknown class 9"),
])
func badRecord(_ text: String, _ message: String) throws {
    let error = try thrownError(ObjectError.self) { try record(text) }
    #expect(error.description == message)
}

@Test("a name under the key twice is not cut to one under it once")
func doubledKey() throws {
    let z = key.zBase32
    let name = DomainName(labels: [Array("a".utf8), Array(z.utf8), Array(z.utf8)])!
    #expect(try DomainName(owner: name.ownerText(in: key), in: key) == name)
}

@Test("names of the apex and final dots are normalised as pkarr does it", arguments: ["", ".", "@", "@.", "foo.@", "foo.."])
func apexForms(_ text: String) throws { #expect(try DomainName(owner: text, in: key) == DomainName(zone: key)) }

@Test("names in data of the types of RFC 1035 are compressed, and expanded when read; pointers elsewhere are bytes")
func namesInData() throws {
    let mail = try record(#"{"name":"mail","type":15,"ttl":1,"rdata_hex":"000a076578616d706c6503636f6d00"}"#)
    let service = try record(#"{"name":"x","type":33,"ttl":1,"rdata_hex":"000000000000076578616d706c6503636f6d00"}"#)
    let wire = DNSMessage(answers: [mail, mail, service]).wire
    #expect(try DNSMessage(wire: wire).answers == [mail, mail, service])
    let full = mail.rdata.count + service.rdata.count
    let lengths = 12 + (5 + 54 + 10 + mail.rdata.count) + (2 + 10 + 4) + (2 + 2 + 10 + service.rdata.count)
    #expect(wire.count == lengths && full > 0)
}
