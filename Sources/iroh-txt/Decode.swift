import ArgumentParser
import Iroh
import JSON
import Pkarr
import Toolkit

struct Decode: ToolkitCommand {
    static let configuration = CommandConfiguration(
        commandName: "decode",
        abstract: "Read packets, records or endpoint tickets, print the endpoints that they announce.",
        discussion: """
            A packet's signature is checked again. Examples:

              pkarr-resolve KEY | iroh-txt decode
              echo endpointaamx62zd4fwikmwgvpedr6wnl2tytpqmo2zjeazuaon7vcz5g2gwcaa | iroh-txt decode
            """,
        version: toolkitVersion)

    @OptionGroup var common: CommonOptions

    func execute(log: Log) throws -> ExitStatus {
        var unannounced = false
        let status = try Stage(log: log).run(parser: ObjectParser(other: Self.ticketObject)) { input in
            guard let address = try address(input, log: log) else {
                unannounced = true
                return
            }
            try StandardOutput.write(.object(address.json))
        }
        return status == .done && unannounced ? .keyNotFound : status
    }

    /// A ticket stands bare on its line: iroh's tools print it so.
    private static func ticketObject(_ line: [UInt8]) -> JSONObject? {
        guard line.starts(with: "endpoint".utf8) else { return nil }
        return JSONObject(members: [("ticket", .string(String(decoding: line.prefix { $0 > 0x20 }, as: UTF8.self)))])
    }

    /// Nil when nothing in the records can be used, which is said.
    private func address(_ input: InputObject, log: Log) throws -> EndpointAddress? {
        let set: RecordSet
        if let ticket = input.object["ticket"] {
            return try ticketAddress(ticket.string(at: "ticket"))
        } else if input.object["payload"] != nil {
            let packet = try SignedPacket(json: input.object)
            set = RecordSet(publicKey: packet.publicKey, records: packet.records)
        } else if input.object["records"] != nil {
            set = try RecordSet(json: input.object)
        } else {
            throw ObjectError("", "neither a packet nor records nor a ticket")
        }
        guard let endpoint = PublishedEndpoint(set) else {
            log.warning("\(input.place): \(set.publicKey) announces no endpoint: it has no _iroh records")
            return nil
        }
        for warning in endpoint.warnings { log.warning("\(input.place): \(set.publicKey): \(warning)") }
        if endpoint.address.relayURLs.isEmpty && endpoint.address.addresses.isEmpty {
            log.warning("\(input.place): \(set.publicKey) announces no endpoint: none of its _iroh records can be used")
            return nil
        }
        return endpoint.address
    }

    private func ticketAddress(_ text: String) throws(ObjectError) -> EndpointAddress {
        do throws(EndpointTicketError) { return try EndpointTicket.address(text) } catch { throw ObjectError("", error.description) }
    }
}
