import CUV
import Platform

/// Calls a handler after a file may have changed: written, replaced by another, made or removed. It does not keep the loop running.
public final class FileWatcher {
    private var box: HandleBox<uv_fs_event_t>!
    private let name: String
    private let handler: () -> Void

    /// - Throws: ``SystemError``, such as when the folder does not exist.
    public init(on loop: EventLoop, _ path: String, _ handler: @escaping () -> Void) throws(SystemError) {
        self.handler = handler
        name = String(path[(path.lastIndex(of: "/").map(path.index(after:)) ?? path.startIndex)...])
        box = HandleBox(self, on: loop)
        uv_fs_event_init(loop.handle, box.pointer)
        let status = uv_fs_event_start(box.pointer, { raw, file, _, _ in
            guard let watcher = owner(raw?.pointee.data, FileWatcher.self) else { return }
            if file.map({ String(cString: $0) == watcher.name }) ?? true { watcher.handler() }
        // The folder, for editors put a new file in the place of the old.
        }, parentFolder(of: path), 0)
        guard status == 0 else {
            box.close()
            throw systemError("inotify", status)
        }
        box.asHandle { uv_unref($0) }
    }

    public func cancel() { box.close() }
}
