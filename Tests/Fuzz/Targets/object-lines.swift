import FuzzSupport
import JSON
import Toolkit

/// The first byte says where the rest is cut in two, as a pipe may do.
@_cdecl("LLVMFuzzerTestOneInput")
public func input(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
    fuzz(start, count) { bytes in
        guard let first = bytes.first else { return }
        let text = bytes.dropFirst()
        var parser = ObjectParser()
        for piece in [text.prefix(Int(first)), text.dropFirst(Int(first))] {
            parser.append(Array(piece))
            drain { () throws(CommandError) in try parser.next() }
        }
        drain { () throws(CommandError) in try parser.finish() }
    }
}

/// Reads until there is nothing more; a malformed line must not keep the next from being read.
private func drain(_ next: () throws(CommandError) -> InputObject?) {
    while true {
        do throws(CommandError) {
            guard let object = try next() else { return }
            let text = JSONValue.object(object.object).text
            precondition((try? JSONValue(parsing: text)) == .object(object.object), "an object reads back as itself")
        } catch { precondition(error.status == .badData) }
    }
}
