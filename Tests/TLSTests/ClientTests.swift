import Platform
import RawKeyServer
import Testing
import TestSupport

@testable import TLS

private let seed = RawKeyServer.exampleSeed, key = RawKeyServer.exampleKey

private final class Wire {
    let client: FileDescriptor, server: FileDescriptor

    init() throws {
        let (left, right) = try Sockets.pair()
        client = FileDescriptor(owning: left)
        server = FileDescriptor(owning: right)
        for end in [left, right] { try Sockets.setNonblocking(end) }
    }
}

/// Lets both ends go on until the client is through.
private func meet(_ client: TLSSession, _ server: () -> Bool) throws(TLSError) {
    for _ in 0..<20 {
        if try client.handshake() { return }
        _ = server()
    }
    Issue.record("no end of the handshake")
}

@Test("a client talks to the owner of the key it wants, under the name it gives")
func rightKey() throws {
    let wire = try Wire()
    let server = RawKeyServer(seed: seed, key: key, socket: wire.server.number)
    let client = try TLSSession(to: .key(key), named: "key.name", by: .rawKeys(), socket: wire.client.number)
    try meet(client, server.handshake)
    #expect(server.handshake())
    #expect(server.name == "key.name")
    #expect(try Array("question".utf8).withUnsafeBytes { bytes throws(TLSError) in try client.send(bytes) } == 8)
    #expect(server.exchange("answer") == "question")
    var buffer = [UInt8](repeating: 0, count: 100)
    #expect(try buffer.withUnsafeMutableBytes { bytes throws(TLSError) in try client.receive(bytes) } == .bytes(6))
    #expect(buffer.starts(with: Array("answer".utf8)))
    #expect(try buffer.withUnsafeMutableBytes { bytes throws(TLSError) in try client.receive(bytes) } == .end)
    #expect(client.sendEnd())
}

@Test("the owner of another key, and who does not own the key that it shows, are impostors")
func wrongKey() throws {
    let other = [UInt8](repeating: 7, count: 32)
    for (seed, wanted) in [(seed, other), (other, key)] {
        let wire = try Wire()
        let server = RawKeyServer(seed: seed, key: key, socket: wire.server.number)
        let client = try TLSSession(to: .key(wanted), named: "name", by: .rawKeys(), socket: wire.client.number)
        let error = try thrownError(TLSError.self) { try meet(client, server.handshake) }
        #expect(error.isImpostor)
        #expect(!client.isEstablished)
    }
}

@Test("a server with a certificate, and one that speaks no TLS, are no impostors but something else")
func noRawKey() throws {
    let wire = try Wire()
    let credentials = try TLSCredentials(chain: Array(certificate.utf8), key: Array(certificateKey.utf8))
    let server = try TLSSession(credentials, socket: wire.server.number)
    let client = try TLSSession(to: .key(key), named: "name", by: .rawKeys(), socket: wire.client.number)
    let error = try thrownError(TLSError.self) { try meet(client) { (try? server.handshake()) ?? false } }
    #expect(!error.isImpostor)

    let silent = try Wire()
    let lonely = try TLSSession(to: .key(key), named: "name", by: .rawKeys(), socket: silent.client.number)
    #expect(try lonely.handshake() == false)
    try writeAll(silent.server.number, Array("HTTP/1.1 400 Bad Request\r\n\r\n".utf8))
    #expect(try thrownError(TLSError.self) { try lonely.handshake() }.isImpostor == false)
}

@Test("a certificate has to be for the domain, and vouched for", arguments: ["relay.test", "other.test"], [true, false])
func certificates(domain: String, isTrusted: Bool) throws {
    let wire = try Wire()
    let credentials = try TLSCredentials(chain: Array(certificate.utf8), key: Array(certificateKey.utf8))
    let server = try TLSSession(credentials, socket: wire.server.number)
    let authorities = Array((isTrusted ? certificate : otherCertificate).utf8)
    let client = try TLSSession(to: .domain(domain), named: domain, by: .certificates(authorities: authorities), socket: wire.client.number)
    let isFine = domain == "relay.test" && isTrusted
    let handshake = { (try? server.handshake()) ?? false }
    if isFine {
        try meet(client, handshake)
    } else {
        #expect(try thrownError(TLSError.self) { try meet(client, handshake) }.isImpostor)
    }
    #expect(client.isEstablished == isFine)
}

@Test("a file without certificates vouches for nobody")
func noAuthorities() throws {
    _ = try thrownError(TLSError.self) { try TLSTrust.certificates(authorities: []) }
    _ = try thrownError(TLSError.self) { try TLSTrust.certificates(authorities: Array("no PEM".utf8)) }
}
