import Crypto
import JSON
import Testing
import TestSupport

@testable import Iroh

private let proofs = try! JSONValue(parsing: vectorFile("relay-auth.json")).arrayValue!.map { $0.objectValue! }
/// Every frame of the recorded session of two real endpoints that is there whole.
private let recorded = vectorFile("relay-session.jsonl").split(separator: UInt8(ascii: "\n")).compactMap { line in
    try! JSONValue(parsing: Array(line)).objectValue?["hex"]?.stringValue.flatMap { bytes(hexadecimal: $0) }
}

private func decode(_ frame: [UInt8]) throws(RelayFrameError) -> RelayFrame {
    var result: Result<RelayFrame, RelayFrameError>!
    frame.withUnsafeBytes { bytes in
        do throws(RelayFrameError) { result = .success(try RelayFrame(decoding: bytes)) } catch { result = .failure(error) }
    }
    return try result.get()
}

@Test("frames that real endpoints sent read back as they were")
func recordedFrames() throws {
    #expect(recorded.count >= 4)
    for frame in recorded { #expect(try decode(frame).encoded == frame) }
}

@Test("a real client's answer to a challenge is its own, and nobody else's", arguments: 0..<2)
func realChallenge(_ index: Int) throws {
    let vector = proofs[index]
    guard case .serverChallenge(let challenge) = try decode(bytes(hexadecimal: vector["server_challenge_frame"]!.stringValue!)!),
        case .clientAuth(var proof) = try decode(bytes(hexadecimal: vector["client_auth_frame"]!.stringValue!)!)
    else { throw RelayFrameError.malformed }
    #expect(hexadecimal(proof.id.bytes) == vector["endpoint_id"]!.stringValue!)
    #expect(proof.answers(challenge))
    #expect(!proof.answers(challenge.reversed()))
    proof.id = EndpointID(bytes: [UInt8](repeating: 2, count: 32))!
    #expect(!proof.answers(challenge), "bytes that are no key have no signature")
}

@Test("a real client's proof in the header is valid on its own TLS connection only", arguments: 2..<4)
func realHeader(_ index: Int) throws {
    let vector = proofs[index]
    let header = vector["header_value"]!.stringValue!
    let proof = try #require(RelayHeaderAuthentication(header: header))
    var material = bytes(hexadecimal: vector["exporter_output_32"]!.stringValue!)!
    #expect(hexadecimal(proof.authentication.id.bytes) == vector["endpoint_id"]!.stringValue!)
    #expect(proof.header == header)
    #expect(proof.isValid(material: material))
    material[31] ^= 1
    #expect(!proof.isValid(material: material))
    material[31] ^= 1
    material[0] ^= 1
    #expect(!proof.isValid(material: material))
}

@Test("our own proofs are as valid as real ones")
func ownProofs() {
    let key = SecretKey(seed: [UInt8](repeating: 1, count: 32))!
    let challenge = [UInt8](0..<16)
    #expect(RelayAuthentication(answering: challenge, with: key).answers(challenge))
    let material = [UInt8](0..<32)
    #expect(RelayHeaderAuthentication(header: RelayHeaderAuthentication(material: material, key: key).header)?.isValid(material: material) == true)
    #expect(RelayHeaderAuthentication(header: "AAAA") == nil)
    #expect(RelayHeaderAuthentication(header: "!") == nil)
}

@Test("every kind of frame reads back")
func allFrames() throws {
    let id = EndpointID(bytes: [UInt8](0..<32))!
    let frames: [RelayFrame] = [
        .serverConfirmsAuth, .serverDeniesAuth(reason: String(repeating: "no ", count: 100)), .endpointGone(id), .ping([1, 2, 3, 4, 5, 6, 7, 8]),
        .pong([8, 7, 6, 5, 4, 3, 2, 1]), .health("é"), .restarting(reconnectIn: 1, tryFor: .max), .status(.sameIDConnected), .status(.other(9)),
        .datagrams(RelayDatagramHeader(direction: .toRelay, id: id, ecn: 2), content: [1]),
        .datagrams(RelayDatagramHeader(direction: .toClient, id: id, ecn: 3, segmentSize: 1452), content: [UInt8](repeating: 7, count: 3000)),
    ]
    for frame in frames { #expect(try decode(frame.encoded) == frame) }
}

@Test("bytes after a status are for what may come")
func longStatus() throws { #expect(try decode([13, 0, 1, 2]) == .status(.healthy)) }

@Test("what is no frame is refused for its own reason")
func badFrames() throws {
    let id = [UInt8](repeating: 0, count: 32)
    let cases: [([UInt8], RelayFrameError)] = [
        ([], .malformed), ([0], .malformed), ([14], .unknownType(14)), ([64, 0], .unknownType(64)), ([2, 0], .malformed), ([3, 2, 65], .malformed),
        ([3, 1, 0xff], .malformed), ([3, 0x80, 0x80, 0x80, 0], .malformed), ([8], .malformed), ([9, 1, 2, 3, 4, 5, 6, 7], .malformed),
        ([11, 0xc3], .malformed), ([12, 0], .malformed), ([13], .malformed), ([1] + id + [63] + [UInt8](repeating: 0, count: 64), .malformed),
        ([4] + id, .malformed), ([4] + id + [0], .noDatagram), ([5] + id + [0, 4], .malformed), ([5] + id + [0, 4, 0], .noDatagram),
        ([4] + [UInt8](repeating: 0, count: 65536), .tooLarge), ([9] + [UInt8](repeating: 0, count: 65537), .tooLarge),
    ]
    for (frame, error) in cases { #expect(try thrownError(RelayFrameError.self) { try decode(frame) } == error, "\(frame.prefix(8))") }
    #expect(try decode([4] + [UInt8](repeating: 0, count: 65535)).encoded.count == 65536)
}
