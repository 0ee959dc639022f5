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

    private let log: Log
    private let line: () -> String
    private let figures: (file: String, text: () -> String)?
    private var signal: SignalWatcher!
    private var timer: Timer?
    private var isFailing = false

    /// - Parameters:
    ///   - line: What is going on, in one line.
    ///   - file: Where the figures go; nil for nowhere.
    ///   - figures: The same as the line for machines, in Prometheus' text format.
    /// - Throws: ``CommandError`` if the file can't be written.
    public convenience init(
        on loop: EventLoop, file: String?, log: Log, line: @escaping () -> String, figures: @escaping () -> String
    ) throws(CommandError) {
        self.init(on: loop, log: log, line: line, figures: file.map { ($0, figures) })
        guard let file else { return }
        do throws(SystemError) { try write() } catch {
            throw CommandError(error.code == EACCES ? .permission : .configuration, "metrics file \(file): \(error.reason)")
        }
        timer = Timer(on: loop) { [unowned self] in update() }
        timer?.start(after: Self.interval, every: Self.interval)
    }

    /// Of a command that has its figures elsewhere, or none.
    public convenience init(on loop: EventLoop, log: Log, line: @escaping () -> String) {
        self.init(on: loop, log: log, line: line, figures: nil)
    }

    private init(on loop: EventLoop, log: Log, line: @escaping () -> String, figures: (file: String, text: () -> String)?) {
        (self.log, self.line, self.figures) = (log, line, figures)
        signal = SignalWatcher(on: loop, SIGUSR1) { [unowned self] in
            // Whoever has read the line finds the file as new.
            update()
            log.notice("status: \(self.line())")
        }
    }

    /// Writes the last figures, and tells nothing more.
    public func close() {
        update()
        signal.cancel()
        timer?.stop()
    }

    private func update() {
        do throws(SystemError) {
            try write()
            isFailing = false
        } catch {
            // A full disk is told of once, not every time.
            if !isFailing { log.warning("metrics file \(figures?.file ?? ""): \(error.reason)") }
            isFailing = true
        }
    }

    /// The node exporter is another user.
    private func write() throws(SystemError) {
        if let figures { try replaceFile(figures.file, with: Array(figures.text().utf8), mode: 0o644) }
    }
}
