import CPlatform
import Glibc

/// The environment as `NAME=value`.
public func processEnvironment() -> [String] {
    var entries: [String] = []
    var entry = keyhole_environment()
    while let text = entry?.pointee {
        entries.append(String(cString: text))
        entry = entry! + 1
    }
    return entries
}

/// Keeps all descriptors but the first three from the programs started from now on, also those that libraries have opened.
public func keepDescriptorsFromPrograms() { keyhole_keep_descriptors() }

/// A pipe: the end to read from and the end to write to, both close-on-exec.
public func makePipe() throws(SystemError) -> (reading: Int32, writing: Int32) {
    var ends: [Int32] = [-1, -1]
    try systemCall("pipe") { keyhole_pipe(&ends) }
    return (ends[0], ends[1])
}

/// The program of that name beside this one, where there is one, else its name, which is that of `PATH`.
public func siblingProgram(_ name: String) -> String {
    let own = [CChar](unsafeUninitializedCapacity: Int(PATH_MAX)) { buffer, count in
        count = max(0, readlink("/proc/self/exe", buffer.baseAddress!, buffer.count))
    }
    let path = String(decoding: own.map(UInt8.init(bitPattern:)), as: UTF8.self)
    guard let slash = path.lastIndex(of: "/") else { return name }
    let beside = String(path[...slash]) + name
    return access(beside, X_OK) == 0 ? beside : name
}
