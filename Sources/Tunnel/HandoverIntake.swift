import Crypto
import Platform

/// Puts lines and the descriptors that travel beside them together again. Bytes in, messages out; no system calls but closing.
///
/// A descriptor belongs to the line whose bytes it came with. That can only be told when one receive never spans two lines, so the caller
/// looks first and takes at most what ``takes(of:)`` says.
struct HandoverIntake {
    private var line: [UInt8] = []
    private var descriptor: DescriptorOwner?
    /// The newest message's peer. Most often the next is about the same, and checking a key costs as much as all else here.
    private var peer: PublicKey?

    /// How many of the waiting bytes belong to the line at hand.
    func takes(of waiting: [UInt8]) -> Int { waiting.firstIndex(of: 0x0a).map { $0 + 1 } ?? waiting.count }

    /// Takes bytes of one line and the descriptor that came with them; a second one in the same line is closed.
    ///
    /// - Returns: The message when the line is complete.
    /// - Throws: ``HandoverSyntaxError``; the intake is of no use afterwards.
    mutating func append(_ bytes: [UInt8], descriptor number: Int32?) throws(HandoverSyntaxError) -> (HandoverMessage, DescriptorOwner?)? {
        let received = number.map { DescriptorOwner(FileDescriptor(owning: $0)) }
        if descriptor == nil { descriptor = received }
        line += bytes
        guard line.count <= HandoverMessage.longestLine else {
            throw HandoverSyntaxError("a line is longer than \(HandoverMessage.longestLine) bytes")
        }
        guard line.last == 0x0a else { return nil }
        line.removeLast()
        let message = try HandoverMessage(parsing: line, knownPeer: peer)
        if case .open(_, let request) = message, let named = request.peer { peer = named }
        defer {
            line.removeAll(keepingCapacity: true)
            descriptor = nil
        }
        return (message, descriptor)
    }

    /// Whether the stream ended in the middle of a line.
    var holdsPart: Bool { !line.isEmpty }
}

/// A descriptor in places that noncopyable values can't go yet. Closed when the last reference goes, unless taken.
public final class DescriptorOwner {
    private var descriptor: FileDescriptor?

    public init(_ descriptor: consuming FileDescriptor) { self.descriptor = consume descriptor }

    /// -1 when it was taken.
    public var number: Int32 { descriptor?.number ?? -1 }

    public func take() -> FileDescriptor? { descriptor.take() }
}
