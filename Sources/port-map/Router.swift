import CPortMapping
import Crypto
import Glibc
import Platform
import PortMapping

/// The router of this network. Asking it waits for its answer, some seconds at most.
final class Router {
    /// How long an answer is waited for before asking again, and then no more. The router is next door; RFC 6886, section 3.1, begins so
    /// and goes on for a minute, in which nobody would be told that the port is not mapped.
    private static let waits: [Int32] = [250, 500, 1000]
    private static let patience = waits.reduce(0, +)
    /// Devices answer a search within a second (MX).
    private static let searchTime: Int32 = 1000
    /// Other external ports to try by UPnP, by which routers choose none.
    private static let otherPorts = 3

    /// Our address towards it.
    let host: IPAddress
    let address: IPAddress
    private var upnp: OpaquePointer?

    /// Nil when there is no way to it.
    init?(_ address: IPAddress) {
        guard let socket = try? Sockets.udpConnect(to: SocketAddress(ip: address, port: PCPMapping.port)),
            let local = try? Sockets.localAddress(socket.number)
        else { return nil }
        self.address = address
        host = local.ip
    }

    deinit { if let upnp { keyhole_upnp_free(upnp) } }

    /// Whether it speaks a protocol, and its public address where that tells it. Nothing is mapped.
    func look(_ way: MappingProtocol) -> Result<IPAddress?, MappingRefusal> {
        var raw: UInt32 = 0
        switch way {
        case .pcp:
            return answer(to: PCPMapping.announcement(from: host)) { bytes in
                PCPMapping.isSpoken(bytes).map { $0 ? .success(nil) : .failure(MappingRefusal("not spoken by the router", isUnspoken: true)) }
            }
        case .natpmp:
            let status = keyhole_natpmp_address(networkOrder, Self.patience, &raw)
            guard status == 0 else { return .failure(MappingRefusal(String(cString: keyhole_natpmp_words(status)), isUnspoken: true)) }
        case .upnp:
            guard let found = keyhole_upnp_find("\(address)", Self.searchTime) else {
                return .failure(MappingRefusal("not spoken by the router", isUnspoken: true))
            }
            defer { keyhole_upnp_free(found) }
            let status = keyhole_upnp_address(found, &raw)
            guard status == 0 else { return .failure(MappingRefusal(String(cString: keyhole_upnp_words(status)).lowercased())) }
        }
        return .success(.v4(UInt32(bigEndian: raw)))
    }

    func ask(_ request: PortMapper.Request) -> Result<MappingGrant, MappingRefusal> {
        switch request.protocol {
        case .pcp: askPCP(request)
        case .natpmp: askNATPMP(request)
        case .upnp: askUPnP(request)
        }
    }

    // PCP

    private func askPCP(_ request: PortMapper.Request) -> Result<MappingGrant, MappingRefusal> {
        let message = PCPMapping.Request(
            nonce: Self.nonce(for: request.port), client: SocketAddress(ip: host, port: request.port), suggested: request.suggested,
            lifetime: request.lifetime)
        return answer(to: message.encoded) { bytes in
            switch PCPMapping.answer(bytes, to: message) {
            case .granted(let grant): .success(grant)
            case .refused(let refusal): .failure(refusal)
            case nil: nil
            }
        }
    }

    /// Sends a question until something comes of which `read` makes an answer.
    private func answer<Value>(
        to question: [UInt8], _ read: ([UInt8]) -> Result<Value, MappingRefusal>?
    ) -> Result<Value, MappingRefusal> {
        do throws(SystemError) {
            // Its source is the client's address that the request names, else the router refuses (RFC 6887, section 8.2).
            let socket = try Sockets.udpConnect(to: SocketAddress(ip: address, port: PCPMapping.port))
            for wait in Self.waits {
                _ = try nonblockingCall("send") { question.withUnsafeBytes { send(socket.number, $0.baseAddress, $0.count, 0) } }
                let end = Instant.now + .milliseconds(Int64(wait))
                while let bytes = try receive(socket.number, until: end) {
                    if let answer = read(bytes) { return answer }
                }
            }
            return .failure(MappingRefusal("no answer", isUnspoken: true))
        } catch {
            return .failure(MappingRefusal(error.code == ECONNREFUSED ? "not spoken by the router" : error.reason, isUnspoken: true))
        }
    }

