import Crypto

/// The secret that clients have to give in `Proxy-Authorization` (RFC 7617), as password of any user.
public struct ProxyToken: Sendable {
    /// Digests have one length, so that comparing them tells nothing, not even how long the secret is.
    private let digest: [UInt8]

    /// - Parameter secret: Printable ASCII.
    public init(_ secret: String) { digest = sha256(Array(secret.utf8)) }

    /// Whether a `Proxy-Authorization` value holds the secret.
    func isIn(_ authorization: String?) -> Bool {
        guard let authorization, let space = authorization.utf8.firstIndex(of: 0x20), authorization[..<space].lowercased() == "basic",
            let plain = bytes(base64: String(authorization[space...].drop { $0 == " " })), let colon = plain.firstIndex(of: UInt8(ascii: ":"))
        else { return false }
        return isEqualInConstantTime(sha256(Array(plain[(colon + 1)...])), digest)
    }
}
