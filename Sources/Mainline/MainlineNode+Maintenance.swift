import Crypto
import Platform

/// Being a good node of the network, in server mode.
extension MainlineNode {
    func maintain(now: Instant) {
        if now >= maintenance.nextRefresh, maintenance.refreshes == 0 { refresh(now: now) }
        guard now >= maintenance.nextCheck else { return }
        maintenance.nextCheck = now + Maintenance.interval
        takeElectedAddress(now: now)
        let silent = table.entries.filter { $0.failures > 0 || now - $0.lastSeen >= RoutingTable.freshness }
        for entry in silent.prefix(Maintenance.mostPings) { ping(entry.contact, now: now) }
    }

    /// Looks for nodes around our own id, and at the same time around a random one, so that far buckets stay filled too.
    private func refresh(now: Instant) {
        maintenance.nextRefresh = now + maintenance.pause
        maintenance.pause = min(maintenance.pause * 2, table.isEmpty ? Maintenance.interval : Maintenance.refreshInterval)
        guard !table.isEmpty || !bootstraps.isEmpty || !rumours.isEmpty else { return }
        maintenance.refreshes = 2
        _ = start(Operation(.refresh, target: id, now: now), now: now)
        _ = start(Operation(.refresh, target: randomTarget(), now: now), now: now)
    }

    /// A node that has asked us something may be worth knowing, but only its answer proves that it is where it says.
    func meet(_ asker: Contact, now: Instant) {
        guard transactions.pings < Maintenance.mostPings, table.wants(asker) else { return }
        ping(asker, now: now)
    }

    private func ping(_ contact: Contact, now: Instant) {
        send(.ping, to: Lookup.Destination(address: contact.address, id: contact.id), for: .ping, now: now)
    }

    func noteVote(_ address: SocketAddress?, by voter: SocketAddress) {
        guard let ip = address?.ip, ip.isV6 == isV6 else { return }
        maintenance.note(vote: ip, by: voter.ip.site)
    }

    /// Takes an id that is valid for our address as others see it (BEP 42), without which careful nodes don't keep us.
    func takeElectedAddress(now: Instant) {
        guard let ip = maintenance.electedAddress else { return }
        idAddress = ip
        guard !id.isValid(for: ip) else { return }
        id = NodeID(for: ip, random: randomBytes(20))
        table = table.moved(to: id)
        maintenance.nextRefresh = now
    }
}
