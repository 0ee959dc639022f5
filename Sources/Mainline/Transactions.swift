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
    /// Asks for the second time.
    var isRetry = false
    var sentAt: Instant
    /// It has taken longer than answers usually do.
    var isStalled = false

    var operation: MainlineNode.OperationID? {
        switch purpose {
        case .lookup(let id), .put(let id): id
        case .ping: nil
        }
    }
}

/// The queries under way. Their ids are random, so that only who has seen a query can answer it.
///
/// They are kept until ``RoundTrips/longestPatience``, whatever has become of their operation: an answer that comes too late for it still
/// says that the node lives and how long it takes.
struct Transactions {
    /// Bytes of an id: nodes of the mainline library read nothing else since 6.0 (spec/pkarr-wire.md, 3.1).
    private static let idBytes = 4
    /// Bytes of a second query's id: all that older ones read.
    private static let retryIDBytes = 2

    private var open: [UInt64: Transaction] = [:]
    /// Their keys in the order of sending. What has been answered stays here until its time comes.
    private var order: [UInt64] = []
    /// Before this place all are over.
    private var oldest = 0
    /// Before this place all are stalled or over.
    private var unstalled = 0
    /// How many of them are pings.
    private(set) var pings = 0
    private(set) var roundTrips = RoundTrips()

    /// Notes a query, which has to be the youngest; the result is its transaction id.
    mutating func begin(_ transaction: Transaction) -> [UInt8] {
        while true {
            let id = randomBytes(transaction.isRetry ? Self.retryIDBytes : Self.idBytes)
            let number = Self.key(id)
            if open[number] != nil { continue }
            open[number] = transaction
            order.append(number)
            if transaction.purpose == .ping { pings += 1 }
            return id
        }
    }

    /// Ends a transaction with an answer; nil unless the one who was asked has answered.
    mutating func end(_ id: [UInt8], from source: SocketAddress, now: Instant) -> (transaction: Transaction, roundTrip: Duration)? {
        let number = Self.key(id)
        guard let transaction = open[number], transaction.destination.address == source else { return nil }
        close(number, transaction)
        let roundTrip = now - transaction.sentAt
        roundTrips.note(roundTrip)
        return (transaction, roundTrip)
    }

    /// Whether a query with this id is one of ours that came back.
    func isOurs(_ id: [UInt8]) -> Bool { open[Self.key(id)] != nil }

    /// Takes the transactions that are over, and names those which have just become slow.
    mutating func expire(now: Instant) -> (stalled: [Transaction], failed: [Transaction]) {
        var stalled: [Transaction] = []
        var failed: [Transaction] = []
        let patience = roundTrips.patience
        while unstalled < order.count {
            if let transaction = open[order[unstalled]] {
                guard now >= transaction.sentAt + patience else { break }
                open[order[unstalled]]!.isStalled = true
                stalled.append(transaction)
            }
            unstalled += 1
        }
        while oldest < unstalled {
            if let transaction = open[order[oldest]] {
                guard now >= transaction.sentAt + RoundTrips.longestPatience else { break }
                close(order[oldest], transaction)
                failed.append(transaction)
            }
            oldest += 1
        }
        if oldest > 256, oldest > order.count / 2 {
            order.removeFirst(oldest)
            unstalled -= oldest
            oldest = 0
        }
        return (stalled, failed)
    }

    /// Takes back that transactions are stalled, those whose time is not up now that answers are known to take longer.
    mutating func resume(now: Instant) -> [Transaction] {
        var resumed: [Transaction] = []
        let patience = roundTrips.patience
        while unstalled > oldest {
            if let transaction = open[order[unstalled - 1]] {
                guard now < transaction.sentAt + patience else { break }
                open[order[unstalled - 1]]!.isStalled = false
                resumed.append(transaction)
            }
            unstalled -= 1
        }
        return resumed
    }

    var nextDeadline: Instant? {
        let patience = roundTrips.patience
        let stall = order[unstalled...].lazy.compactMap { open[$0] }.first.map { $0.sentAt + patience }
        let end = order[oldest..<unstalled].lazy.compactMap { open[$0] }.first.map { $0.sentAt + RoundTrips.longestPatience }
        guard let stall, let end else { return stall ?? end }
        return min(stall, end)
    }

    private mutating func close(_ number: UInt64, _ transaction: Transaction) {
        open[number] = nil
        if transaction.purpose == .ping { pings -= 1 }
    }

    /// Ids of different lengths are different.
    private static func key(_ id: [UInt8]) -> UInt64 {
        guard id.count == idBytes || id.count == retryIDBytes else { return 0 }
        return id.reduce(1) { $0 << 8 | UInt64($1) }
    }
}
