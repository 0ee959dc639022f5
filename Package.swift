// swift-tools-version: 6.0
import PackageDescription

/// A library of ours: one folder of Sources, one folder of Tests, which may need a library more as a peer.
func library(_ name: String, _ dependencies: [Target.Dependency], testedWith peers: [Target.Dependency] = []) -> [Target] {
    [
        .target(name: name, dependencies: dependencies),
        .testTarget(name: "\(name)Tests", dependencies: [.byName(name: name), "TestSupport"] + dependencies + peers),
    ]
}

/// A command: its arguments and wiring, nothing else.
func command(_ name: String, _ dependencies: [Target.Dependency]) -> Target {
    .executableTarget(
        name: name,
        dependencies: dependencies + ["Toolkit", .product(name: "ArgumentParser", package: "swift-argument-parser")],
        path: "Sources/\(name)")
}

// The lists stand apart and with their types: Swift 6.0 takes minutes over one long expression.
let systemLibraries: [Target] = [
    .systemLibrary(name: "CJansson", pkgConfig: "jansson", providers: [.apt(["libjansson-dev"])]),
    .systemLibrary(name: "CSodium", pkgConfig: "libsodium", providers: [.apt(["libsodium-dev"])]),
    .systemLibrary(name: "CNettle", pkgConfig: "nettle", providers: [.apt(["nettle-dev"])]),
    .systemLibrary(name: "CGnuTLS", pkgConfig: "gnutls", providers: [.apt(["libgnutls28-dev"])]),
    .systemLibrary(name: "CUV", pkgConfig: "libuv", providers: [.apt(["libuv1-dev"])]),
    .target(name: "CPlatform"),
    // These three are loaded when something is first asked for or served: linking them would cost every start milliseconds and megabytes.
    .target(name: "CCurl", linkerSettings: [.linkedLibrary("dl")]),
    .target(name: "CMicrohttpd", linkerSettings: [.linkedLibrary("dl")]),
    .target(name: "CSQLite", linkerSettings: [.linkedLibrary("dl")]),
    // Its header is all there is to it; only homeserver-config has C++ in it.
    .target(name: "CTOML"),
    .target(name: "CPortMapping", linkerSettings: [.linkedLibrary("miniupnpc"), .linkedLibrary("natpmp")]),
    .target(
        name: "CQUIC",
        linkerSettings: [.linkedLibrary("ngtcp2"), .linkedLibrary("ngtcp2_crypto_gnutls"), .linkedLibrary("gnutls")]),
]

let libraries: [[Target]] = [
    library("JSON", ["CJansson"]),
    library("Platform", ["CPlatform"]),
    library("Crypto", ["CSodium", "CNettle"]),
    library("EventLoop", ["CUV", "CPlatform", "Platform"]),
    library("Pkarr", ["Crypto", "JSON", "Platform"]),
    library("Iroh", ["Crypto", "JSON", "Platform", "Pkarr"]),
    library("TOML", ["CTOML"]),
    library("Homeserver", ["TOML", "Iroh", "JSON", "Platform"], testedWith: ["Pkarr", "Crypto"]),
    library("Metrics", []),
    library("RateLimits", ["Platform"]),
    library("DiskCache", ["CSQLite", "Platform"]),
    library("WebSocket", ["Crypto"]),
    library("STUN", ["Crypto", "Platform"]),
    library("PortMapping", ["Platform"]),
    library("TLS", ["CGnuTLS"], testedWith: ["RawKeyServer", "Platform"]),
    library("IrohRelay", ["HTTP1", "Metrics", "Iroh", "WebSocket", "STUN", "TLS", "RateLimits", "EventLoop", "Crypto", "Platform"], testedWith: ["JSON"]),
    library("Mainline", ["Crypto", "Platform", "Pkarr", "RateLimits"]),
    library("HTTP1", []),
    library("HTTPGate", ["HTTP1"]),
    library("HTTPClient", ["CCurl", "EventLoop", "Platform"], testedWith: ["HTTPServer"]),
    library("HTTPServer", ["CMicrohttpd", "EventLoop", "Platform"], testedWith: ["HTTPClient"]),
    library(
        "IrohRelayClient", ["HTTP1", "Iroh", "WebSocket", "HTTPClient", "EventLoop", "Crypto", "Platform"],
        testedWith: ["IrohRelay", "TLS"]),
    library("PublicationState", ["Pkarr", "JSON", "Crypto", "Platform"]),
    library("Discovery", ["PublicationState", "Mainline", "RateLimits", "Iroh", "Pkarr", "HTTPClient", "EventLoop", "JSON", "Crypto", "Platform"]),
    library("DNSServer", ["Pkarr", "RateLimits", "EventLoop", "Crypto", "Platform"]),
    library("PkarrRelay", ["Metrics", "Discovery", "Mainline", "Pkarr", "HTTPServer", "RateLimits", "EventLoop", "Crypto", "Platform"], testedWith: ["HTTPClient"]),
    library("QUIC", ["CQUIC", "Iroh", "Crypto", "Platform"], testedWith: ["HostileClient"]),
    library("HolePunching", ["QUIC", "RateLimits", "Crypto", "Platform"]),
    library("Paths", ["CPlatform", "HolePunching", "STUN", "QUIC", "IrohRelayClient", "HTTPClient", "Iroh", "EventLoop", "Crypto", "Platform"], testedWith: ["IrohRelay"]),
    library("Tunnel", ["HTTPGate", "Metrics", "RateLimits", "Paths", "QUIC", "Iroh", "EventLoop", "JSON", "Crypto", "Platform"]),
    library("Ladder", ["TLS", "Tunnel", "Iroh", "Pkarr", "EventLoop", "JSON", "Crypto", "Platform"], testedWith: ["RawKeyServer"]),
    library("HTTPProxy", ["HTTP1", "Ladder", "Tunnel", "EventLoop", "Crypto", "Platform"], testedWith: ["JSON"]),
    library("Diagnosis", ["Tunnel", "Paths", "HolePunching", "Discovery", "IrohRelayClient", "QUIC", "Iroh", "Pkarr", "EventLoop", "JSON", "Crypto", "Platform"]),
    library("Toolkit", ["JSON", "Platform", "RateLimits", "Crypto", "EventLoop", .product(name: "ArgumentParser", package: "swift-argument-parser")]),
]

