import Platform
import Testing
import TestSupport

@testable import TLS

/// For the same name, and of nobody whom the first vouches for.
let otherCertificate = """
    -----BEGIN CERTIFICATE-----
    MIIBlzCCAT6gAwIBAgIUSzZx2xjXUB1Anh9dT2iUe/pGQG4wCgYIKoZIzj0EAwIw
    FTETMBEGA1UEAwwKcmVsYXkudGVzdDAgFw0yNjExMjkyMTA0NTdaGA8yMTI2MTEw
    NTIxMDQ1N1owFTETMBEGA1UEAwwKcmVsYXkudGVzdDBZMBMGByqGSM49AgEGCCqG
    SM49AwEHA0IABFsgao9A7Eupejdup4Ygsu/3autgZR7c5MnxJgbsxo33PehF+Q2M
    rc+m8Yk00Cg8RZzKwRkYGflC77Cd1mCThJijajBoMB0GA1UdDgQWBBSDHhwRjj03
    p4kghC9EnJ3GbHsRLjAfBgNVHSMEGDAWgBSDHhwRjj03p4kghC9EnJ3GbHsRLjAP
    BgNVHRMBAf8EBTADAQH/MBUGA1UdEQQOMAyCCnJlbGF5LnRlc3QwCgYIKoZIzj0E
    AwIDRwAwRAIgCh3zprZRk8xDwXrG79t77IjmYBHC40aeW+cq90zI34gCICk5B0Kr
    eg3kqYljpzqQHTQaqGFA6a33uFVqXymAto4m
    -----END CERTIFICATE-----
    """
/// Not the certificate's.
private let otherKey = """
    -----BEGIN PRIVATE KEY-----
    MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgcL/1sVzFNhJfEiLN
    f7lRy7pn5NM8OLpqwx7c/X/XuIOhRANCAAQSuy62qAcg9VutmcYqbr4IhOXPpwuW
    AbMJ490PQcKDNYX/m3urvMrxpkhBIUgTrE5Ci1sXpL89q3IJAYzUVYLq
    -----END PRIVATE KEY-----
    """

@Test("a certificate is taken with its own key only")
func credentials() throws {
    _ = try TLSCredentials(chain: Array(certificate.utf8), key: Array(certificateKey.utf8))
    for (chain, key) in [(certificate, otherKey), (certificate, ""), ("", certificateKey), ("no PEM", certificateKey)] {
        let error = try thrownError(TLSError.self) { try TLSCredentials(chain: Array(chain.utf8), key: Array(key.utf8)) }
        #expect(!error.description.isEmpty)
    }
}

@Test("a client that speaks no TLS fails in the handshake, one that says nothing is waited for")
func noTLS() throws {
    let credentials = try TLSCredentials(chain: Array(certificate.utf8), key: Array(certificateKey.utf8))
    let (server, client) = try Sockets.pair()
    let serverEnd = FileDescriptor(owning: server)
    let clientEnd = FileDescriptor(owning: client)
    try Sockets.setNonblocking(serverEnd.number)
    let session = try TLSSession(credentials, socket: serverEnd.number)
    #expect(try session.handshake() == false)
    #expect(!session.wantsToWrite)
    #expect(session.exportKeyingMaterial(label: "label", context: [], count: 32) == nil)
    try writeAll(clientEnd.number, Array("GET / HTTP/1.1\r\nHost: relay.test\r\n\r\n".utf8))
    _ = try thrownError(TLSError.self) { try session.handshake() }
}
