import Crypto
import Platform
import RateLimits
import TestSupport
import Testing

@testable import Tunnel

private let alice = SecretKey(seed: [UInt8](repeating: 1, count: 32))!.publicKey
private let bob = SecretKey(seed: [UInt8](repeating: 2, count: 32))!.publicKey
private let web = HostAndPort("127.0.0.1:80")!, other = HostAndPort("127.0.0.1:81")!

private func list(_ text: String) throws -> AccessList { try AccessList(parsing: Array(text.utf8)) }

@Suite struct AccessLists {
    @Test("A list allows the keys it names, in any form, and nobody else")
    func keys() throws {
        let friends = try list("# friends\n\n  \(alice) # alice\t\r\n")
        #expect(friends.rule(for: alice) == AccessRule())
        #expect(friends.rule(for: bob) == nil)
        #expect(try list("pk:\(bob)").rule(for: bob) == AccessRule())
        #expect(try list("") == AccessList(parsing: []))
    }

    @Test("Options stand behind a key, or behind * for all others")
    func options() throws {
        let friends = try list("""
            \(alice) permitopen="127.0.0.1:80,127.0.0.1:81" maxstreams=32 streamrate=30r/m,burst=10 maxbytes=20G expires=2027-01-31T18:30Z
            * maxstreams=1
            """)
        let rule = try #require(friends.rule(for: alice))
        #expect(rule.targets == [web, other])
        #expect(rule.streams == 32)
        #expect(rule.rate == Quota(30, each: .minute, burst: 10))
        #expect(rule.bytes == 20 << 30)
        #expect(rule.expiry == 1_801_420_200)
        #expect(friends.rule(for: bob)?.streams == 1)
        #expect(try list("\(alice) expires=2027-01-31").rule(for: alice)?.expiry == 1_801_353_600)
    }

    @Test("What is wrong is told with its line", arguments: [
        ("bob", "\"bob\" is no key"), ("KEY KEY", "\"KEY\" is no NAME=VALUE"), ("KEY maxstreams", "\"maxstreams\" is no NAME=VALUE"),
        ("KEY maxstreams=0", "maxstreams: \"0\""), ("KEY maxstreams=1 maxstreams=2", "maxstreams is given twice"), ("KEY permit=1", "\"permit\" is no option"),
        ("KEY permitopen=80", "permitopen: \"80\""), ("KEY permitopen=", "permitopen: \"\""), ("KEY permitopen=\"127.0.0.1:80", "a quotation mark is missing"),
        ("KEY streamrate=10", "streamrate: \"10\""), ("KEY maxbytes=10X", "maxbytes: \"10X\""), ("KEY maxbytes=99999999T", "maxbytes:"),
        ("KEY expires=2027-02-30", "expires:"), ("KEY expires=2027-1-1", "expires:"), ("KEY expires=2027-01-01T24:00Z", "expires:"),
        ("KEY expires=2027-01-01T12:00", "expires:"), ("*\n*", "* is there twice"), ("KEY\nKEY", "the key is there twice"),
    ] as [(String, String)])
    func mistakes(text: String, reason: String) throws {
        let text = text.replacing("KEY", with: "\(alice)")
        let error = try thrownError(AccessList.SyntaxError.self) { try list("#\n" + text) }
        let lines = text.split(separator: "\n").count
        #expect(error.line == 1 + lines)
        #expect(error.reason.hasPrefix(reason.replacing("KEY", with: "\(alice)")), "\(error)")
    }
}

@Suite struct AccessControls {
    private let start = Instant(nanoseconds: 1_000_000_000)

    private func control(_ text: String?, to routes: [AccessControl.Route] = [.init(web)]) throws -> AccessControl {
        AccessControl(routes: routes, list: try text.map { try list($0.replacing("KEY", with: "\(alice)")) })
    }

    private func admit(_ control: inout AccessControl, _ peer: PublicKey? = alice, alpn: String? = nil, after: Duration = .zero, time: UInt64 = 0) -> AccessControl.Verdict {
        control.admit(peer, alpn: alpn, now: start + after, time: time)
    }

    private func allowed(_ target: HostAndPort = web, allowance: Int64? = nil, isCounted: Bool = false) -> AccessControl.Verdict {
        .allowed(.transparent(target), allowance: allowance, isCounted: isCounted)
    }