    private func receive(_ socket: Int32, until end: Instant) throws(SystemError) -> [UInt8]? {
        while true {
            let left = end - .now
            guard left > .zero else { return nil }
            var waited = pollfd(fd: socket, events: Int16(POLLIN), revents: 0)
            _ = try systemCall("poll") { poll(&waited, 1, Int32(left.millisecondsRoundedUp)) }
            var bytes = [UInt8](repeating: 0, count: PCPMapping.mostBytes + 1)
            let capacity = bytes.count
            if let count = try nonblockingCall("recv", { recv(socket, &bytes, capacity, 0) }) { return Array(bytes.prefix(count)) }
        }
    }

    /// The same after a restart, so that a mapping of ours that is still there is ours. It is to be guessed by nobody (RFC 6887, section
    /// 11.2), and the machine's id is not to be told.
    private static func nonce(for port: UInt16) -> [UInt8] {
        guard let id = try? readFile("/etc/machine-id", limit: 4096), id.count >= 32 else { return fallback }
        return Array(sha256(Array("keyhole port-map \(port) ".utf8) + id).prefix(PCPMapping.nonceLength))
    }

    private static let fallback = randomBytes(PCPMapping.nonceLength)

    // NAT-PMP

    private func askNATPMP(_ request: PortMapper.Request) -> Result<MappingGrant, MappingRefusal> {
        var grant = keyhole_grant()
        // Whoever gives a mapping back names no external port (RFC 6886, section 3.4).
        let suggested = request.lifetime == 0 ? 0 : request.suggested.port
        let status = keyhole_natpmp_map(networkOrder, request.port, suggested, request.lifetime, Self.patience, &grant)
        guard status == 0 else {
            return .failure(MappingRefusal(String(cString: keyhole_natpmp_words(status)), isUnspoken: status == keyhole_no_answer))
        }
        return .success(MappingGrant(grant, hasEpoch: true))
    }

    private var networkOrder: UInt32 { if case .v4(let value) = address { value.bigEndian } else { 0 } }

    // UPnP

    private func askUPnP(_ request: PortMapper.Request) -> Result<MappingGrant, MappingRefusal> {
        let wasKnown = upnp != nil
        if !wasKnown { upnp = keyhole_upnp_find("\(address)", Self.searchTime) }
        guard let upnp else { return .failure(MappingRefusal("not spoken by the router", isUnspoken: true)) }
        var grant = keyhole_grant()
        var status = request.lifetime == 0
            ? keyhole_upnp_unmap(upnp, request.suggested.port)
            : keyhole_upnp_map(upnp, request.port, request.suggested.port, request.lifetime, &grant)
        for _ in 0..<Self.otherPorts where request.lifetime > 0 && keyhole_upnp_is_conflict(status) {
            status = keyhole_upnp_map(upnp, request.port, .random(in: 1024...65535), request.lifetime, &grant)
        }
        if status == 0 { return .success(MappingGrant(grant, hasEpoch: false)) }
        keyhole_upnp_free(upnp)
        self.upnp = nil
        // One that has restarted may be found at another port.
        if wasKnown, request.lifetime > 0 { return askUPnP(request) }
        return .failure(MappingRefusal(String(cString: keyhole_upnp_words(status)).lowercased()))
    }
}

extension MappingGrant {
    fileprivate init(_ raw: keyhole_grant, hasEpoch: Bool) {
        self.init(
            external: SocketAddress(ip: .v4(UInt32(bigEndian: raw.external_ip)), port: raw.external_port), lifetime: raw.lifetime,
            epoch: hasEpoch ? raw.epoch : nil)
    }
}
