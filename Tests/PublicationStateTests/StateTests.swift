import Crypto
import Glibc
import JSON
import Pkarr
import Platform
import TestSupport
import Testing

@testable import PublicationState

private var key: SecretKey { SecretKey(seed: [UInt8](repeating: 9, count: 32))! }

private func packet(_ timestamp: UInt64) -> SignedPacket {
    try! SignedPacket(signing: DNSMessage(answers: []), timestamp: timestamp, with: key)
}

/// A directory that goes with the test.
private final class Folder {
    let path: String
    init() {
        var template = Array("/tmp/keyhole-state.XXXXXX".utf8CString)
        path = String(cString: mkdtemp(&template))
    }
    deinit { _ = system("rm -rf \(path)") }
}

@Test("what is remembered only rises, and a packet from the future moves nothing")
func floorRises() {
    var floor = Floor.nothing
    floor.note(packet(50), now: 100)
    floor.raise(to: 70)
    floor.note(packet(40), now: 100)
    floor.raise(to: 60)
    floor.note(packet(101), now: 100)
    #expect(floor.timestamp == 70)
    #expect(floor.packet == packet(50))
}

@Test("a directory is made with those above it, and another run finds what was remembered")
func remembered() throws {
    let folder = Folder()
    let state = try StateDirectory(folder.path + "/a/b")
    #expect(try state.floor(of: key.publicKey) == .nothing)
    try state.update(key.publicKey, durably: true) { $0.note(packet(5), now: 9) }
    try state.update(key.publicKey, durably: false) { $0.raise(to: 7) }
    let again = try StateDirectory(folder.path + "/a/b").floor(of: key.publicKey)
    #expect(again.timestamp == 7 && again.packet == packet(5))
}

@Test("a change that throws writes nothing")
func thrown() throws {
    struct No: Error {}
    let folder = Folder()
    let state = try StateDirectory(folder.path)
    #expect(throws: No.self) {
        try state.update(key.publicKey, durably: true) { floor in
            floor.raise(to: 7)
            throw No()
        }
    }
    #expect(try state.floor(of: key.publicKey) == .nothing)
}

@Test(
    "a damaged file is refused with its name, never taken for nothing",
    arguments: [
        "", "{", "[]", "{}", #"{"public_key":"x","timestamp":1}"#, "KEY,\"timestamp\":-1}", "KEY,\"timestamp\":1,\"payload\":\"\"}",
        "KEY,\"timestamp\":4,\"payload\":\"FIVE\"}", "KEY,\"timestamp\":6,\"payload\":\"FORGED\"}", "LARGE",
    ])
func damaged(text: String) throws {
    let folder = Folder()
    let state = try StateDirectory(folder.path)
    var forged = packet(5).payload
    forged[0] ^= 1
    let content = replaced(text, [
        ("KEY", "{\"public_key\":\"\(key.publicKey.zBase32)\""), ("FIVE", base64(packet(5).payload)), ("FORGED", base64(forged)),
        ("LARGE", String(repeating: " ", count: 5000)),
    ])
    let path = state.file(key.publicKey, "floor")
    try write(content, to: path)
    let error = try thrownError(StateError.self) { _ = try state.floor(of: key.publicKey) }
    guard case .damaged(path, _) = error else {
        Issue.record("\(error)")
        return
    }
    #expect(throws: StateError.self) { try state.update(key.publicKey, durably: true) { $0.raise(to: 9) } }
}

private func write(_ text: String, to path: String) throws {
    let file = try FileDescriptor.open(path, O_WRONLY | O_CREAT, mode: 0o600)
    try writeAll(file.number, Array(text.utf8))
}

private func replaced(_ text: String, _ pairs: [(String, String)]) -> String {
    pairs.reduce(text) { text, pair in
        guard let place = text.firstRange(of: pair.0) else { return text }
        return text.replacingCharacters(in: place, with: pair.1)
    }
}

extension String {
    fileprivate func firstRange(of part: String) -> Range<String.Index>? {
        indices.first { self[$0...].hasPrefix(part) }.map { $0..<index($0, offsetBy: part.count) }
    }

    fileprivate func replacingCharacters(in range: Range<String.Index>, with part: String) -> String {
        String(self[..<range.lowerBound]) + part + String(self[range.upperBound...])
    }
}

@Test("of two who want a key's lock one gets it, and the other learns from whom; it ends with its holder")
func lock() throws {
    let folder = Folder()
    let state = try StateDirectory(folder.path)
    var first: KeyLock? = try KeyLock(key.publicKey, in: state)
    let error = try thrownError(StateError.self) { _ = try KeyLock(key.publicKey, in: state) }
    #expect(error == .busy(path: state.file(key.publicKey, "lock"), holder: Int(getpid())))
    _ = try KeyLock(SecretKey(seed: [UInt8](repeating: 8, count: 32))!.publicKey, in: state)
    withExtendedLifetime(first) {}
    first = nil
    _ = try KeyLock(key.publicKey, in: state)
}

@Test("a directory that can't be is refused with the part that is in the way")
func noDirectory() throws {
    let folder = Folder()
    try write("", to: folder.path + "/file")
    let error = try thrownError(StateError.self) { _ = try StateDirectory(folder.path + "/file/a") }
    guard case .system(_, let system) = error else {
        Issue.record("\(error)")
        return
    }
    #expect(system.code == ENOTDIR)
}
