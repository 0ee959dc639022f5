// swift-tools-version: 6.0
import Foundation
import PackageDescription

/// The libraries whose parsers are fuzzed.
let libraries = ["JSON", "Platform", "Crypto", "Pkarr", "Iroh", "Mainline", "HTTPClient", "Discovery", "PkarrRelay", "QUIC", "Paths", "Tunnel", "Toolkit"]

/// Every file of Targets is a fuzz target named after it.
let targets = try! FileManager.default.contentsOfDirectory(atPath: "\(Context.packageDirectory)/Targets")
    .filter { $0.hasSuffix(".swift") }.sorted()

let package = Package(
    name: "fuzz",
    dependencies: [.package(name: "keyhole", path: "../..")],
    targets: [.target(name: "FuzzSupport", path: "Support")]
        + targets.map { file in
            .executableTarget(
                name: String(file.dropLast(".swift".count)),
                dependencies: ["FuzzSupport"] + libraries.map { .product(name: $0, package: "keyhole") },
                path: "Targets",
                sources: [file],
                swiftSettings: [.unsafeFlags(["-parse-as-library"])])
        },
    swiftLanguageModes: [.v6]
)
