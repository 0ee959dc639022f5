/// The names under which ngtcp2 knows the paths of a connection. A name is never used again: a server that shows ngtcp2 an old path
/// as new can be made to abort by its peer (spec/path-migration.md, W1).
struct PathNames {
    private struct Entry {
        var path: NetworkPath
        var destination: ConnectionID
        var name: UInt64
    }

    /// Paths remembered for late packets. A peer that hops faster than this only loses packets.
    private static let remembered = 8

    private var entries: [Entry]
    private var current: Int = 0

    init(_ path: NetworkPath, destination: ConnectionID, name: UInt64) {
        entries = [Entry(path: path, destination: destination, name: name)]
    }

    var currentPath: NetworkPath { entries[current].path }
    var currentName: UInt64 { entries[current].name }

    /// At a server: the name for a packet that came along `path` to the id `destination`. On the path in use the peer may change the id
    /// as it likes; elsewhere a new id means that it has come back, which is a new path.
    mutating func name(for path: NetworkPath, destination: ConnectionID, fresh: () -> UInt64) -> UInt64 {
        if entries[current].path == path { return entries[current].name }
        if let known = entries.first(where: { $0.path == path && $0.destination == destination }) { return known.name }
        return add(path, destination: destination, name: fresh())
    }

    /// At a client, which alone opens paths: the name for a packet that came along `path`, by whichever of our addresses, since those are
    /// the system's business; nil for a path of somebody else.
    func name(for path: NetworkPath) -> UInt64? {
        if entries[current].path.leads(whereLeads: path) { return entries[current].name }
        return entries.last { $0.path.leads(whereLeads: path) }?.name
    }

    /// Notes a path that the client opens, be it one that it had before.
    @discardableResult
    mutating func add(_ path: NetworkPath, destination: ConnectionID, name: UInt64) -> UInt64 {
        if entries.count == Self.remembered {
            let oldest = current == 0 ? 1 : 0
            entries.remove(at: oldest)
            if current > oldest { current -= 1 }
        }
        entries.append(Entry(path: path, destination: destination, name: name))
        return name
    }

    func path(named name: UInt64) -> NetworkPath? { entries.first { $0.name == name }?.path }

    /// Notes which path ngtcp2 goes along. Returns whether that is another than before.
    mutating func setCurrent(_ name: UInt64) -> Bool {
        guard name != entries[current].name, let index = entries.firstIndex(where: { $0.name == name }) else { return false }
        current = index
        return true
    }
}
