import EventLoop
import HolePunching
import Platform

/// The addresses at which our sockets may be reached, as far as they are known now.
public final class LocalCandidates {
    /// All of them, the surest first; what may be told to whom is the caller's affair.
    public private(set) var all: [Candidate] = []
    private var observers: [Int: () -> Void] = [:]
    private var lastObserver = 0

    init() {}

    /// Has a handler called after each change until ``stopObserving(_:)``.
    public func observe(_ handler: @escaping () -> Void) -> Int {
        lastObserver += 1
        observers[lastObserver] = handler
        return lastObserver
    }

    public func stopObserving(_ observer: Int) { observers[observer] = nil }
}
