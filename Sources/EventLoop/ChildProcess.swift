import CUV
import Glibc
import Platform

/// A program running as a child of this process.
public final class ChildProcess {
    /// How a program ended.
    public enum Ending: Equatable, Sendable {
        case exited(Int32)
        case killed(signal: Int32)
    }

    private var box: HandleBox<uv_process_t>!
    private let completion: (Ending) -> Void
    private var keepAlive: ChildProcess?

    /// Starts a program, found along `PATH`. The child gets `descriptors` as its descriptors 0, 1, 2…, a nil one as `/dev/null`;
    /// they stay open here too. Of all others it gets none.
    ///
    /// - Parameters:
    ///   - arguments: The program and its arguments.
    ///   - environment: The whole environment as `NAME=value`; nil for ours.
    ///   - completion: Called once, from the loop, when the child has ended, also when nobody keeps this object.
    /// - Throws: ``SystemError`` of `spawn`, for example `ENOENT`.
    public init(
        on loop: EventLoop, _ arguments: [String], environment: [String]? = nil, descriptors: [Int32?],
        completion: @escaping (Ending) -> Void
    ) throws(SystemError) {
        self.completion = completion
        // libcurl's sockets for example, which would keep a connection to a relay open.
        keepDescriptorsFromPrograms()
        box = HandleBox(self, on: loop)
        var containers = descriptors.map { descriptor in
            var container = uv_stdio_container_t()
            container.flags = descriptor == nil ? UV_IGNORE : UV_INHERIT_FD
            container.data.fd = descriptor ?? -1
            return container
        }
        let status = withCStrings(arguments) { argv in
            withCStrings(environment ?? []) { envp in
                containers.withUnsafeMutableBufferPointer { stdio in
                    var options = uv_process_options_t()
                    options.file = UnsafePointer(argv[0])
                    options.args = argv
                    options.env = environment == nil ? nil : envp
                    options.stdio = stdio.baseAddress
                    options.stdio_count = Int32(stdio.count)
                    options.exit_cb = { process, status, signal in
                        guard let child = owner(process?.pointee.data, ChildProcess.self) else { return }
                        child.box.close()
                        child.completion(signal != 0 ? .killed(signal: signal) : .exited(Int32(truncatingIfNeeded: status)))
                        child.keepAlive = nil
                    }
                    return uv_spawn(loop.handle, box.pointer, &options)
                }
            }
        }
        guard status == 0 else {
            // libuv has put the handle on its list even when spawning fails, so it has to be closed.
            box.close()
            throw systemError("spawn", status)
        }
        keepAlive = self
    }

    /// Sends a signal; nothing happens when the child has ended.
    public func kill(_ signal: Int32) { if let pointer = box.pointer { uv_process_kill(pointer, signal) } }
}

/// Calls `body` with a null-terminated array of C strings.
private func withCStrings<Result>(_ strings: [String], _ body: (UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>) -> Result) -> Result {
    var pointers: [UnsafeMutablePointer<CChar>?] = strings.map { strdup($0) } + [nil]
    defer { for pointer in pointers { free(pointer) } }
    return pointers.withUnsafeMutableBufferPointer { body($0.baseAddress!) }
}
