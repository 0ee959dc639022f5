import EventLoop
import JSON

/// The life of a stage of a pipeline: it reads objects until its input ends, until SIGINT or SIGTERM, or until nobody reads its output
/// any more.
///
/// A line that is wrong is reported and left out; none after it is lost, and the exit status tells of it in the end.
public final class Stage {
    public let loop = EventLoop()
    private let log: Log
    private var status = ExitStatus.done
    private var failure: (any Error)?

    public init(log: Log) { self.log = log }

    /// Runs the stage.
    ///
    /// - Parameters:
    ///   - parser: Reads the lines.
    ///   - handle: Takes one object. It throws ``ObjectError`` when the object is wrong.
    ///   - end: Called when the input has ended.
    /// - Returns: Bad data if anything was wrong with the input, else try again if that is why something was left out, else done.
    /// - Throws: What ended the stage before its time.
    public func run(
        parser: ObjectParser = ObjectParser(), _ handle: @escaping (InputObject) throws -> Void, end: @escaping () throws -> Void = {}
    ) throws -> ExitStatus {
        let service = Service(on: loop)
        let output = OutputWatcher(on: loop, alsoSockets: false) { [unowned self] in attempt { throw OutputClosed() } }
        let reader = ObjectReader(on: loop, parser: parser) { [unowned self] event in
            attempt {
                switch event {
                case .object(let object):
                    do { try handle(object) } catch let error as ObjectError { throw CommandError(error, in: object) }
                case .malformed(let error): throw error
                case .end:
                    try end()
                    loop.stop()
                }
            }
        }
        _ = withExtendedLifetime((output, reader)) { service.run() }
        if let failure { throw failure }
        return status
    }

    /// Does some of the stage's work, from a timer say: bad data and what has to be tried again is reported and remembered, any other
    /// error ends the stage.
    public func attempt(_ work: () throws -> Void) {
        // Events of the same round may still come after the one that ended it.
        guard failure == nil else { return }
        do { try work() } catch let error as CommandError where [.badData, .tryAgain].contains(error.status) {
            log.error(error.message, hint: error.hint)
            if status != .badData { status = error.status }
        } catch {
            failure = error
            loop.stop()
        }
    }
}
