import Crypto
import EventLoop
import Pkarr
import Platform
import PublicationState

/// Lets one process at a time publish a key's packet, and remembers what has been seen, in a state directory.
public final class PublicationMemory {
    /// How long another process may hold the lock of a key. A publication ends before, even if nobody answers.
    static let longestWait: Duration = .seconds(60)
    /// Between two tries to get it. The system tells nobody when a lock is free.
    static let pause: Duration = .milliseconds(50)

    private let state: StateDirectory
    private let loop: EventLoop

    /// Called once when a key's lock is with another process, before waiting for it.
    public var onWait: (StateError) -> Void = { _ in }

    public init(_ state: StateDirectory, on loop: EventLoop) {
        self.state = state
        self.loop = loop
    }

    /// Runs a publication with the key's lock, if nothing newer has been seen.
    ///
    /// - Parameters:
    ///   - publish: Calls back with its receipt.
    ///   - completion: Called once with that receipt or with one that says why there was none, perhaps from within this call. It throws
    ///     when the state can't be used.
    func guarding(
        _ packet: SignedPacket, onto basis: PublicationBasis?, _ publish: @escaping (@escaping (Receipt) -> Void) -> Void,
        completion: @escaping (Result<Receipt, StateError>) -> Void
    ) {
        lock(packet, since: nil) { [state] result in
            do throws(StateError) {
                let lock = try result.get()
                if let seen = try state.floor(of: packet.publicKey).packet, seen.isMoreRecent(than: packet) {
                    return completion(.success(Receipt(packet: packet, overtakenBy: seen)))
                }
                publish { receipt in
                    withExtendedLifetime(lock) {}
                    do throws(StateError) {
                        try Self.remember(receipt, in: state)
                        completion(.success(receipt))
                    } catch { completion(.failure(error)) }
                }
            } catch {
                // What concerns one key must not keep others from being published.
                if case .system = error { return completion(.failure(error)) }
                completion(.success(Receipt(packet: packet, obstacle: error)))
            }
        }
    }

    private func lock(_ packet: SignedPacket, since start: Instant?, then: @escaping (Result<KeyLock, StateError>) -> Void) {
        do throws(StateError) { then(.success(try KeyLock(packet.publicKey, in: state))) } catch {
            let begun = start ?? .now
            guard case .busy = error, .now - begun < Self.longestWait else { return then(.failure(error)) }
            if start == nil { onWait(error) }
            Timer.once(on: loop, after: Self.pause) { [self] in lock(packet, since: begun, then: then) }
        }
    }

    /// What has been seen published: the packet itself once it was found or stored, and any other. It can be seen again, so it need not
    /// survive a power cut.
    private static func remember(_ receipt: Receipt, in state: StateDirectory) throws(StateError) {
        let isThere = receipt.isConfirmed ?? (receipt.isStored && !receipt.isOvertaken)
        let seen = receipt.unmerged + (isThere ? [receipt.packet] : [])
        if !seen.isEmpty { try state.note(seen, of: receipt.packet.publicKey, now: WallClock.microseconds) }
    }
}