let commands: [Target] = [
    // What commands share of their command lines: where they remember; where they publish and look.
    .target(
        name: "StateOptions",
        dependencies: ["PublicationState", "Toolkit", .product(name: "ArgumentParser", package: "swift-argument-parser")]),
    .target(
        name: "DiscoveryOptions",
        dependencies: ["Discovery", "StateOptions", "Toolkit", .product(name: "ArgumentParser", package: "swift-argument-parser")]),
    // What the tunnel's commands share: the router's ports.
    .target(
        name: "RouterPorts",
        dependencies: ["Paths", "Toolkit", "EventLoop", "JSON", "Platform", .product(name: "ArgumentParser", package: "swift-argument-parser")]),
    command("homeserver-config", ["Homeserver"]),
    // The relays they may meet.
    .target(
        name: "RelayArguments",
        dependencies: ["Paths", "Iroh", "Toolkit", .product(name: "ArgumentParser", package: "swift-argument-parser")]),
    command("iroh-txt", ["Iroh", "Pkarr"]),
    command("keyhole-diagnose", ["RelayArguments", "Diagnosis", "DiscoveryOptions", "RouterPorts", "Paths", "QUIC", "Tunnel", "Iroh"]),
    command("pkarr-build", ["StateOptions", "PublicationState", "Pkarr", "Iroh"]),
    command("pkarr-publish", ["StateOptions", "PublicationState", "DiscoveryOptions", "Discovery"]),
    command("pkarr-resolve", ["StateOptions", "PublicationState", "DiscoveryOptions", "Discovery"]),
    command("pkarr-serve", ["Metrics", "PkarrRelay", "DiskCache", "DNSServer", "DiscoveryOptions", "Discovery", "RateLimits"]),
    command("port-map", ["CPortMapping", "PortMapping", "EventLoop", "JSON", "Crypto", "Platform"]),
    command("quic-listen", ["RelayArguments", "Metrics", "RouterPorts", "Tunnel", "Paths", "Iroh"]),
    command("quic-dial", ["RelayArguments", "Metrics", "RouterPorts", "Tunnel", "Iroh"]),
    command("quic-relay", ["IrohRelay"]),
    command("tunnel-bridge", ["Metrics", "RateLimits", "HTTPProxy", "Ladder", "Tunnel"]),
]

let testSupport: [Target] = [
    .target(name: "TestSupport", path: "Tests/TestSupport"),
    .target(name: "RawKeyServer", dependencies: ["CGnuTLS"], path: "Tests/RawKeyServer"),
    .target(name: "HostileKeys", dependencies: ["CQUIC"], path: "Tests/HostileKeys"),
    .target(name: "HostileClient", dependencies: ["HostileKeys", "QUIC", "Iroh", "Crypto", "Platform"], path: "Tests/HostileClient"),
]

let package = Package(
    name: "keyhole",
    // Only for the fuzz targets, a package of their own in Tests/Fuzz.
    products: [.library(name: "Libraries", targets: libraries.map { $0[0].name } + ["HostileClient"])],
    dependencies: [.package(url: "https://github.com/apple/swift-argument-parser", from: "1.5.0")],
    targets: systemLibraries + libraries.flatMap { $0 } + commands + testSupport,
    swiftLanguageModes: [.v6],
    cxxLanguageStandard: .cxx17
)
