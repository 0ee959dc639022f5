/// The names under which ngtcp2 knows the paths of a connection: a transport, an address and the id that a packet came to, in one
/// generation. With every change of the path in use a new generation begins, and what comes along any other path is new: a server that
/// shows ngtcp2 an old path again can be made to abort by its peer (spec/path-migration.md, W1). Names of former generations only say
/// where ngtcp2 wants to send.
struct PathNames {
    private struct Entry {
        var path: NetworkPath
        var destination: ConnectionID
        var name: UInt64
        var generation: UInt64
    }

    /// Names remembered. A peer that hops faster than this only loses packets.
    private static let remembered = 8

    private var entries: [Entry]
    private var current: Int = 0
    private var generation: UInt64 = 0
    /// Former ids under which packets come along the path in use, the latest last.
    private var ids: [ConnectionID] = []
    /// More than a peer has at a time.
    private static let mostIDs = 16

    init(_ path: NetworkPath, destination: ConnectionID, name: UInt64) {
        entries = [Entry(path: path, destination: destination, name: name, generation: 0)]
    }

    var currentPath: NetworkPath { entries[current].path }
    var currentName: UInt64 { entries[current].name }

    /// At a server: the name for a packet that came along `path` to the id `destination`. On the path in use the peer may change the id
    /// as it likes; elsewhere a new id means that it has come back, which is a new path. So it is on a relay's path: its client has
    /// connected to the relay again, and ngtcp2 would only wait for its own, by then rare, probes.
    ///
    /// - Parameter isEstablished: Before that, ids change of themselves.
    mutating func name(for path: NetworkPath, destination: ConnectionID, isEstablished: Bool, fresh: () -> UInt64) -> UInt64 {
        let known = entries.first { $0.generation == generation && $0.path == path && $0.destination == destination }
        if let known { return known.name }
        if entries[current].path == path {
            if !isEstablished { note(destination) }
            if !path.isRelayed || ids.contains(destination) { return entries[current].name }
        }
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
        entries.append(Entry(path: path, destination: destination, name: name, generation: generation))
        return name
    }

    func path(named name: UInt64) -> NetworkPath? { entries.first { $0.name == name }?.path }

    /// Notes which path ngtcp2 goes along. Returns whether it leads elsewhere than before.
    mutating func setCurrent(_ name: UInt64) -> Bool {
        let before = entries[current]
        guard name != before.name else { return false }
        // After many moves it may go back to a path from before all of them; then packets still go where the peer was last.
        if !entries.contains(where: { $0.name == name }) { add(before.path, destination: before.destination, name: name) }
        current = entries.firstIndex { $0.name == name }!
        generation += 1
        entries[current].generation = generation
        guard entries[current].path == before.path else {
            ids = []
            return true
        }
        // What still comes to the former id belongs to the path in use.
        note(before.destination)
        return false
    }

    private mutating func note(_ id: ConnectionID) {
        if ids.count == Self.mostIDs { ids.removeFirst() }
        if !ids.contains(id) { ids.append(id) }
    }
}
