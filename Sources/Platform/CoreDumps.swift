import CPlatform

/// Leaves no core file of this process, also where a program is given it through a pipe, and lets other processes of this user look into its
/// memory no more (`PR_SET_DUMPABLE`). To be called before a secret is read: libraries keep copies in memory of their own. Programs that
/// this process starts are not affected.
public func forbidCoreDumps() { keyhole_forbid_core_dumps() }
