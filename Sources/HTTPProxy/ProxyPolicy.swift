import HTTP1
import Ladder
import Platform

/// Decides what becomes of a request, by its head alone.
///
/// A browser lets every page of the web send requests here, so what such a page could want is part of the rules: pages of the proxy's own
/// are given only under the names of this machine (a name that an attacker's DNS points here is another), and what a browser lets any page
/// send without asking the server first — a form, a WebSocket — only to the origin that the page came from.
struct ProxyPolicy {
    /// What becomes of a request.
    enum Decision: Equatable {
        /// It goes to a homeserver, with this path as its target.
        case forward(KeyedHost, UpstreamService, path: String)
        /// Bytes go both ways, untouched.
        case tunnel(KeyedHost)
        /// Requests to a homeserver follow on this connection, as if it were connected to its port 80.
        case inner(KeyedHost)
        /// It goes to a host that is no key.
        case forwardOther(HostAndPort, path: String)
        case tunnelOther(HostAndPort)
        case page(ProxyPage)
        case refuse(Refusal)
    }

    /// Why a request is refused.
    enum Refusal: Equatable {
        case malformed(String)
        case unauthorized
        case notPermitted(String)
    }

    /// Texts of host names to what they are: whether one is a key takes arithmetic on the curve.
    private static let mostKnown = 1024

    private let settings: ProxySettings
    /// Where the proxy listens.
    private let address: SocketAddress
    private var known = RecentlyUsed<String, KeyedHost>(capacity: mostKnown)

    init(_ settings: ProxySettings, at address: SocketAddress) {
        self.settings = settings
        self.address = address
    }

    /// - Parameter inner: The homeserver to which the connection leads, see ``Decision/inner(_:)``.
    mutating func decide(_ head: RequestHead, inner: KeyedHost? = nil) -> Decision {
        guard let form = head.form else { return .refuse(.malformed("the request target is neither a path nor a URL")) }
        if let inner {
            guard let path = form.path else { return .refuse(.malformed("on a connection to a homeserver a path is expected")) }
            return forward(head, to: inner, .plain, path)
        }
        if let path = form.path { return page(head, path) }
        guard settings.token?.isIn(head.fields.first("proxy-authorization")) ?? true else { return .refuse(.unauthorized) }
        switch form {
        case .origin, .asterisk: preconditionFailure("dealt with before")
        case .authority(let authority):
            guard let (host, port) = Self.hostAndPort(authority), let port else { return .refuse(.malformed("the address is no HOST:PORT")) }
            guard let keyed = keyed(host) else { return other(host, port) { .tunnelOther($0) } }
            switch port {
            case 443: return .tunnel(keyed)
            case 80: return .inner(keyed)
            default: return .refuse(.notPermitted("a key has no ports: 443 is its Pubky TLS, 80 its HTTP"))
            }
        case .absolute(let scheme, let authority, var path):
            guard let (host, port) = Self.hostAndPort(authority) else { return .refuse(.malformed("the URL's host is no HOST or HOST:PORT")) }
            // RFC 9112, 3.2.1 and 3.2.4.
            if path.isEmpty { path = head.method == "OPTIONS" ? "*" : "/" } else if path.hasPrefix("?") { path = "/" + path }
            guard let keyed = keyed(host) else {
                guard scheme == "http" else { return .refuse(.notPermitted("of other hosts only http:// is passed on; https:// goes by CONNECT")) }
                return other(host, port ?? 80) { .forwardOther($0, path: path) }
            }
            let services: [String: (UpstreamService, UInt16)] = ["http": (.plain, 80), "https": (.tls, 443)]
            guard let (service, standard) = services[scheme] else { return .refuse(.notPermitted("only http:// and https:// are understood")) }
            guard port ?? standard == standard else {
                return .refuse(.notPermitted("a key has no ports: its records say where the homeserver listens; write \(scheme)://\(keyed)/"))
            }
            return forward(head, to: keyed, service, path)
        }
    }

    /// The host in lower case, an IPv6 address without its brackets, and the port if there is one; nil for a host that is neither an address
    /// nor made of letters, digits, `-`, `.` and `_`.
    private static func hostAndPort(_ authority: String) -> (String, UInt16?)? {
        let hasPort = authority.utf8.lastIndex(of: UInt8(ascii: ":")).map { !authority[$0...].utf8.contains(UInt8(ascii: "]")) } ?? false
        guard let parsed = HostAndPort(hasPort ? authority : "\(authority):1"), parsed.port > 0, parsed.host.utf8.allSatisfy(isHostByte) else { return nil }
        return (parsed.host.lowercased(), hasPort ? parsed.port : nil)
    }

