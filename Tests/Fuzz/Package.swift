// swift-tools-version: 6.0
import Foundation
import PackageDescription

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
                dependencies: ["FuzzSupport", .product(name: "Libraries", package: "keyhole")],
                path: "Targets",
                sources: [file],
                swiftSettings: [.unsafeFlags(["-parse-as-library"])])
        },
    swiftLanguageModes: [.v6]
)
