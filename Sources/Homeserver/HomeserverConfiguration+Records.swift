import JSON
import Platform

extension HomeserverConfiguration {
    /// Seconds that a reader may keep what the homeserver publishes.
    private static let timeToLive: Int64 = 3600

    /// The `records` object of what the homeserver publishes under its key: an HTTPS record for its TLS port, one for its domain, and its
    /// address, in its order (spec/pkarr-wire.md, 4.1).
    ///
    /// - Throws: ``ConfigurationProblem`` when a port is not known before the homeserver runs.
    public func records() throws(ConfigurationProblem) -> JSONObject {
        let hint = publicIP.isV6 ? "ipv6hint" : "ipv4hint"
        let address = JSONValue.string(publicIP.description)
        var domain = JSONObject()
        // For browsers, which can't speak its TLS; a real domain has a proxy with a certificate at the usual port.
        if icannDomain == "localhost" {
            domain["65280"] = .string("hex:" + hexadecimal(try port(publicHTTPPort, httpSocket, "public_icann_http_port")))
        }
        let tlsPort = try port(publicTLSPort, tlsSocket, "public_pubky_tls_port")
        return JSONObject(members: [("records", .array([
            record("HTTPS", [("priority", 1), ("target", "."), ("params", ["port": .integer(Int64(tlsPort)), hint: [address]])]),
            record("HTTPS", [("priority", 10), ("target", .string(icannDomain)), ("params", .object(domain))]),
            record(publicIP.isV6 ? "AAAA" : "A", [("address", address)]),
        ]))])
    }

    private func record(_ type: String, _ data: [(name: String, value: JSONValue)]) -> JSONValue {
        .object(JSONObject(members: [("name", "@"), ("type", .string(type)), ("ttl", .integer(Self.timeToLive))] + data))
    }

    private func port(_ published: UInt16?, _ socket: SocketAddress, _ name: String) throws(ConfigurationProblem) -> UInt16 {
        if let published { return published }
        guard socket.port != 0 else {
            throw ConfigurationProblem(message: "pkdns.\(name) is missing, and the homeserver listens at another port each time")
        }
        return socket.port
    }

    private func hexadecimal(_ port: UInt16) -> String {
        let digits = String(port, radix: 16)
        return String(repeating: "0", count: 4 - digits.count) + digits
    }
}
