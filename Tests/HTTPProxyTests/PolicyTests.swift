import Crypto
import HTTP1
import Ladder
import Platform
import Testing

@testable import HTTPProxy

/// - Parameter fields: `Name: value`, each.
private func head(_ method: String, _ target: String, _ fields: [String] = [], host: String = "localhost") -> RequestHead {
    var head = RequestHead(method: method, target: target)
    head.fields.append("Host", host)
    for field in fields {
        let parts = field.split(separator: ":", maxSplits: 1)
        head.fields.append(String(parts[0]), String(parts[1].drop { $0 == " " }))
    }
    return head
}

private func policy(_ change: (inout ProxySettings) -> Void = { _ in }) -> ProxyPolicy {
    var settings = ProxySettings()
    change(&settings)
    return ProxyPolicy(settings, at: SocketAddress("127.0.0.2:8080")!)
}

private func isRefused(_ decision: ProxyPolicy.Decision) -> Bool { if case .refuse = decision { true } else { false } }

@Test("a URL tells the homeserver, the service and the path")
func urls() {
    var policy = policy()
    let host = KeyedHost(key), user = KeyedHost(key, isUser: true)
    let page = "http://\(key)/a?b", loud = "HTTPS://\(key.zBase32.uppercased()).:443", users = "http://_pubky.\(key)?x", whole = "http://\(key)"
    #expect(policy.decide(head("GET", page)) == .forward(host, .plain, path: "/a?b"))
    #expect(policy.decide(head("GET", loud)) == .forward(host, .tls, path: "/"))
    #expect(policy.decide(head("PUT", users)) == .forward(user, .plain, path: "/?x"))
    #expect(policy.decide(head("OPTIONS", whole)) == .forward(host, .plain, path: "*"))
    let secure = "\(key):443", plain = "_pubky.\(key):80"
    #expect(policy.decide(head("CONNECT", secure)) == .tunnel(host))
    #expect(policy.decide(head("CONNECT", plain)) == .inner(user))
}

@Test("on a connection to a homeserver only paths are taken")
func innerRequests() {
    var policy = policy()
    let host = KeyedHost(key)
    #expect(policy.decide(head("GET", "/a", host: "other.example"), inner: host) == .forward(host, .plain, path: "/a"))
    let url = "http://\(key)/", authority = "\(key):443"
    #expect(isRefused(policy.decide(head("GET", url), inner: host)))
    #expect(isRefused(policy.decide(head("CONNECT", authority), inner: host)))
}

@Test("its pages are given under the names of this machine", arguments: ["127.0.0.1", "127.0.0.1:8080", "LocalHost:8080", "[::1]", "[::1]:8080", "127.0.0.2", "127.0.0.2:8080"])
func ownPages(host: String) {
    var policy = policy()
    #expect(policy.decide(head("GET", "/proxy.pac", host: host)) == .page(.autoConfiguration))
    #expect(policy.decide(head("HEAD", "/", host: host)) == .page(.status))
    let origin = "Origin: http://\(host)"
    #expect(isRefused(policy.decide(head("GET", "/other", host: host))))
    #expect(isRefused(policy.decide(head("POST", "/", host: host))))
    #expect(isRefused(policy.decide(head("GET", "/", [origin], host: host))))
    #expect(isRefused(policy.decide(head("GET", "/", ["Sec-Fetch-Site: cross-site"], host: host))))
}

@Test("under any other name there is nothing", arguments: ["127.0.0.1:80", "127.0.0.1:8081", "localhost.", "127.0.0.10", "evil.example", "localhost.evil.example", "[::1]:80"])
func foreignNames(host: String) {
    var policy = policy()
    #expect(isRefused(policy.decide(head("GET", "/proxy.pac", host: host))))
    #expect(isRefused(policy.decide(head("GET", "/", host: host))))
}

@Test("other hosts are passed on when that is wanted, and keys mistyped never")
func otherHosts() {
    var strict = policy(), lax = policy { $0.forwardsOthers = true }
    #expect(isRefused(strict.decide(head("GET", "http://example.com/"))))
    #expect(lax.decide(head("GET", "http://Example.com/a")) == .forwardOther(HostAndPort(host: "example.com", port: 80), path: "/a"))
    #expect(lax.decide(head("CONNECT", "[2001:db8::1]:443")) == .tunnelOther(HostAndPort(host: "2001:db8::1", port: 443)))
    for target in ["http://example.com:22/", "http://\(String(repeating: "y", count: 51))9/", "http://_pubky.example/", "https://example.com/"] {
        #expect(isRefused(lax.decide(head("GET", target))))
    }
    #expect(isRefused(lax.decide(head("CONNECT", "example.com:25"))))
}

