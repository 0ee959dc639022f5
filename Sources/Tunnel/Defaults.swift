/// What the tunnel commands agree on unless told otherwise.
public enum TunnelDefaults {
    /// The application protocol of a homeserver's tunnel: one bidirectional stream for each TCP connection, no preamble
    /// (spec/pkarr-wire.md, section 8).
    public static let alpn = "pubky/iroh-homeserver/0"
}
