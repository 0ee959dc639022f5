import CPlatform
import Glibc

/// The terminal that a descriptor leads to.
public enum TerminalSize {
    /// How many characters a line of the terminal has; nil when the descriptor leads elsewhere, or the terminal does not say.
    public static func columns(of descriptor: Int32) -> Int? {
        let columns = keyhole_terminal_columns(descriptor)
        return columns > 0 ? Int(columns) : nil
    }
}
