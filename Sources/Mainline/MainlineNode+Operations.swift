import Platform

/// Running look-ups and puts.
extension MainlineNode {
    func begin(_ id: OperationID, _ operation: Operation, now: Instant) {
        var operation = operation
        operation.startedAt = now
        if mode == .client { takeElectedAddress(now: now) }
        var contacts = table.closest(to: operation.lookup.target, count: Lookup.width)
        if contacts.count < Lookup.width { contacts += rumours }
        operation.lookup = Lookup(target: operation.lookup.target, knowing: contacts, bootstraps: bootstraps)
        operation.lookup.reach = size.reach(at: operation.lookup.target)
        if case .get = operation.kind, !operation.awaitsAll { operation.lookup.narrow() }
        operations[id] = operation
        takeFromOwnStore(id, now: now)
        proceed(id, now: now)
    }

    /// Asks whom it is time to ask.
    private func ask(for id: OperationID, now: Instant) {
        guard let operation = operations[id], operation.isLookingUp else { return }
        let query = operation.query
        for destination in operations[id]!.lookup.takeQueries(limit: transactions.roundTrips.concurrency) {
            let place = operations[id]!.place(of: destination)
            send(query, to: destination, for: .lookup(id), place: place, now: now)
        }
    }

    /// Asks whom it is time to ask, and ends the look-up when nothing more is to come.
    func proceed(_ id: OperationID, now: Instant) {
        ask(for: id, now: now)
        if let operation = operations[id], operation.lookup.isNarrow, operation.lookup.isFinished {
            // What they hold is known once it has been checked.
            if unchecked.contains(where: { $0.operation == id }) { return }
            if !operation.closestAgree {
                operations[id]!.lookup.widen()
                ask(for: id, now: now)
            }
        }
        guard let operation = operations[id], operation.isLookingUp else { return }
        for destination in operations[id]!.lookup.takeRetries() {
            let place = operations[id]!.place(of: destination, isRetry: true)
            send(operation.query, to: destination, for: .lookup(id), place: place, isRetry: true, now: now)
        }
        if survey(for: id, now: now) { return }
        guard let current = operations[id], current.isLookingUp else { return }
        if current.isFinished {
            if current.lookup.queries > 0 || !isAwaitingBootstraps { finishLookup(id, .complete, now: now) }
        } else if current.lookup.isExhausted {
            finishLookup(id, .limited, now: now)
        }
    }

    /// Checks the items in the answers that have come, and goes on with their look-ups.
    func checkAnswers(now: Instant) {
        while !unchecked.isEmpty {
            let answers = unchecked
            unchecked = []
            for answer in answers { take(itemIn: answer.response, by: answer.contact, place: answer.place, for: answer.operation) }
            for id in Set(answers.map(\.operation)) { proceed(id, now: now) }
        }
    }

    func send(_ query: KRPCQuery, to destination: Lookup.Destination, for purpose: Transaction.Purpose, place: Int = 0, isRetry: Bool = false, now: Instant) {
        let transaction = transactions.begin(
            Transaction(destination: destination, purpose: purpose, place: place, isRetry: isRetry, sentAt: now))
        var asker = id
        // libtorrent remembers whoever puts, read-only or not, and later waits for it in vain; it never remembers its own id.
        if mode != .server, case .put = query, let receiver = destination.id { asker = receiver }
        var message = KRPCMessage(transaction: transaction, isReadOnly: mode != .server, body: .query(id: asker, query))
        if let sibling, sibling.wantsRumours { message.want = [.v4, .v6] }
        sentQueries += 1
        send(message, to: destination.address)
    }

