import ArgumentParser
import EventLoop
import Glibc
import Platform

/// Where a long-running command writes its figures.
public struct MetricsOptions: ParsableArguments {
    @Option(help: ArgumentHelp(
        "Write figures for Prometheus' node exporter to this file, every \(StatusReport.interval.components.seconds) s and at SIGUSR1.", valueName: "file"))
    public var metrics: String?

    public init() {}
}

/// What a long-running command tells of itself: a line on standard error at SIGUSR1, and a file for the textfile collector of Prometheus'
/// node exporter.
public final class StatusReport {
    /// Prometheus asks no more often.
    public static let interval: Duration = .seconds(15)

    private let file: String?
    private let log: Log
    private let line: () -> String
    private let figures: () -> String
    private var signal: SignalWatcher!
    private var timer: Timer?
    private var isFailing = false

    /// - Parameters:
    ///   - file: Where the figures go; nil for nowhere.
    ///   - line: What is going on, in one line.
    ///   - figures: The same for machines, in Prometheus' text format.
    /// - Throws: ``CommandError`` if the file can't be written.
    public init(on loop: EventLoop, file: String?, log: Log, line: @escaping () -> String, figures: @escaping () -> String) throws(CommandError) {
        (self.file, self.log, self.line, self.figures) = (file, log, line, figures)
        signal = SignalWatcher(on: loop, SIGUSR1) { [unowned self] in
            // Whoever has read the line finds the file as new.
            update()
            log.notice("status: \(self.line())")
        }
        guard let file else { return }
        do throws(SystemError) { try write(file) } catch {
            throw CommandError(error.code == EACCES ? .permission : .configuration, "metrics file \(file): \(error.reason)")
        }
        timer = Timer(on: loop) { [unowned self] in update() }
        timer?.start(after: Self.interval, every: Self.interval)
    }

    /// Writes the last figures, and tells nothing more.
    public func close() {
        update()
        signal.cancel()
        timer?.stop()
    }

    private func update() {
        guard let file else { return }
        do throws(SystemError) {
            try write(file)
            isFailing = false
        } catch {
            // A full disk is told of once, not every time.
            if !isFailing { log.warning("metrics file \(file): \(error.reason)") }
            isFailing = true
        }
    }

    /// The node exporter is another user.
    private func write(_ file: String) throws(SystemError) { try replaceFile(file, with: Array(figures().utf8), mode: 0o644) }
}
