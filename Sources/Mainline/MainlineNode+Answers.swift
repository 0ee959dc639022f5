import Platform

/// Answering queries, in server mode.
extension MainlineNode {
    /// Contacts in an answer: the mainline library's number.
    private static let contactsPerAnswer = 20
    /// Beside a large item there are fewer, but never fewer than BEP 5's K, so that the datagram fits an Ethernet frame.
    private static let contactsBesideItem = 8
    private static let frameBytes = 1400
    /// Key, signature, token, id and the bencoding around them.
    private static let bytesBesideItem = 260

    func answer(_ query: KRPCQuery, _ message: KRPCMessage, from asker: Contact, now: Instant) {
        // Our own query, sent to an address that turned out to be ours.
        if asker.id == id, transactions.isOurs(message.transaction) { return }
        guard limiter.admit(asker.address.ip, now: now) == .admitted else {
            refusedQueries += 1
            return
        }
        if !message.isReadOnly, !isSole { meet(asker, now: now) }
        var response = KRPCResponse(id: id)
        switch query {
        case .ping: break
        case .findNode(let target), .other(let target?): name(message.want, near: target, in: &response, for: asker)
        case .get(let target, let floor):
            if postpone(Enquiry(asker: asker, message: message, floor: floor), for: target, now: now) { return }
            fill(&response, with: target, moreRecentThan: floor, for: asker, now: now)
            name(message.want, near: target, in: &response, for: asker)
        case .put(let token, let put):
            guard tokens.isValid(token, for: asker.address.ip, now: now) else {
                return refuse(KRPCError(code: KRPCError.protocolCode, text: "invalid token"), message, to: asker)
            }
            if let error = store.store(put, now: now) { return refuse(error, message, to: asker) }
            if isSole, case .mutable(let item, _) = put { emit(.given(item)) }
        case .other(nil): return refuse(KRPCError(code: KRPCError.methodUnknownCode, text: "unknown method"), message, to: asker)
        case .invalid(let error): return refuse(error, message, to: asker)
        }
        reply(.response(response), message, to: asker)
    }

    /// Answers a get with what is here.
    func answerFromStore(_ enquiry: Enquiry, _ target: NodeID, now: Instant) {
        var response = KRPCResponse(id: id)
        fill(&response, with: target, moreRecentThan: enquiry.floor, for: enquiry.asker, now: now)
        name(enquiry.message.want, near: target, in: &response, for: enquiry.asker)
        reply(.response(response), enquiry.message, to: enquiry.asker)
    }

    private func fill(_ response: inout KRPCResponse, with target: NodeID, moreRecentThan floor: Int64?, for asker: Contact, now: Instant) {
        response.token = tokens.token(for: asker.address.ip, now: now)
        switch store.item(at: target, now: now) {
        case .immutable(let value): response.encodedValue = value
        case .mutable(let item):
            response.sequence = item.sequence
            if let floor, item.sequence <= floor { break }
            response.key = item.key.bytes
            response.signature = item.signature
            response.encodedValue = item.encodedValue
        case nil: break
        }
    }

    /// Names nodes of the networks that the asker wants to hear of: this one, unless he says otherwise (BEP 32).
    private func name(_ want: AddressFamilies?, near target: NodeID, in response: inout KRPCResponse, for asker: Contact) {
        let own = AddressFamilies(of: ownAddress.ip)
        var families = want ?? own
        if families.isEmpty { families = own }
        let bytes = (families.contains(.v4) ? 26 : 0) + (families.contains(.v6) ? 38 : 0)
        let room = MainlineNode.frameBytes - MainlineNode.bytesBesideItem - (response.encodedValue?.count ?? 0)
        let most = families == own && response.encodedValue == nil && own == .v4 ? MainlineNode.contactsPerAnswer : room / bytes
        let count = min(MainlineNode.contactsPerAnswer, max(MainlineNode.contactsBesideItem, most))
        for family: AddressFamilies in [.v4, .v6] where families.contains(family) {
            guard let node = family == own ? self : sibling else { continue }
            let contacts = node.closest(to: target, for: asker, count)
            if family == .v4 { response.nodes = contacts } else { response.nodes6 = contacts }
        }
    }

    /// Everybody but the asker himself, who knows where he is.
    private func closest(to target: NodeID, for asker: Contact, _ count: Int) -> [Contact] {
        isSole ? [] : Array(table.closest(to: target, count: count + 1).filter { $0.address != asker.address }.prefix(count))
    }

    private func refuse(_ error: KRPCError, _ message: KRPCMessage, to asker: Contact) { reply(.error(error), message, to: asker) }

    private func reply(_ body: KRPCMessage.Body, _ query: KRPCMessage, to asker: Contact) {
        send(KRPCMessage(transaction: query.transaction, observedAddress: asker.address, body: body), to: asker.address)
    }
}
