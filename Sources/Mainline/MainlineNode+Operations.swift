import Platform

/// Running look-ups and puts.
extension MainlineNode {
    func begin(_ id: OperationID, _ operation: Operation, now: Instant) {
        var operation = operation
        operation.startedAt = now
        let contacts = table.closest(to: operation.lookup.target, count: Lookup.width)
        operation.lookup = Lookup(
            target: operation.lookup.target, knowing: contacts, bootstraps: contacts.count < Lookup.width ? bootstraps : [])
        operations[id] = operation
        takeFromOwnStore(id)
        proceed(id, now: now)
    }

    /// Asks whom it is time to ask.
    private func ask(for id: OperationID, now: Instant) {
        guard let operation = operations[id], operation.isLookingUp else { return }
        let query = operation.query
        for destination in operations[id]!.lookup.takeQueries(limit: transactions.roundTrips.concurrency) {
            send(query, to: destination, for: .lookup(id), now: now)
        }
    }

    /// Asks whom it is time to ask, and ends the look-up when nothing more is to come.
    func proceed(_ id: OperationID, now: Instant) {
        ask(for: id, now: now)
        guard let operation = operations[id], operation.isLookingUp else { return }
        let lookup = operation.lookup
        if lookup.isFinished {
            if lookup.queries > 0 || !isAwaitingBootstraps { finishLookup(id, .complete, now: now) }
        } else if lookup.isExhausted {
            finishLookup(id, .limited, now: now)
        }
    }

    /// Checks the items in the answers that have come, and goes on with their look-ups.
    func checkAnswers(now: Instant) {
        while !unchecked.isEmpty {
            let answers = unchecked
            unchecked = []
            for (id, response, contact) in answers { take(itemIn: response, by: contact, for: id) }
            for id in Set(answers.map(\.operation)) { proceed(id, now: now) }
        }
    }

    func send(_ query: KRPCQuery, to destination: Lookup.Destination, for purpose: Transaction.Purpose, now: Instant) {
        let transaction = transactions.begin(Transaction(destination: destination, purpose: purpose, sentAt: now))
        var asker = id
        // libtorrent remembers whoever puts, read-only or not, and later waits for it in vain; it never remembers its own id.
        if mode == .client, case .put = query, let receiver = destination.id { asker = receiver }
        send(KRPCMessage(transaction: transaction, isReadOnly: mode == .client, body: .query(id: asker, query)), to: destination.address)
    }

    func take(_ response: KRPCResponse, _ message: KRPCMessage, from source: SocketAddress, now: Instant) {
        guard !message.isReadOnly, response.id != id, let transaction = transactions.end(message.transaction, from: source, now: now)
        else { return }
        let contact = Contact(id: response.id, address: source)
        if let asked = transaction.destination.id, asked != contact.id { table.remove(Contact(id: asked, address: source)) }
        table.insert(contact, now: now)
        if mode == .server { noteVote(message.observedAddress, by: source) }
        switch transaction.purpose {
        case .lookup(let id):
            guard operations[id] != nil else { return }
            operations[id]!.lookup.answered(transaction.destination, by: contact, token: response.token, naming: response.nodes ?? [])
            ask(for: id, now: now)
            unchecked.append((id, response, contact))
        case .put(let id): endPut(id, transaction.destination, .stored)
        case .ping: break
        }
        beginWaiting(now: now)
    }

    func take(_ error: KRPCError, _ message: KRPCMessage, from source: SocketAddress, now: Instant) {
        guard let transaction = transactions.end(message.transaction, from: source, now: now) else { return }
        switch transaction.purpose {
        case .lookup(let id):
            operations[id]?.lookup.failed(transaction.destination)
            proceed(id, now: now)
        case .put(let id): endPut(id, transaction.destination, .refused(error))
        case .ping: break
        }
        beginWaiting(now: now)
    }

    func expireTransactions(now: Instant) {
        checkAnswers(now: now)
        let (stalled, failed) = transactions.expire(now: now)
        for transaction in stalled {
            guard case .lookup(let id) = transaction.purpose else { continue }
            operations[id]?.lookup.stalled(transaction.destination)
        }
        for transaction in failed {
            if let id = transaction.destination.id { table.noteFailure(of: Contact(id: id, address: transaction.destination.address)) }
            switch transaction.purpose {
            case .lookup(let id): operations[id]?.lookup.failed(transaction.destination)
            case .put(let id): endPut(id, transaction.destination, .timedOut)
            case .ping: break
            }
        }
        for id in Set((stalled + failed).compactMap(\.operation)) { proceed(id, now: now) }
        beginWaiting(now: now)
    }

    /// Ends the look-up of an operation, which ends a get and is where a put begins to store.
    func finishLookup(_ id: OperationID, _ ending: LookupOutcome.Ending, now: Instant) {
        guard var operation = operations[id] else { return }
        transactions.forget(id)
        operation.outcome = outcome(of: operation, ending)
        if case .put(let item, let basis) = operation.kind, ending == .complete || ending == .limited {
            operation.put = PutOutcome(lookup: operation.outcome)
            if let newest = operation.newest, newest.isMoreRecent(than: item) {
                operation.put!.newer = newest
            }
            operation.put!.unmerged = operation.unmerged
            if operation.put!.newer == nil, operation.unmerged.isEmpty {
                storeHere(item, onto: basis, &operation)
                send(item, onto: basis, to: operation.lookup.closestResponders, for: id, &operation, now: now)
            }
            operations[id] = operation
            finishPutIfDone(id)
        } else {
            operations[id] = nil
            report(id, operation, operation.outcome.ending)
        }
        beginWaiting(now: now)
    }