@Test("addresses of the Internet may be reached", arguments: ["8.8.8.8", "2001:4860:4860::8888", "64:ff9b::808:808", "2002:808:808::1"])
func permittedAddresses(ip: String) { #expect(OrdinaryHost.isPermitted(IPAddress(ip)!)) }

@Test("addresses of this machine and its networks may not", arguments: [
    "127.0.0.1", "0.0.0.0", "10.1.2.3", "172.16.0.1", "192.168.0.1", "169.254.169.254", "100.64.0.1", "224.0.0.1", "255.255.255.255",
    "::", "::1", "::ffff:127.0.0.1", "::ffff:10.0.0.1", "::127.0.0.1", "fe80::1", "fc00::1", "ff02::1", "64:ff9b::7f00:1",
    "64:ff9b::a00:1", "64:ff9b:1::1", "2002:7f00:1::1", "2002:c0a8:1::1",
])
func refusedAddresses(ip: String) { #expect(!OrdinaryHost.isPermitted(IPAddress(ip)!)) }

@Test("a token is the password of any user")
func tokens() {
    var policy = policy { $0.token = ProxyToken("secret") }
    func decision(_ authorization: String?) -> ProxyPolicy.Decision {
        policy.decide(head("GET", "http://\(key)/", authorization.map { ["Proxy-Authorization: \($0)"] } ?? []))
    }
    for text in [":secret", "me:secret"] {
        let word = base64(Array(text.utf8))
        let plain = "Basic \(word)", odd = "bASIC  \(word)"
        #expect(!isRefused(decision(plain)))
        #expect(!isRefused(decision(odd)))
    }
    let wrong: [String?] = [
        nil, "", "Basic", "Basic ", "Basic secret", "Bearer secret", "Basic \(base64(Array("secret".utf8)))", "Basic \(base64(Array("a:b:secret".utf8)))",
        "Basic \(base64(Array("me:secrets".utf8)))", "Basic \(base64(Array("me:".utf8)))",
    ]
    for authorization in wrong { #expect(decision(authorization) == .refuse(.unauthorized)) }
}

@Test("what a browser lets any page send goes to the key that the page came from")
func origins() {
    var policy = policy { $0.origins = ["https://friend.example"] }
    func passes(_ origin: String?, _ method: String, _ fields: [String] = []) -> Bool {
        !isRefused(policy.decide(head(method, "http://\(key)/", (origin.map { ["Origin: \($0)"] } ?? []) + fields)))
    }
    let upgrade = ["Connection: Upgrade", "Upgrade: websocket"]
    for origin in ["https://evil.example", "null", "http://\(key).evil.example", "http://_pubky.\(key)"] {
        #expect(passes(origin, "GET"))
        #expect(passes(origin, "PUT"))
        #expect(passes(origin, "POST", ["Content-Type: application/json"]))
        #expect(!passes(origin, "POST"))
        #expect(!passes(origin, "POST", ["Content-Type: TEXT/plain;charset=utf-8"]))
        #expect(!passes(origin, "POST", ["Content-Type:  multipart/form-data ; boundary=x"]))
        #expect(!passes(origin, "GET", upgrade))
    }
    for origin in [nil, "http://\(key)", "https://\(key)", "https://friend.example"] as [String?] {
        #expect(passes(origin, "POST"))
        #expect(passes(origin, "GET", upgrade))
    }
}

@Test("a request that looks for who is on the way goes no further than it may")
func maxForwards() {
    var policy = policy()
    let url = "http://\(key)/"
    #expect(isRefused(policy.decide(head("TRACE", url, ["Max-Forwards: 0"]))))
    #expect(!isRefused(policy.decide(head("TRACE", url, ["Max-Forwards: 1"]))))
    // Of other methods it says nothing.
    #expect(!isRefused(policy.decide(head("GET", url, ["Max-Forwards: 0"]))))
    #expect(head("OPTIONS", url, ["Max-Forwards: -1"]).forwards == nil)
}