    @Test("Without a list anybody may, with one only whom it names")
    func admission() throws {
        var open = try control(nil), closed = try control("KEY")
        for peer in [alice, bob, nil] as [PublicKey?] { #expect(admit(&open, peer) == allowed()) }
        #expect(admit(&closed) == allowed())
        for peer in [bob, nil] as [PublicKey?] { #expect(admit(&closed, peer) == .denied(.unknown)) }
    }

    @Test("A protocol has its own target, and a key only those permitted")
    func targets() throws {
        let routes: [AccessControl.Route] = [.init(web), .init(other, for: "ssh")]
        var some = try control("KEY permitopen=127.0.0.1:81\n*", to: routes)
        #expect(admit(&some, alpn: "ssh") == allowed(other))
        #expect(admit(&some, alpn: "x") == .denied(.port(web)))
        #expect(admit(&some, bob, alpn: "x") == allowed())
        var named = try control("KEY permitopen=127.0.0.1:81,127.0.0.1:80\n*", to: [])
        #expect(admit(&named) == allowed(other))
        #expect(admit(&named, bob) == .denied(.noTarget))
        var only = try control("KEY", to: [.init(other, for: "ssh")])
        #expect(admit(&only, alpn: "x") == .denied(.noTarget))
    }

    @Test("The homeserver's admin and metrics ports are only for whom they are named for", arguments: [6288, 6289] as [UInt16])
    func privatePorts(port: UInt16) throws {
        let target = HostAndPort(host: "127.0.0.1", port: port)
        for text in [nil, "KEY", "*"] as [String?] {
            var control = try control(text, to: [.init(target)])
            #expect(admit(&control) == .denied(.privatePort(target, port == 6288 ? "admin" : "metrics")))
        }
        var named = try control("KEY permitopen=127.0.0.1:\(port)", to: [.init(target)])
        #expect(admit(&named) == allowed(target))
    }

    @Test("With HTTP a key needs one of two targets, and a protocol with a target of its own has none of it")
    func http() throws {
        let tls = HostAndPort("127.0.0.1:443")!
        var control = try control("KEY permitopen=127.0.0.1:443\n*", to: [.init(web), .init(other, for: "ssh")])
        control.http = .init(tlsTarget: tls)
        #expect(admit(&control, bob) == .allowed(.http(.success(web), tls: .success(tls)), allowance: nil, isCounted: true))
        #expect(admit(&control) == .allowed(.http(.failure(.port(web)), tls: .success(tls)), allowance: nil, isCounted: true))
        #expect(admit(&control, bob, alpn: "ssh") == allowed(other))
        control.http = .init()
        #expect(admit(&control) == .denied(.port(web)))
        #expect(admit(&control, bob) == .allowed(.http(.success(web), tls: nil), allowance: nil, isCounted: true))
        control.http = .init(tlsTarget: HostAndPort("127.0.0.1:6288")!)
        #expect(admit(&control, bob) == .allowed(
            .http(.success(web), tls: .failure(.privatePort(HostAndPort("127.0.0.1:6288")!, "admin"))), allowance: nil, isCounted: true))
    }

    @Test("With HTTP a key has so many streams at once if its line does not say")
    func defaultStreams() throws {
        var control = try control("KEY maxstreams=1\n*")
        control.http = .init()
        for _ in 0..<AccessControl.HTTP.streams { guard case .allowed = admit(&control, bob) else { return #expect(Bool(false), "refused too early") } }
        #expect(admit(&control, bob) == .denied(.streams(AccessControl.HTTP.streams)))
        _ = admit(&control)
        #expect(admit(&control) == .denied(.streams(1)))
        // Those without a key have them together.
        control.list = nil
        for _ in 0..<AccessControl.HTTP.streams { _ = admit(&control, nil) }
        #expect(admit(&control, nil) == .denied(.streams(AccessControl.HTTP.streams)))
        control.ended(nil, bytes: 0)
        #expect(admit(&control, nil) != .denied(.streams(AccessControl.HTTP.streams)))
    }

    @Test("Streams at once are counted until they end")
    func streams() throws {
        var control = try control("KEY maxstreams=2\n*")
        for _ in 0..<2 { #expect(admit(&control) == allowed(isCounted: true)) }
        #expect(admit(&control) == .denied(.streams(2)))
        #expect(admit(&control, bob) == allowed())
        control.ended(alice, bytes: 5)
        #expect(admit(&control) == allowed(isCounted: true))
    }

    @Test("New streams are held to a rate")
    func rate() throws {
        let quota = Quota(1, each: .second, burst: 2)!
        var control = try control("KEY streamrate=1r/s,burst=2")
        #expect(admit(&control) == allowed())
        #expect(admit(&control) == allowed())
        #expect(admit(&control) == .denied(.rate(quota)))
        #expect(admit(&control, after: .seconds(1)) == allowed())
    }

    @Test("Bytes are counted for a day, and a stream may carry what is left")
    func bytes() throws {
        var control = try control("KEY maxbytes=1K")
        #expect(admit(&control) == allowed(allowance: 1024, isCounted: true))
        control.ended(alice, bytes: 1000)
        #expect(admit(&control) == allowed(allowance: 24, isCounted: true))
        control.ended(alice, bytes: 100)
        #expect(admit(&control, after: .seconds(86_399)) == .denied(.bytes(1024)))
        #expect(admit(&control, after: .seconds(86_400)) == allowed(allowance: 1024, isCounted: true))
    }

    @Test("Access ends when it says")
    func expiry() throws {
        var control = try control("KEY expires=1970-01-02")
        #expect(admit(&control, time: 86_399) == allowed())
        #expect(admit(&control, time: 86_400) == .denied(.expired))
    }

    @Test("A route reads as a target, with a protocol before it or not", arguments: [
        ("127.0.0.1:80", nil, "127.0.0.1:80"), ("ssh=[::1]:22", "ssh", "[::1]:22"), ("a/b=c=host:1", "a/b=c", "host:1"),
    ] as [(String, String?, String)])
    func routes(text: String, alpn: String?, target: String) throws {
        #expect(AccessControl.Route(text) == .init(HostAndPort(target)!, for: alpn))
    }

    @Test("Anything else is no route", arguments: ["", "80", "=127.0.0.1:80", "ssh=", "127.0.0.1:0"])
    func noRoutes(text: String) { #expect(AccessControl.Route(text) == nil) }
}