    func take(_ response: KRPCResponse, _ message: KRPCMessage, from source: SocketAddress, now: Instant) {
        guard !message.isReadOnly, response.id != id,
            let (transaction, roundTrip) = transactions.end(message.transaction, from: source, now: now)
        else { return }
        let contact = Contact(id: response.id, address: source)
        if let asked = transaction.destination.id, asked != contact.id { table.remove(Contact(id: asked, address: source)) }
        table.insert(contact, now: now)
        hasBeenAnswered = true
        noteVote(message.observedAddress, by: source)
        // Others name this node too; it can wait for its own answer in vain.
        let nodes = (isV6 ? response.nodes6 : response.nodes)?.filter { $0.id != id } ?? []
        if let others = isV6 ? response.nodes : response.nodes6, !others.isEmpty { sibling?.hear(of: others, transaction, from: self, now: now) }
        if transaction.isStalled { resume(now: now) }
        switch transaction.purpose {
        case .lookup(let id):
            guard operations[id]?.isLookingUp == true else { break }
            operations[id]!.lookup.answered(transaction.destination, by: contact, token: response.token, naming: nodes)
            operations[id]!.note(answer: .holding(.nothing), to: transaction, by: contact.id, after: roundTrip)
            ask(for: id, now: now)
            unchecked.append((id, response, contact, transaction.place))
        case .put(let id): endPut(id, transaction.place, .stored, after: roundTrip)
        case .ping: break
        }
        beginWaiting(now: now)
    }

    func take(_ error: KRPCError, _ message: KRPCMessage, from source: SocketAddress, now: Instant) {
        guard let (transaction, roundTrip) = transactions.end(message.transaction, from: source, now: now) else { return }
        switch transaction.purpose {
        case .lookup(let id):
            guard operations[id]?.isLookingUp == true else { break }
            operations[id]?.lookup.failed(transaction.destination, isRetry: true)
            operations[id]?.note(answer: .refused(error), to: transaction, by: transaction.destination.id, after: roundTrip)
            proceed(id, now: now)
        case .put(let id): endPut(id, transaction.place, .refused(error), after: roundTrip)
        case .ping: break
        }
        beginWaiting(now: now)
    }

