import Discovery
import FuzzSupport
import Platform

@_cdecl("LLVMFuzzerTestOneInput")
public func input(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
    fuzz(start, count) { bytes in
        let text = String(decoding: bytes, as: UTF8.self)
        if let url = RelayURL(text) {
            precondition(RelayURL(url.description) == url, "a URL reads back as itself")
            precondition(url.description.hasPrefix("http://") || url.description.hasPrefix("https://"), "nothing else is spoken")
            precondition(!url.description.utf8.contains { $0 <= 0x20 || $0 >= 0x7f }, "it can be shown as it is")
        }
        if let node = HostAndPort(text) { precondition(HostAndPort(node.description) == node, "a place reads back as itself") }
    }
}
