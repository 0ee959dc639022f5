import EventLoop
import Glibc
import Iroh
import IrohRelay
import Platform
import TLS
import Testing

/// A relay on loopback that can go and come back at the same place.
final class TestRelay {
    private let loop: EventLoop
    private let access: RelayAccess
    private let isSecure: Bool
    let address: SocketAddress
    private(set) var server: RelayServer?

    init(on loop: EventLoop, access: RelayAccess = RelayAccess(), isSecure: Bool = false) throws {
        self.loop = loop
        self.access = access
        self.isSecure = isSecure
        let listener = try Sockets.tcpListener(bind: SocketAddress("127.0.0.1:0")!)
        address = try Sockets.localAddress(listener.number)
        try serve(listener)
    }

    var url: RelayURL { RelayURL("\(isSecure ? "https" : "http")://\(address)/")! }

    private func serve(_ listener: consuming FileDescriptor) throws {
        let server = RelayServer(on: loop, RelayHub(RelaySettings(), access: access))
        if isSecure { server.credentials = try TLSCredentials(chain: Array(Self.certificate.utf8), key: Array(Self.key.utf8)) }
        try server.listen(listener, isSecure: isSecure)
        self.server = server
    }

    /// Ends it as it ends on a signal.
    func stop() throws {
        var isDrained = false
        server?.drain { isDrained = true }
        try run(loop) { isDrained }
        server = nil
    }

    func restart() throws { try serve(try Sockets.tcpListener(bind: address)) }

    /// For 127.0.0.1 and relay.test, signed by itself.
    static let certificate = """
    -----BEGIN CERTIFICATE-----
    MIIBnjCCAUSgAwIBAgIUGCEXSNWdr6O9qXiObqeiQrjf6/4wCgYIKoZIzj0EAwIw
    FTETMBEGA1UEAwwKcmVsYXkudGVzdDAgFw0yNjExMjQxNjA5NTFaGA8yMTI2MTAz
    MTE2MDk1MVowFTETMBEGA1UEAwwKcmVsYXkudGVzdDBZMBMGByqGSM49AgEGCCqG
    SM49AwEHA0IABJNUzyOhmGgSAoW4xai+gfp7kt0rKtTv2B0Hxzwq5YeFpSKwwR/x
    pegTL/8Acn18UdFiaoEdd0E1kGqzUGsU3GCjcDBuMB0GA1UdDgQWBBQnKIQeXL5D
    F8IxzbRQig0svFchrjAfBgNVHSMEGDAWgBQnKIQeXL5DF8IxzbRQig0svFchrjAP
    BgNVHRMBAf8EBTADAQH/MBsGA1UdEQQUMBKHBH8AAAGCCnJlbGF5LnRlc3QwCgYI
    KoZIzj0EAwIDSAAwRQIgQwZt2UBMwgZjtg2sk57webhxNkLDoxoIhcqA4jkgKQAC
    IQC8fOTS/RY+tAY/hb9LgY18lApguwBFdlZ3/A1ToraHTg==
    -----END CERTIFICATE-----

    """
    private static let key = """
    -----BEGIN PRIVATE KEY-----
    MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgzj0BHscsfCfp2j3d
    Ec5au0oWlokODLD49lQbtIPBckKhRANCAASTVM8joZhoEgKFuMWovoH6e5LdKyrU
    79gdB8c8KuWHhaUisMEf8aXoEy//AHJ9fFHRYmqBHXdBNZBqs1BrFNxg
    -----END PRIVATE KEY-----

    """
}

/// A server that says the same to everybody who has said something, byte for byte, and hangs up.
final class Parrot {
    let address: SocketAddress
    private let listener: FileDescriptor
    private var watcher: Watcher?
    private var connections: [(socket: Int32, watcher: Watcher)] = []

    init(on loop: EventLoop, saying text: String) throws {
        listener = try Sockets.tcpListener(bind: SocketAddress("127.0.0.1:0")!)
        address = try Sockets.localAddress(listener.number)
        watcher = try Watcher(on: loop, listener.number) { [unowned self] _ in
            guard let connection = try? Sockets.accept(listener.number) else { return }
            let socket = connection.release()
            guard let heard = try? Watcher(on: loop, socket, { _ in
                _ = try? readBytes(socket, count: 4096)
                try? writeAll(socket, Array(text.utf8))
                shutdown(socket, Int32(SHUT_WR))
            }) else { return }
            heard.wait(for: .readable)
            connections.append((socket, heard))
        }
        watcher?.wait(for: .readable)
    }

    deinit {
        watcher?.cancel()
        for (socket, watcher) in connections {
            watcher.cancel()
            close(socket)
        }
    }
}

/// Runs the loop until something is so; longer than this and the test fails.
func run(_ loop: EventLoop, patience: Duration = .seconds(30), until condition: () -> Bool) throws {
    var isLate = false
    let timer = Timer(on: loop) { isLate = true }
    timer.start(after: patience)
    while !condition() {
        try #require(!isLate, "it did not happen in time")
        loop.runOnce()
    }
}
