import Crypto
import Platform

/// A query that waits for its answer.
struct Transaction {
    enum Purpose: Equatable {
        case lookup(MainlineNode.OperationID)
        case put(MainlineNode.OperationID)
        case ping
    }

    var destination: Lookup.Destination
    var purpose: Purpose
    /// The place of the node among those that its operation has asked.
    var place = 0
    var sentAt: Instant
    var isStalled = false

    var operation: MainlineNode.OperationID? {
        switch purpose {
        case .lookup(let id), .put(let id): id
        case .ping: nil
        }
    }
}

/// The queries under way. Their ids are random, so that only who has seen a query can answer it.
struct Transactions {
    private var open: [UInt32: Transaction] = [:]
    /// How many of them are pings.
    private(set) var pings = 0
    private(set) var roundTrips = RoundTrips()

    /// Notes a query; the result is its transaction id.
    mutating func begin(_ transaction: Transaction) -> [UInt8] {
        while true {
            let bytes = randomBytes(4)
            let number = bytes.reduce(0) { $0 << 8 | UInt32($1) }
            if open[number] != nil { continue }
            open[number] = transaction
            if transaction.purpose == .ping { pings += 1 }
            return bytes
        }
    }

    /// Ends a transaction with an answer; nil unless the one who was asked has answered.
    mutating func end(_ id: [UInt8], from source: SocketAddress, now: Instant) -> (transaction: Transaction, roundTrip: Duration)? {
        let number = id.reduce(0) { $0 << 8 | UInt32($1) }
        guard id.count == 4, let transaction = open[number], transaction.destination.address == source else { return nil }
        open[number] = nil
        if transaction.purpose == .ping { pings -= 1 }
        let roundTrip = now - transaction.sentAt
        roundTrips.note(roundTrip)
        return (transaction, roundTrip)
    }

    /// Whether a query with this id is one of ours that came back.
    func isOurs(_ id: [UInt8]) -> Bool { id.count == 4 && open[id.reduce(0) { $0 << 8 | UInt32($1) }] != nil }

    mutating func forget(_ operation: MainlineNode.OperationID) { open = open.filter { $0.value.operation != operation } }

    /// Takes the transactions that are over, and names those which have just become slow.
    mutating func expire(now: Instant) -> (stalled: [Transaction], failed: [Transaction]) {
        var stalled: [Transaction] = []
        var failed: [Transaction] = []
        let patience = roundTrips.patience
        for (number, transaction) in open {
            if now >= transaction.sentAt + RoundTrips.longestPatience {
                open[number] = nil
                if transaction.purpose == .ping { pings -= 1 }
                failed.append(transaction)
            } else if now >= transaction.sentAt + patience, !transaction.isStalled {
                open[number]!.isStalled = true
                stalled.append(transaction)
            }
        }
        return (stalled, failed)
    }

    var nextDeadline: Instant? {
        let patience = roundTrips.patience
        return open.values.lazy.map { $0.sentAt + ($0.isStalled ? RoundTrips.longestPatience : patience) }.min()
    }
}
