import EventLoop
import Glibc
import Platform

/// One line on standard error that is written over and over, for a person who waits. There is none unless standard error is a terminal
/// that can do it.
///
/// It has no colour, so there is nothing in it for `NO_COLOR` to take away.
public final class ProgressLine {
    /// A person reads no faster.
    private static let interval: Duration = .milliseconds(250)
    /// What is over sooner needs no such line.
    private static let patience: Duration = .seconds(1)

    private let text: () -> String
    private var isShown = false
    private var timer: Timer?

    /// - Parameter text: One line; what does not fit the terminal is cut off.
    public init?(on loop: EventLoop, _ text: @escaping () -> String) {
        guard Terminal(of: STDERR_FILENO) != nil, let kind = getenv("TERM"), strcmp(kind, "dumb") != 0 else { return nil }
        self.text = text
        timer = Timer(on: loop) { [unowned self] in show() }
        timer?.start(after: Self.patience, every: Self.interval)
    }

    /// Takes the line away before something else is written to the terminal; it comes again by itself.
    public func clear() {
        guard isShown else { return }
        isShown = false
        write("\r\u{1b}[K")
    }

    /// Takes the line away for good.
    public func end() {
        timer?.stop()
        clear()
    }

    private func show() {
        guard let terminal = Terminal(of: STDERR_FILENO) else { return }
        isShown = true
        // Written in the last column, it would go on in the next line.
        write("\r\u{1b}[K" + text().prefix(max(1, terminal.columns - 1)))
    }

    private func write(_ text: String) { try? writeAll(STDERR_FILENO, Array(text.utf8)) }
}
