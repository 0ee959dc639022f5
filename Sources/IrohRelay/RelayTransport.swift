import Platform

/// What carries a session's bytes: a socket, perhaps with TLS on it, or a test.
public protocol RelayTransport: AnyObject {
    /// The session has bytes to be sent, see ``RelaySession/withOutput(_:)``. Not to be acted on before the present call returns.
    func outputIsReady()
    /// Whether to read from the client. A client that is not read from is slowed down by TCP.
    func setReading(_ reading: Bool)
    /// The session is over: nothing more is to be read or sent.
    func close()
    /// Keying material of the TLS connection to the client; nil when there is none.
    func exportKeyingMaterial(label: String, context: [UInt8], count: Int) -> [UInt8]?
}
