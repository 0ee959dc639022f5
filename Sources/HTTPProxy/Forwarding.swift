import HTTP1
import Ladder

/// How heads are changed on their way.
enum Forwarding {
    /// RFC 9110, 7.6.3.
    static let via = "1.1 keyhole"
    static let pathField = "X-Pubky-Path"

    /// The head that the homeserver, or another host, gets.
    ///
    /// Nothing is added that tells of the client or of this proxy. The host is that of the target, whatever `Host` said (RFC 9112, 3.2.2).
    ///
    /// - Parameter upgrade: The protocol that is asked for on the same connection.
    static func request(_ head: RequestHead, path: String, to link: UpstreamLink, upgrade: String?) -> [UInt8] {
        var request = RequestHead(method: head.method, target: path, minorVersion: head.minorVersion, fields: head.fields)
        request.fields.removeHopByHop()
        request.fields.removeAll { $0.hasPrefix("proxy-") || $0 == "host" }
        request.fields.append("Host", link.host)
        if let key = link.pubkyHost { request.fields.set("pubky-host", key) }
        if let forwards = head.forwards { request.fields.set("Max-Forwards", "\(max(0, forwards - 1))") }
        if let upgrade {
            request.fields.append("Connection", "Upgrade")
            request.fields.append("Upgrade", upgrade)
        } else if head.minorVersion == 0 {
            request.fields.append("Connection", "close")
        }
        return request.bytes
    }

    /// The head that the client gets.
    ///
    /// - Parameter upgrade: The protocol that the connection goes over to.
    static func response(_ head: ResponseHead, over link: UpstreamLink, closes: Bool, upgrade: String? = nil) -> [UInt8] {
        var response = ResponseHead(status: head.status, reason: head.reason, fields: head.fields)
        response.fields.removeHopByHop()
        // What only a proxy says to its client is not for a homeserver to say.
        response.fields.removeAll { ["proxy-authenticate", "proxy-authentication-info", pathField.lowercased()].contains($0) }
        response.fields.append("Via", via)
        if let path = link.path { response.fields.append(pathField, path.rawValue) }
        if let upgrade {
            response.fields.append("Connection", "Upgrade")
            response.fields.append("Upgrade", upgrade)
        } else if closes {
            response.fields.append("Connection", "close")
        }
        return response.bytes
    }

    /// The answer to CONNECT. It has no body and no length (RFC 9110, 9.3.6).
    static func connected(_ path: UpstreamPath?) -> [UInt8] {
        var head = ResponseHead(status: 200, reason: "Connected")
        head.fields.append("Via", via)
        if let path { head.fields.append(pathField, path.rawValue) }
        return head.bytes
    }
}
