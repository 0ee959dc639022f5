import Glibc

/// A failed system call.
public struct SystemError: Error, Equatable, CustomStringConvertible {
    /// The call that failed, as in its manual page: `bind`, `open`…
    public var call: String
    /// The value of `errno`.
    public var code: Int32

    public init(call: String, code: Int32) {
        self.call = call
        self.code = code
    }

    /// The system's words for the error, without the call: `Permission denied`.
    public var reason: String { String(cString: strerror(code)) }
    public var description: String { "\(call): \(reason)" }
}

/// Runs a system call until it is not interrupted. The one place that looks at `errno`.
///
/// - Throws: ``SystemError`` when the call returns a negative number.
@discardableResult
public func systemCall<Result: FixedWidthInteger & SignedInteger>(
    _ call: String, _ body: () -> Result
) throws(SystemError) -> Result {
    while true {
        let result = body()
        if result >= 0 { return result }
        if errno != EINTR { throw SystemError(call: call, code: errno) }
    }
}

/// As ``systemCall(_:_:)`` for non-blocking descriptors: nil when the call would have to wait.
public func nonblockingCall<Result: FixedWidthInteger & SignedInteger>(
    _ call: String, _ body: () -> Result
) throws(SystemError) -> Result? {
    while true {
        let result = body()
        if result >= 0 { return result }
        if errno == EAGAIN || errno == EWOULDBLOCK { return nil }
        if errno != EINTR { throw SystemError(call: call, code: errno) }
    }
}