    /// An answer that was given up shows that answers take longer than it seemed, on a busy machine for example. Who is no later than that
    /// is waited for again.
    private func resume(now: Instant) {
        for transaction in transactions.resume(now: now) {
            guard case .lookup(let id) = transaction.purpose else { continue }
            operations[id]?.lookup.resumed(transaction.destination)
        }
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
            case .lookup(let id):
                operations[id]?.noteSilence(of: transaction)
            case .put(let id): endPut(id, transaction.place, .timedOut, after: nil)
            case .ping: break
            }
        }
        for id in Set((stalled + failed).compactMap(\.operation)) { proceed(id, now: now) }
        beginWaiting(now: now)
    }

    /// Ends the look-up of an operation, which ends a get and is where a put begins to store.
    func finishLookup(_ id: OperationID, _ ending: LookupOutcome.Ending, now: Instant) {
        // What an answer holds counts, also when it is another's answer that ends the look-up.
        for answer in unchecked where answer.operation == id { take(itemIn: answer.response, by: answer.contact, place: answer.place, for: id) }
        unchecked.removeAll { $0.operation == id }
        guard var operation = operations[id] else { return }
        operation.outcome = outcome(of: operation, ending)
        if case .put(let item, let basis) = operation.kind, ending == .complete || ending == .limited {
            operation.put = PutOutcome(lookup: operation.outcome)
            if let newest = operation.newest, newest.isMoreRecent(than: item) {
                operation.put!.newer = newest
            }
            operation.put!.unmerged = operation.unmerged
            if operation.put!.newer == nil, operation.unmerged.isEmpty {
                storeHere(item, onto: basis, &operation, now: now)
                send(item, onto: basis, to: operation.lookup.storers, for: id, &operation, now: now)
            }
            operations[id] = operation
            finishPutIfDone(id)
        } else {
            operations[id] = nil
            if !endFetch(id, operation, now: now) { report(id, operation, operation.outcome.ending) }
        }
        noteSize(operation, id, ending, now: now)
        beginWaiting(now: now)
    }

    func report(_ id: OperationID, _ operation: Operation, _ ending: LookupOutcome.Ending) {
        let outcome = outcome(of: operation, ending)
        switch operation.kind {
        case .get: emit(.lookupFinished(id, outcome))
        case .put: emit(.putFinished(id, operation.put ?? PutOutcome(lookup: outcome)))
        case .refresh: maintenance.refreshes -= 1
        case .survey: break
        }
    }

    private func outcome(of operation: Operation, _ ending: LookupOutcome.Ending) -> LookupOutcome {
        var outcome = operation.outcome
        outcome.asked = operation.lookup.queries
        outcome.closest = operation.lookup.closestResponders.map(\.contact)
        outcome.ending = ending
        if ending == .complete, !outcome.hasAnswers { outcome.ending = outcome.asked == 0 ? .nobodyToAsk : .noAnswer }
        return outcome
    }

    private func take(itemIn response: KRPCResponse, by contact: Contact, place: Int, for id: OperationID) {
        guard let operation = operations[id] else { return }
        // Where an item is put again, most nodes have it already.
        let own: MutableItem? = if case .put(let item, _) = operation.kind, response.carries(item) { item } else { nil }
        switch response.mutableItem(for: operation.lookup.target, verified: own ?? operation.newest) {
        case .success(let item):
            operations[id]!.outcome.nodes[place].finding = .holding(.item(item))
            note(item, from: contact, for: id)
        case .failure(let flaw): operations[id]!.outcome.nodes[place].finding = .holding(.flawed(flaw))
        case nil:
            if let sequence = response.sequence { operations[id]!.outcome.nodes[place].finding = .holding(.notNewer(sequence: sequence)) }
        }
    }

    private func note(_ item: MutableItem, from contact: Contact, for id: OperationID) {
        if operations[id]!.newest.map({ item.isMoreRecent(than: $0) }) ?? true { operations[id]!.newest = item }
        switch operations[id]!.kind {
        case .get(let floor): if item.sequence > floor ?? -1 { emit(.item(id, item, from: contact)) }
        case .put(let own, let basis?):
            let unmerged = operations[id]!.unmerged
            guard item != own, !basis.takesIntoAccount(item), !unmerged.contains(item), unmerged.count < PutBasis.mostUnmerged else { return }
            operations[id]!.unmerged.append(item)
        case .put, .refresh, .survey: break
        }
    }

    /// A server is one of the nodes that its own look-ups concern.
    private func takeFromOwnStore(_ id: OperationID, now: Instant) {
        guard mode == .server, let operation = operations[id],
            case .mutable(let item)? = store.item(at: operation.lookup.target, now: now)
        else { return }
        let here = Contact(id: self.id, address: ownAddress)
        operations[id]!.outcome.nodes.append(
            LookupOutcome.Node(address: ownAddress, id: self.id, roundTrip: .zero, finding: .holding(.item(item))))
        note(item, from: here, for: id)
    }

    // Putting

    /// A server stores an item itself when it is one of the closest nodes.
    private func storeHere(_ item: MutableItem, onto basis: PutBasis?, _ operation: inout Operation, now: Instant) {
        guard mode == .server else { return }
        let closest = operation.lookup.storers
        if closest.count >= Lookup.width, closest.last!.contact.id.distance(to: item.target) < id.distance(to: item.target) { return }
        let refusal = store.store(.mutable(item, cas: basis == nil ? nil : operation.outcome.sequence(at: ownAddress)), now: now)
        let result: PutOutcome.Result = refusal.map { .refused($0) } ?? .stored
        operation.put!.nodes.append(PutOutcome.Node(node: Contact(id: id, address: ownAddress), result: result, roundTrip: .zero))
    }

    private func send(
        _ item: MutableItem, onto basis: PutBasis?, to responders: [Lookup.Candidate], for id: OperationID, _ operation: inout Operation,
        now: Instant
    ) {
        for responder in responders {
            guard let token = responder.token else { continue }
            let destination = Lookup.Destination(address: responder.contact.address, id: responder.contact.id)
            let place = operation.put!.nodes.count
            operation.putsUnderWay.insert(place)
            operation.put!.nodes.append(PutOutcome.Node(node: responder.contact, result: .timedOut))
            let present = basis == nil ? nil : operation.outcome.sequence(at: destination.address)
            send(.put(token: token, .mutable(item, cas: present)), to: destination, for: .put(id), place: place, now: now)
        }
    }

    private func endPut(_ id: OperationID, _ place: Int, _ result: PutOutcome.Result, after roundTrip: Duration?) {
        guard operations[id]?.putsUnderWay.remove(place) != nil else { return }
        operations[id]!.put!.nodes[place].result = result
        operations[id]!.put!.nodes[place].roundTrip = roundTrip
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
