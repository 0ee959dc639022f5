import JSON
import Platform

/// A file of Tests/Vectors.
func vectorFile(_ name: String) -> [UInt8] {
    let folder = #filePath.split(separator: "/").dropLast(2).map { "/" + $0 }.joined()
    return try! readFile("\(folder)/Vectors/\(name)", limit: 1 << 20)
}
