import Platform

extension HomeserverConfiguration {
    /// How a gateway in front of this homeserver is set up: names and values of its configuration file, without the key file.
    ///
    /// - Throws: ``ConfigurationProblem`` when the gateway is switched off, or can't know where the homeserver is.
    public func gatewaySettings() throws(ConfigurationProblem) -> [(name: String, value: String)] {
        if iroh.isEnabled == false {
            throw ConfigurationProblem(place: iroh.enabledPlace, message: "discovery.iroh.enabled is false: the gateway is switched off")
        }
        guard httpSocket.port != 0 else {
            throw ConfigurationProblem(message: "drive.icann_listen_socket has port 0, so that the homeserver takes HTTP at another port each time")
        }
        var settings = [("target", place(of: httpSocket)), ("http", "yes")]
        // Without it only those who speak plain HTTP in the tunnel are served.
        if tlsSocket.port != 0 { settings.append(("tls-target", place(of: tlsSocket))) }
        settings += iroh.directAddresses.map { ("address", "\($0)") }
        if let url = iroh.relayURL { settings.append(("iroh-relay", url.description)) }
        if let alpn = iroh.alpn { settings.append(("alpn", alpn)) }
        if let seconds = iroh.timeToLive { settings.append(("ttl", "\(seconds)s")) }
        return (settings + intervals + network).map { (name: $0.0, value: $0.1) }
    }

    /// The homeserver's packet is put again each hour, the endpoint's every 5 minutes, or what is the less of both (spec/pkarr-wire.md, 6.3).
    private var intervals: [(String, String)] {
        guard publishMinutes != nil || iroh.publishMinutes != nil else { return [] }
        let beat = min(publishMinutes ?? 60, iroh.publishMinutes ?? 5)
        return [("watch", "\(beat)m"), ("refresh", "\(beat)m")] + (publishMinutes.map { [("rebuild", "\($0)m")] } ?? [])
    }

    private var network: [(String, String)] {
        var settings = (bootstrapNodes ?? []).map { ("bootstrap", "\($0)") }
        if let relayNodes {
            settings += relayNodes.isEmpty ? [("relays", "no")] : relayNodes.map { ("relay", $0.description) }
        }
        return settings
    }

    /// A socket that takes what comes to any address is reached through the loopback.
    private func place(of socket: SocketAddress) -> String {
        let loopback = socket.ip.isV6 ? IPAddress.v6(high: 0, low: 1) : .v4(0x7f00_0001)
        return "\(SocketAddress(ip: socket.ip.isUnspecified ? loopback : socket.ip, port: socket.port))"
    }
}
