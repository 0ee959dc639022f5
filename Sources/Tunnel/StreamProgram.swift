import Crypto
import EventLoop
import Glibc
import Platform
import QUIC

/// A program whose standard input and output are ours to pump.
public struct StreamProgram {
    public let child: ChildProcess
    /// The pipe to its standard input, and the one from its standard output. They belong to the caller.
    public let input: Int32
    public let output: Int32

    /// Starts it; its standard error is ours.
    ///
    /// - Parameter completion: Called once, when it has ended.
    public init(
        _ arguments: [String], environment: [String], on loop: EventLoop, completion: @escaping (ChildProcess, ChildProcess.Ending) -> Void
    ) throws(SystemError) {
        let toProgram = try makePipe()
        let fromProgram: (reading: Int32, writing: Int32)
        do throws(SystemError) { fromProgram = try makePipe() } catch {
            close(toProgram.reading)
            close(toProgram.writing)
            throw error
        }
        defer {
            close(toProgram.reading)
            close(fromProgram.writing)
        }
        final class Reference { var child: ChildProcess? }
        let reference = Reference()
        do throws(SystemError) {
            child = try ChildProcess(
                on: loop, arguments, environment: environment,
                descriptors: [toProgram.reading, fromProgram.writing, STDERR_FILENO]
            ) { ending in
                if let child = reference.child { completion(child, ending) }
                reference.child = nil
            }
        } catch {
            close(toProgram.writing)
            close(fromProgram.reading)
            throw error
        }
        reference.child = child
        input = toProgram.writing
        output = fromProgram.reading
    }

    /// Our environment and what UCSPI calls the network variables, `PROTO` and those that begin with it.
    public static func environment(_ connection: Connection, localKey: PublicKey) -> [String] {
        let names = ["PROTO", "QUICREMOTEKEY", "QUICREMOTEIP", "QUICREMOTEPORT", "QUICLOCALKEY", "QUICALPN", "QUICPATH"]
        let inherited = processEnvironment().filter { entry in !names.contains { entry.hasPrefix("\($0)=") } }
        // Through a relay a peer has no address, and UCSPI leaves unset what is not known.
        let address = connection.path.address
        let values = [
            "QUIC", connection.peer?.zBase32 ?? "", address.map { "\($0.ip)" }, address.map { "\($0.port)" }, localKey.zBase32,
            connection.alpn, connection.path.word,
        ]
        return inherited + zip(names, values).compactMap { name, value in value.map { "\(name)=\($0)" } }
    }
}

extension StreamPump {
    /// Pumps, and breaks off the stream when the descriptors can't be used. `log` hears of endings that are no orderly end.
    static func run(_ stream: Stream, input: Int32, output: Int32, allowance: Int64? = nil, on loop: EventLoop, completion: @escaping (Ending, _ carried: Int64) -> Void) {
        do throws(SystemError) {
            _ = try StreamPump(stream, input: input, output: output, allowance: allowance, on: loop, completion: completion)
        } catch {
            close(input)
            if output != input { close(output) }
            stream.refuse()
            completion(.brokenLocally(error), 0)
        }
    }
}