    private static func isHostByte(_ byte: UInt8) -> Bool {
        switch byte {
        case 0x30...0x39, 0x41...0x5a, 0x61...0x7a, UInt8(ascii: "-"), UInt8(ascii: "."), UInt8(ascii: "_"), UInt8(ascii: ":"): true
        default: false
        }
    }

    private mutating func keyed(_ host: String) -> KeyedHost? {
        if let host = known.value(for: host) { return host }
        guard let found = KeyedHost(host) else { return nil }
        known.set(found, for: host)
        return found
    }

    private func forward(_ head: RequestHead, to host: KeyedHost, _ service: UpstreamService, _ path: String) -> Decision {
        if head.forwards == 0 { return .refuse(.notPermitted("Max-Forwards says that nobody further is to be asked")) }
        guard let origin = head.fields.first("origin") else { return .forward(host, service, path: path) }
        let isOwn = origin == "http://\(host)" || origin == "https://\(host)"
        if isOwn || settings.origins.contains(origin) || Self.isAskedForFirst(head) { return .forward(host, service, path: path) }
        return .refuse(.notPermitted("a page of \(origin) may not send this to \(host); --allow-origin lets it"))
    }

    /// Whether a browser sends this for a page of another origin only after the server has allowed it (Fetch, 2.2.2 and 3.2), or else keeps
    /// the answer, and has changed nothing.
    private static func isAskedForFirst(_ head: RequestHead) -> Bool {
        if head.fields.first("upgrade") != nil { return false }
        guard head.method == "POST" else { return true }
        guard let type = head.fields.first("content-type")?.prefix(while: { $0 != ";" }) else { return false }
        let essence = type.lowercased().filter { $0 != " " && $0 != "\t" }
        return !["application/x-www-form-urlencoded", "multipart/form-data", "text/plain", ""].contains(essence)
    }

    private func other(_ host: String, _ port: UInt16, _ decision: (HostAndPort) -> Decision) -> Decision {
        // A letter of a key mistyped: nobody else needs to hear of it.
        guard settings.forwardsOthers, !OrdinaryHost.looksLikeKey(host) else {
            return .refuse(.notPermitted(
                "\(host) is no key; this proxy leads to homeservers by their keys, http://KEY/ or http://_pubky.KEY/, of 52 letters each"))
        }
        guard OrdinaryHost.isPermitted(port: port) else { return .refuse(.notPermitted("port \(port) of other hosts is not for a proxy")) }
        return decision(HostAndPort(host: host, port: port))
    }

    private func page(_ head: RequestHead, _ path: String) -> Decision {
        guard let host = head.fields.first("host"), isOwn(host) else {
            return .refuse(.notPermitted("this is a proxy, and no server of that name; ask it for whole URLs, http://KEY/"))
        }
        // Fetch Metadata: what a page of another site wants of this machine.
        if !["none", "same-origin"].contains(head.fields.first("sec-fetch-site") ?? "none") || head.fields.contains("origin") {
            return .refuse(.notPermitted("pages of other sites get nothing here"))
        }
        guard let page = ProxyPage(path: path) else {
            return .refuse(.notPermitted("this is a proxy; it has only /proxy.pac and / of its own"))
        }
        guard head.method == "GET" || head.method == "HEAD" else { return .refuse(.notPermitted("\(path) can only be read")) }
        return .page(page)
    }

    /// Whether a Host is this machine by its own names.
    private func isOwn(_ host: String) -> Bool {
        let own = address.ip.isV6 ? "[\(address.ip)]" : "\(address.ip)"
        return ["127.0.0.1", "localhost", "[::1]", own].contains { host.lowercased() == $0 || host.lowercased() == "\($0):\(address.port)" }
    }
}

extension RequestHead {
    /// How many more may pass on a request that looks for who is on the way (RFC 9110, 7.6.2); nil for others.
    var forwards: Int? {
        guard method == "TRACE" || method == "OPTIONS" else { return nil }
        return fields.first("max-forwards").flatMap { Int($0) }.flatMap { $0 < 0 ? nil : $0 }
    }
}

extension RequestTarget {
    /// What is asked of whoever is spoken to; nil for what a proxy is asked.
    fileprivate var path: String? {
        switch self {
        case .origin(let path): path
        case .asterisk: "*"
        case .absolute, .authority: nil
        }
    }
}

/// The pages that the proxy has of its own.
enum ProxyPage: Equatable {
    case autoConfiguration, status

    init?(path: String) {
        switch path {
        case AutoConfiguration.path: self = .autoConfiguration
        case "/": self = .status
        default: return nil
        }
    }
}
