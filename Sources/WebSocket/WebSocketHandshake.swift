import Crypto

/// The HTTP side of opening a WebSocket (RFC 6455, 4).
public enum WebSocketHandshake {
    /// The one version there is.
    public static let version = "13"
    private static let guid = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"

    /// The value of `Sec-WebSocket-Accept` for a client's key (4.2.2); nil when the key is not 16 bytes in base64.
    public static func accept(key: String) -> String? {
        guard let nonce = bytes(base64: key), nonce.count == 16 else { return nil }
        return base64(sha1(Array((key + guid).utf8)))
    }

    /// The words of a header that is a list, such as `Connection` or `Sec-WebSocket-Protocol`.
    public static func words(_ list: String) -> [Substring] {
        list.split(separator: ",").map { word in
            let start = word.drop { $0 == " " || $0 == "\t" }
            return start.prefix { $0 != " " && $0 != "\t" }
        }.filter { !$0.isEmpty }
    }
}
