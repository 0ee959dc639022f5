import HTTP1

/// What a gateway tells its server of a client, in place of all that the client could say of itself.
public struct ClientFields: Sendable {
    /// The field that holds the key that the client has proved, in z-base-32.
    public static let keyField = "Pubky-Client-Key"

    private var own: [(name: String, value: String)] = []

    /// - Parameters:
    ///   - key: In z-base-32; nil when the client has proved none.
    ///   - address: The client's IP address as text; nil when it is not known, as behind a relay.
    public init(key: String?, address: String?) {
        if let key { own.append((Self.keyField, key)) }
        // Only the address itself: behind it would stand what the client has said, and servers differ in which one they believe.
        if let address { own.append(("X-Forwarded-For", address)) }
        // The scheme of the client's URL (RFC 7239, 5.4). Who is told "https" sends cookies that a browser at http:// drops.
        own.append(("X-Forwarded-Proto", "http"))
    }

    func replace(in fields: inout Fields) {
        fields.removeAll(where: Self.isForgeable)
        for field in own { fields.append(field.name, field.value) }
    }

    /// Whether servers take a field, whose name is in lower case, for the word of a proxy that they trust.
    ///
    /// Servers that pass fields on as variables (RFC 3875, 4.1.18) write all that is no letter or digit alike, so that `X_Forwarded_For` and
    /// `X.Forwarded.For` arrive as the one that was meant.
    static func isForgeable(_ name: String) -> Bool {
        let bytes = name.utf8.map { 0x61...0x7a ~= $0 || 0x30...0x39 ~= $0 ? $0 : UInt8(ascii: "-") }
        let plain = String(decoding: bytes, as: UTF8.self)
        return names.contains(plain) || prefixes.contains { plain.hasPrefix($0) }
    }

    private static let prefixes = [
        "forwarded", "x-forward", "x-real-", "x-client-", "x-remote-", "x-original-", "x-ssl-", "x-envoy-", "x-authenticated-", "ssl-client-", "cf-",
    ]
    private static let names: Set = [
        keyField.lowercased(), "via", "client-ip", "true-client-ip", "x-cluster-client-ip", "x-originating-ip", "fastly-client-ip", "fly-client-ip",
        "x-azure-clientip", "x-azure-socketip", "x-appengine-user-ip", "proxy-client-ip", "wl-proxy-client-ip", "x-proxyuser-ip", "x-host",
        "x-scheme", "x-url-scheme", "x-rewrite-url", "front-end-https", "remote-user", "x-webauth-user", "x-user-ip",
        // A program that a server runs would take it for the address of its own proxy (CVE-2016-5385).
        "proxy",
    ]
}