    func report(_ id: OperationID, _ operation: Operation, _ ending: LookupOutcome.Ending) {
        let outcome = outcome(of: operation, ending)
        switch operation.kind {
        case .get: emit(.lookupFinished(id, outcome))
        case .put: emit(.putFinished(id, operation.put ?? PutOutcome(lookup: outcome)))
        case .refresh: maintenance.refreshes -= 1
        }
    }

    private func outcome(of operation: Operation, _ ending: LookupOutcome.Ending) -> LookupOutcome {
        var outcome = operation.outcome
        outcome.asked = operation.lookup.queries
        outcome.closest = operation.lookup.closestResponders.map(\.contact)
        outcome.ending = ending
        if ending == .complete, outcome.answers.isEmpty { outcome.ending = outcome.asked == 0 ? .nobodyToAsk : .noAnswer }
        return outcome
    }

    private func take(itemIn response: KRPCResponse, by contact: Contact, for id: OperationID) {
        guard let operation = operations[id] else { return }
        var holding = LookupOutcome.Answer.Holding.nothing
        switch response.mutableItem(for: operation.lookup.target, verified: operation.newest) {
        case .success(let item):
            holding = .item(sequence: item.sequence)
            note(item, from: contact, for: id)
        case .failure(let flaw): holding = .flawed(flaw)
        case nil: if let sequence = response.sequence { holding = .notNewer(sequence: sequence) }
        }
        operations[id]!.outcome.answers.append(LookupOutcome.Answer(node: contact, holding: holding))
    }

    private func note(_ item: MutableItem, from contact: Contact, for id: OperationID) {
        if operations[id]!.newest.map({ item.isMoreRecent(than: $0) }) ?? true { operations[id]!.newest = item }
        switch operations[id]!.kind {
        case .get(let floor): if item.sequence > floor ?? -1 { emit(.item(id, item, from: contact)) }
        case .put(let own, let basis?):
            let unmerged = operations[id]!.unmerged
            guard item != own, !basis.takesIntoAccount(item), !unmerged.contains(item), unmerged.count < PutBasis.mostUnmerged else { return }
            operations[id]!.unmerged.append(item)
        case .put, .refresh: break
        }
    }

    /// A server is one of the nodes that its own look-ups concern.
    private func takeFromOwnStore(_ id: OperationID) {
        guard mode == .server, let operation = operations[id], case .mutable(let item)? = store.item(at: operation.lookup.target)
        else { return }
        let here = Contact(id: self.id, address: ownAddress)
        operations[id]!.outcome.answers.append(LookupOutcome.Answer(node: here, holding: .item(sequence: item.sequence)))
        note(item, from: here, for: id)
    }

    // Putting

    /// A server stores an item itself when it is one of the closest nodes.
    private func storeHere(_ item: MutableItem, onto basis: PutBasis?, _ operation: inout Operation) {
        guard mode == .server else { return }
        let closest = operation.lookup.closestResponders
        if closest.count == Lookup.width, closest.last!.contact.id.distance(to: item.target) < id.distance(to: item.target) { return }
        let refusal = store.store(.mutable(item, cas: basis == nil ? nil : operation.outcome.sequence(at: ownAddress)))
        operation.put!.nodes.append((Contact(id: id, address: ownAddress), refusal.map { .refused($0) } ?? .stored))
    }

    private func send(
        _ item: MutableItem, onto basis: PutBasis?, to responders: [Lookup.Candidate], for id: OperationID, _ operation: inout Operation,
        now: Instant
    ) {
        for responder in responders {
            guard let token = responder.token else { continue }
            let destination = Lookup.Destination(address: responder.contact.address, id: responder.contact.id)
            operation.putsUnderWay[destination] = operation.put!.nodes.count
            operation.put!.nodes.append((responder.contact, .timedOut))
            let present = basis == nil ? nil : operation.outcome.sequence(at: destination.address)
            send(.put(token: token, .mutable(item, cas: present)), to: destination, for: .put(id), now: now)
        }
    }

    private func endPut(_ id: OperationID, _ destination: Lookup.Destination, _ result: PutOutcome.Result) {
        guard let index = operations[id]?.putsUnderWay.removeValue(forKey: destination) else { return }
        operations[id]!.put!.nodes[index].result = result
        finishPutIfDone(id)
    }

    private func finishPutIfDone(_ id: OperationID) {
        guard let operation = operations[id], let put = operation.put, operation.putsUnderWay.isEmpty else { return }
        operations[id] = nil
        emit(.putFinished(id, put))
    }

    private func beginWaiting(now: Instant) {
        while operations.count < MainlineNode.mostRunning, !waiting.isEmpty {
            let next = waiting.removeFirst()
            begin(next.id, next.operation, now: now)
        }
    }
}
