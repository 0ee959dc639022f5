/// The error of type `type` that `body` throws; `#require(throws:)` gives it back only from Swift 6.1 on.
///
/// - Throws: ``NothingThrown``, or the error of another type.
public func thrownError<Failure: Error>(_ type: Failure.Type, by body: () throws -> some Any) throws -> Failure {
    do { _ = try body() } catch let error as Failure { return error }
    throw NothingThrown()
}

/// Nothing was thrown where an error had to be.
public struct NothingThrown: Error {}
