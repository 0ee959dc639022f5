import Pkarr

/// A zone and how old it is: what is needed to answer from it.
struct ServedZone {
    enum Step {
        case final(DNSResponse)
        /// The question goes on with the alias's target.
        case alias(Resolution)
    }

    /// Seconds for which it may be kept that a name has no records: what pkdns keeps of a key without a packet.
    static let negativeTimeToLive: UInt32 = 60

    let zone: Zone
    /// Seconds since the packet was last seen.
    let age: UInt64
    let isStale: Bool

    /// - Parameters:
    ///   - name: What is asked for, relative to the key and folded.
    ///   - suffix: What stands behind the key in the question, and so in the names of the answer.
    func answer(_ name: DomainName, _ suffix: DomainName, _ resolution: Resolution) -> Step {
        let query = resolution.query
        var response = resolution.response()
        response.isRecursionAvailable = true
        response.isAuthoritative = true
        let finding = zone.find(name, query.type)
        switch finding {
        case .records(let records):
            // Everything at once is what forged questions want most (RFC 8482, section 4.1): in a datagram, one set will do.
            let isShortened = query.type == .any && resolution.origin.transport == .udp
            let given = isShortened ? records.filter { $0.type == records[0].type } : records
            response.answers += given.map { served($0, as: resolution.name) }
        case .alias(let alias, let target):
            var next = resolution
            // The target is where the question goes on, so it has to be a name of the same kind; what else is signed stays as it is.
            next.name = isKeyName(target) ? target.followed(by: suffix) ?? target : target
            var record = served(alias, as: resolution.name)
            record.rdata = next.name.wire
            next.chain.append(record)
            return .alias(next)
        case .referral(let place, let servers, let addresses):
            response.isAuthoritative = false
            let apex = DomainName(zone: zone.packet.publicKey)
            for server in servers {
                guard let owner = place.followed(by: apex)?.followed(by: suffix) else { continue }
                response.authority.append(served(server, as: owner))
            }
            for address in addresses {
                guard let owner = address.name.followed(by: apex) else { continue }
                response.additional.append(served(address, as: owner))
            }
        case .noData, .noName:
            if finding == .noName { response.code = .nameError }
            guard let apex = DomainName(zone: zone.packet.publicKey).followed(by: suffix) else { break }
            let authority = ResourceRecord.startOfAuthority(of: apex, serial: UInt32(truncatingIfNeeded: zone.packet.timestamp / 1_000_000))
            if name == .root, query.type == .soa { response.answers.append(authority) } else { response.deny(authority) }
        }
        return .final(response)
    }

    private func isKeyName(_ target: DomainName) -> Bool {
        var names = KeyNames(suffixes: [])
        if case .key = names.place(of: target.folded) { return true }
        return false
    }

    /// The record under the name it was asked by, with the time left of its TTL. A packet is kept for longer than some records would
    /// like to be; then nobody else shall keep them.
    private func served(_ record: ResourceRecord, as name: DomainName) -> ResourceRecord {
        var served = record
        served.name = name
        let whole = min(record.timeToLive, SeenPacket.lifetimes.upperBound)
        served.timeToLive = isStale ? min(whole, SeenPacket.staleTimeToLive) : whole - UInt32(min(UInt64(whole), age))
        return served
    }
}

extension DNSResponse {
    /// Adds what lets others keep that there is nothing (RFC 2308, section 3).
    mutating func deny(_ authority: ResourceRecord) { self.authority = [authority] }
}

extension ResourceRecord {
    /// A record that no packet holds but DNS needs at the top of a zone (RFC 1035, section 3.3.13): there is no primary server and nobody
    /// to write to (RFC 2606, section 2).
    static func startOfAuthority(of zone: DomainName, serial: UInt32) -> ResourceRecord {
        let nobody = DomainName(labels: [Array("nobody".utf8), Array("invalid".utf8)])!
        // Serial, refresh, retry, expire, and the TTL of what does not exist.
        let numbers = [serial, 60, 60, 86400, ServedZone.negativeTimeToLive]
        var rdata = zone.wire + nobody.wire
        for number in numbers { withUnsafeBytes(of: number.bigEndian) { rdata += $0 } }
        return ResourceRecord(name: zone, type: .soa, timeToLive: ServedZone.negativeTimeToLive, rdata: rdata)
    }
}
