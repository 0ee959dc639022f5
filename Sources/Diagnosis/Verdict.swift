import JSON

/// What a diagnosis comes to.
public struct Verdict: Equatable, Sendable {
    /// The word of the gravest fatal problem, else `direct` or `relayed` for a key, and `well` for a network.
    public var outcome: String
    /// Gravest first.
    public var problems: [Problem]
    /// Sentences for a person: how things are.
    public var text: String
    /// Sentences for a person: what to do; nil when there is nothing to do.
    public var advice: String?

    public init(_ facts: Facts) {
        problems = facts.problems
        let fatal = problems.first { $0.isFatal }
        outcome = fatal?.rawValue ?? facts.success.word
        let told = problems.map { facts.explanation(of: $0) }
        text = ((fatal == nil ? [facts.success.text] : []) + told.map(\.text)).joined(separator: " ")
        let advices = told.compactMap(\.advice)
        advice = advices.isEmpty ? nil : advices.joined(separator: " ")
    }

    /// The last line of a report (keyhole-objects(5)).
    public func json(status: Int32) -> JSONObject {
        JSONObject(members: [
            ("outcome", .string(outcome)), ("problems", .array(problems.map { .string($0.rawValue) })), ("verdict", .string(text)),
            ("advice", .text(advice)), ("status", .integer(Int64(status))),
        ])
    }
}

extension Facts {
    /// What is said when nothing fatal has been found.
    fileprivate var success: (word: String, text: String) {
        switch peer?.connection {
        case .direct?: ("direct", peer?.isPunched == true
            ? "The peer is reached directly, after a beginning through a relay." : "The peer is reached directly.")
        case .relayed?: ("relayed", "The peer is reached, through a relay.")
        default: ("well", "This network lets peers be reached.")
        }
    }

    fileprivate func explanation(of problem: Problem) -> (text: String, advice: String?) {
        switch problem {
        case .noWayOut:
            ("Nothing answers, neither over UDP nor over TCP: this machine is cut off, or a firewall or a missing proxy keeps it so.",
             "Look to the link and the default route; where there is only a proxy, name it in https_proxy.")
        case .wrongPeer:
            ("Who answers at the peer's address has another key than the one asked for.",
             "An old packet may name an address that is somebody else's by now: have the peer publish again; nothing was sent to the stranger.")
        case .sourcesSilent:
            ("Neither the DHT nor a pkarr relay gives an answer, so that no key can be looked up.",
             "The DHT needs UDP, pkarr relays need HTTPS: see that one of them is let out, and that the clock is right.")
        case .noPacket:
            ("Nobody has a packet of this key.",
             "If the key is right, its owner does not publish, or has not for a day: look at pkarr-publish there; "
                 + "pkarr-resolve --audit shows who has what.")
        case .noEndpoint:
            ("The packet of this key names no relay and no address: there is no _iroh record that can be used.",
             "Run quic-listen there and publish what iroh-txt encode makes of its endpoint line.")
        case .relayRefuses:
            ("The relay does not take this key or token, and nothing else works.",
             "Have the relay's operator admit the key of --key, or show the token with --relay-token.")
        case .unreachable: unreachable
        case .notServed:
            ("The connection works, but no answer to the request came through it.",
             "Look at what is behind quic-listen there: whether tunnel-bridge runs, its access list admits this key (--key), and its target "
                 + "answers.")
        case .incomplete: ("The time was over before all was known.", "Give more of it with --timeout.")
        case .noRelay:
            ("No iroh relay can be reached from here.", "See that HTTPS to it is let out; where there is only a proxy, name it in https_proxy.")
        case .udpBlocked:
            ("UDP does not get out of this network: everything goes through relays.",
             "Direct paths need UDP to be let out, to any port; until then see that a relay is known at both ends.")
        case .symmetricNAT:
            ("The NAT here takes another public port for each destination (symmetric): holes can be punched only with peers that let "
                + "everybody send to them.",
             opensPorts
                 ? "A relay carries the rest. But the router opens ports, which quic-listen and quic-dial have it do, and then there are direct paths."
                 : "A relay carries the rest. For direct paths use IPv6, or forward a UDP port and give it to quic-listen with --address.")
        case .staysRelayed:
            (isUDPBlocked || problems(including: .symmetricNAT)
                ? "No direct path was found." : "No direct path was found, for which the cause is at the peer, or the two NATs don't go together.",
             nil)
        case .badRecords: ("Some of the peer's _iroh records can't be used.", "Publish them anew, with iroh-txt encode.")
        case .strangers:
            ("At one of the peer's addresses somebody else answers.", "The packet is older than the peer's network: have the peer publish again.")
        }
    }

    private func problems(including problem: Problem) -> Bool { problems.contains(problem) }

    private var unreachable: (text: String, advice: String?) {
        guard let peer else { return ("The peer can't be reached.", nil) }
        let addresses = peer.addresses == 0 ? nil : peer.addresses == 1 ? "its address does not answer" : "none of its addresses answers"
        if peer.relays == 0 {
            return ("The packet names no relay and \(addresses ?? "no address").",
                    "Run quic-listen there with --relay, or forward a UDP port and announce it with --address.")
        }
        if !relays.contains(.usable) {
            return ("The peer's relay can't be reached from here" + (addresses.map { ", and \($0)." } ?? "."),
                    "See that HTTPS to the relay is let out, and that the relay runs.")
        }
        return ("The peer is not at its relay" + (addresses.map { ", and \($0)." } ?? "."),
                "Most likely quic-listen does not run there, or its machine is cut off; its packet outlives it by hours.")
    }
}
