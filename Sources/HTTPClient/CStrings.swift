import Glibc

/// Where an empty body starts: libcurl takes no pointer for no body.
nonisolated(unsafe) let emptyBody = UnsafePointer(UnsafeMutablePointer<UInt8>.allocate(capacity: 1))

/// Calls `body` with a null-terminated array of C strings.
func withCStrings<Result>(_ strings: [String], _ body: (UnsafePointer<UnsafePointer<CChar>?>) -> Result) -> Result {
    let pointers = strings.map { strdup($0) }
    defer { for pointer in pointers { free(pointer) } }
    return (pointers.map { UnsafePointer($0) } + [nil]).withUnsafeBufferPointer { body($0.baseAddress!) }
}
