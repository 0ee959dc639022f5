"""pkarr-build as a process: records and packets in, signed packets out."""
import base64
import json
import os
import signal
import subprocess
import time

import pytest

from conftest import PATIENCE, ROOT, command, lines
from packets import NOW, Key

KEY = Key(42)
OTHER = Key(43)
VECTORS = json.loads((ROOT / "Tests" / "Vectors" / "packets.json").read_text())["packets"]
SIGNABLE = [vector for vector in VECTORS if vector["expect"] == "ok" and not vector.get("decode_only")]


def a(name, address, ttl=3600):
    return {"name": name, "type": "A", "ttl": ttl, "address": address}


def iroh(address):
    return {"name": "_iroh", "type": "TXT", "ttl": 30, "strings": [f"addr={address}"]}


def records(*entries):
    return {"records": list(entries)}


@pytest.fixture
def key(tmp_path):
    path = tmp_path / "key"
    path.write_text((42).to_bytes(32).hex() + "\n")
    path.chmod(0o600)
    return path


@pytest.fixture
def packet(run, key):
    """packet(timestamp, record…): a packet of the key, as somebody else has published it."""
    def packet(timestamp, *entries):
        return run("pkarr-build", "--key", key, "--at", timestamp, input=lines(records(*entries))).objects[0]

    return packet


def names(packet):
    return [(record["name"], record.get("address") or record["strings"][0]) for record in packet["records"]]


@pytest.mark.parametrize("vector", SIGNABLE, ids=[vector["name"] for vector in SIGNABLE])
def test_every_packet_of_the_independent_encoder_comes_out_byte_for_byte(run, tmp_path, vector):
    path = tmp_path / "secret"
    path.write_bytes(bytes.fromhex(vector["secret_key"]))
    path.chmod(0o600)
    done = run("pkarr-build", "--key", path, "--at", vector["timestamp"], input=lines(records(*vector["records_in"])))
    assert done.status == 0
    [packet] = done.objects
    assert packet == {"public_key": vector["public_key"], "timestamp": vector["timestamp"], "size": vector["size"],
                      "records": vector["records_out"], "payload": vector["payload"], "previous": None}
    assert ("bytes of each" in done.err) == (not vector["fits_libtorrent"])


def test_the_same_input_gives_the_same_output(run, key):
    text = lines(records(a("@", "127.0.0.1")), records(a("@", "127.0.0.2")))
    first, second = (run("pkarr-build", "--key", key, "--at", NOW, input=text) for _ in range(2))
    assert first.out == second.out and [one["timestamp"] for one in first.objects] == [NOW, NOW + 1]


def test_a_packet_of_an_independent_signer_is_merged(run, key):
    done = run("pkarr-build", "--key", key, "--at", NOW + 5, input=lines(KEY.packet(), records(iroh("1.2.3.4:5"))))
    assert (done.status, done.err) == (0, "")
    [merged] = done.objects
    assert names(merged) == [("@", "hello"), ("_iroh", "addr=1.2.3.4:5")] and merged["timestamp"] == NOW + 5


def test_only_own_records_are_replaced(run, key, packet):
    seen = packet(5, a("@", "127.0.0.1"), iroh("9.9.9.9:9"), {"name": "x", "type": 65300, "ttl": 1, "rdata_hex": "c00c00"},
                  {"name": "_iroh._udp", "type": "TXT", "ttl": 1, "strings": ["addr=quic://9.9.9.9:9"]})
    [merged] = run("pkarr-build", "--key", key, "--at", NOW, input=lines(seen, records(iroh("1.2.3.4:5")))).objects
    assert merged["records"] == [a("@", "127.0.0.1"), seen["records"][2], iroh("1.2.3.4:5")]


def test_files_are_used_until_lines_bring_records_of_the_same_name_and_type(run, key, tmp_path):
    path = tmp_path / "records.json"
    path.write_text(json.dumps(records(a("@", "127.0.0.9"), iroh("9.9.9.9:9")), indent=2))
    more = tmp_path / "more.json"
    more.write_text(json.dumps(records(a("more", "127.0.0.8"))))
    start, live = run("pkarr-build", "--key", key, "--records", path, "--records", more,
                      input=lines(KEY.packet(), records(iroh("1.2.3.4:5")))).objects
    rest = [("@", "hello"), ("@", "127.0.0.9")]
    assert names(start) == [*rest, ("_iroh", "addr=9.9.9.9:9"), ("more", "127.0.0.8")]
    assert names(live) == [*rest, ("more", "127.0.0.8"), ("_iroh", "addr=1.2.3.4:5")]


def test_files_alone_make_one_packet(run, key, tmp_path):
    path = tmp_path / "records.json"
    path.write_text(json.dumps(records(a("@", "127.0.0.9"))))
    done = run("pkarr-build", "--key", key, "--records", path)
    assert done.status == 0 and names(done.objects[0]) == [("@", "127.0.0.9")]


def test_a_packet_alone_is_signed_again_unchanged(run, key):
    [again] = run("pkarr-build", "--key", key, "--at", NOW + 1, input=lines(KEY.packet())).objects
    assert names(again) == [("@", "hello")] and again["timestamp"] == NOW + 1


def test_without_anything_to_sign_nothing_is_printed_and_that_is_said(run, key):
    done = run("pkarr-build", "--key", key)
    assert (done.status, done.out) == (0, "") and "nothing to sign" in done.err


def test_what_does_not_change_the_result_gives_no_packet(run, key):
    one = records(a("@", "127.0.0.1"))
    assert len(run("pkarr-build", "--key", key, "--at", NOW, input=lines(one, one, KEY.packet(timestamp=3), one)).objects) == 2


def test_nothing_is_signed_in_the_future_and_that_is_said_with_what_to_do(run, key, tmp_path):
    future = KEY.packet(timestamp=NOW + 60_000_000)
    done = run("pkarr-build", "--key", key, "--at", NOW, "--state", tmp_path / "state", input=lines(future, records()))
    assert (done.status, done.out) == (75, "")
    assert "stamped 60 s in the future" in done.err and "nothing is signed before Mon, 24 Nov 2025 16:01:00 GMT" in done.err
    assert "set the clock" in done.err and "nodes forget" in done.err
    # It has not been remembered: once the network has forgotten it, all is well.
    done = run("pkarr-build", "--key", key, "--at", NOW, "--state", tmp_path / "state", input=lines(records()))
    assert (done.status, done.objects[0]["timestamp"]) == (0, NOW)


def test_a_packet_stamped_a_moment_ahead_is_waited_for(run, key):
    ahead = KEY.packet(timestamp=time.time_ns() // 1000 + 300_000)
    done = run("pkarr-build", "--key", key, input=lines(ahead, records(a("more", "127.0.0.1"))))
    [signed] = done.objects
    assert (done.status, done.err) == (0, "") and signed["timestamp"] > signed["previous"] and names(signed)[0] == ("@", "hello")


def test_beside_others_it_signs_a_minute_behind_the_clock(run, key):
    before = time.time_ns() // 1000
    alone, = run("pkarr-build", "--key", key, input=lines(records())).objects
    merged, = run("pkarr-build", "--key", key, input=lines(KEY.packet(), records(iroh("1.2.3.4:5")))).objects
    after = time.time_ns() // 1000
    assert before <= alone["timestamp"] <= after and before - 60_000_000 <= merged["timestamp"] <= after - 60_000_000
    assert (alone["previous"], merged["previous"]) == (None, NOW)


def test_what_the_packet_says_already_is_not_signed_again(run, key, tmp_path):
    [first] = run("pkarr-build", "--key", key, "--at", NOW, input=lines(records(a("@", "127.0.0.1")))).objects
    path = tmp_path / "records.json"
    path.write_text(json.dumps(records(a("@", "127.0.0.1"))))
    [again] = run("pkarr-build", "--key", key, "--records", path, input=lines(first)).objects
    assert again == {**first, "previous": NOW}


def receipt(packet, *unmerged):
    return {"public_key": KEY.name, "timestamp": packet["timestamp"], "unmerged": list(unmerged)}


def test_what_a_receipt_says_is_missing_is_merged_in_the_next_round(run, key, packet, tmp_path):
    """Ours was published by somebody who did not know the other, and is the newest that is found now."""
    path = tmp_path / "records.json"
    path.write_text(json.dumps(records(iroh("1.2.3.4:5"))))
    ours, missed = packet(NOW + 9, a("@", "127.0.0.1"), iroh("1.2.3.4:5")), packet(NOW + 5, a("@", "127.0.0.2"))
    done = run("pkarr-build", "--key", key, "--records", path, input=lines(ours, receipt(ours, missed)))
    assert names(done.objects[-1]) == [("@", "127.0.0.2"), ("_iroh", "addr=1.2.3.4:5")] and done.objects[-1]["timestamp"] > NOW + 9


@pytest.mark.parametrize("line, reason", [
    ({"unmerged": []}, "line 1: timestamp: no timestamp"), ({"timestamp": 1, "unmerged": {}}, "line 1: unmerged: expected an array"),
    ({"timestamp": 1, "unmerged": [7]}, "line 1: unmerged[0]: expected an object"),
    ({"timestamp": 1, "unmerged": [OTHER.packet()]}, "line 1: unmerged[0].public_key: the packet is"),
])
def test_a_bad_receipt_is_refused_with_its_place(run, key, line, reason):
    done = run("pkarr-build", "--key", key, input=lines(line, records()))
    assert done.status == 65 and reason in done.err and len(done.objects) == 1


def test_with_a_state_no_timestamp_is_signed_twice_though_the_clock_goes_back(run, key, tmp_path):
    state = "--state", tmp_path / "state"
    stamps = [run("pkarr-build", "--key", key, "--at", at, *state, input=lines(records())).objects[0]["timestamp"]
              for at in (NOW, NOW, NOW - 500_000)]
    assert stamps == [NOW, NOW + 1, NOW + 2]
    far_back = run("pkarr-build", "--key", key, "--at", NOW - 9_000_000, *state, input=lines(records()))
    assert (far_back.status, far_back.out) == (75, "") and f"remove {tmp_path}/state/{KEY.name}.floor" in far_back.err


def test_many_at_once_never_sign_the_same_timestamp(service, key, tmp_path):
    started = [service("pkarr-build", "--key", key, "--at", NOW, "--state", tmp_path / "state") for _ in range(6)]
    for turn in range(20):
        for index, one in enumerate(started):
            one.process.stdin.write(lines(records(a("@", f"127.0.{index}.{turn}"))))
            one.process.stdin.flush()
    stamps = [one.next()["timestamp"] for one in started for _ in range(20)]
    assert sorted(stamps) == list(range(NOW, NOW + 120))
    assert json.loads((tmp_path / "state" / f"{KEY.name}.floor").read_text())["timestamp"] == NOW + 119


def test_with_a_state_what_the_network_has_forgotten_is_still_kept(run, key, tmp_path):
    state = "--state", tmp_path / "state"
    run("pkarr-build", "--key", key, *state, input=lines(KEY.packet(timestamp=NOW)))
    [signed] = run("pkarr-build", "--key", key, *state, input=lines(KEY.packet(KEY.text("old"), NOW - 5), records(iroh("1.2.3.4:5")))).objects
    assert names(signed) == [("@", "hello"), ("_iroh", "addr=1.2.3.4:5")] and signed["previous"] == NOW


def test_the_state_directory_of_systemd_is_used(run, key, tmp_path):
    run("pkarr-build", "--key", key, input=lines(records()), env={"STATE_DIRECTORY": f"{tmp_path}/one:{tmp_path}/two"})
    assert os.listdir(tmp_path / "one") == [f"{KEY.name}.floor"] and not (tmp_path / "two").exists()


@pytest.mark.parametrize("content", [b"", b"{}", b'{"public_key":"x","timestamp":1}', b"\0" * 9999])
def test_a_damaged_state_file_is_refused_by_name(run, key, tmp_path, content):
    path = tmp_path / f"{KEY.name}.floor"
    path.write_bytes(content)
    done = run("pkarr-build", "--key", key, "--state", tmp_path, input=lines(records()))
    assert (done.status, done.out) == (78, "") and f"state file {path} is damaged" in done.err and f"rm {path}" in done.err
    assert path.read_bytes() == content


def test_a_packet_with_the_last_timestamp_cannot_be_replaced(run, key):
    done = run("pkarr-build", "--key", key, input=lines(KEY.packet(timestamp=(1 << 63) - 1), records()))
    assert (done.status, done.out) == (65, "") and "nothing can replace it" in done.err


def filled(size):
    rest = size - 12 - 54 - 2 - 10 - 4
    return records({"name": "f", "type": "TXT", "ttl": 60, "strings": ["x" * 255] * 3 + ["x" * (rest - 765)]})


def test_the_limit_is_reported_with_what_each_record_takes(run, key):
    done = run("pkarr-build", "--key", key, input=lines(filled(1001), records(a("@", "127.0.0.1"))))
    assert done.status == 65 and names(done.objects[0]) == [("@", "127.0.0.1")]
    assert "the records take 1001 bytes, a packet holds 1000" in done.err and "bytes of each: 12 header, 989 f TXT" in done.err


def test_what_libtorrent_does_not_store_is_warned_about(run, key):
    assert run("pkarr-build", "--key", key, input=lines(filled(996))).err == ""
    done = run("pkarr-build", "--key", key, input=lines(filled(997)))
    assert done.status == 0 and done.objects[0]["size"] == 997 and "997 bytes; most nodes of the DHT store at most 996" in done.err


def tampered(packet, position):
    payload = bytearray(base64.b64decode(packet["payload"]))
    payload[position] ^= 1
    return {**packet, "payload": base64.b64encode(payload).decode()}


@pytest.mark.parametrize("line, reason", [
    ('{"records"', "standard input, line 1, column"),
    ("7", "standard input, line 1: expected a JSON object"),
    ("{}", "standard input, line 1: neither records nor a packet nor a receipt"),
    ('{"endpoint_id":"x"}', "iroh-txt encode makes records of an endpoint"),
    ('{"records":[{"name":"a b"}]}', "line 1: records[0].name: a name can't hold byte 32"),
    ('{"records":[{"name":"a","type":"A","ttl":1,"address":"x"}]}', "line 1: records[0].address: not an IPv4 address"),
    ('{"records":[],"public_key":"%s"}' % OTHER.name, f"line 1: public_key: the records are for {OTHER.name}, not for {KEY.name}"),
    (OTHER.packet(), f"line 1: public_key: the packet is {OTHER.name}'s, the key file is {KEY.name}'s"),
    (tampered(KEY.packet(), 0), "line 1: payload: the signature is not this key's"),
    (tampered(KEY.packet(), 71), "line 1: payload: the signature is not this key's"),
    ({"public_key": KEY.name, "payload": KEY.packet()["payload"][:40]}, "line 1: payload: too short for a signed packet: 30 bytes"),
    ({"public_key": KEY.name, "payload": "=="}, "line 1: payload: not base64"),
    (KEY.packet(KEY.text("x")[:-1]), "line 1: payload: the DNS message ends too early"),
    ("x" * (1 << 20) + "y", "line 1: longer than 1048576 bytes"),
], ids=range(14))
def test_bad_input_is_refused_with_its_place_and_loses_nothing(run, key, line, reason):
    done = run("pkarr-build", "--key", key, input=lines(line, records(a("@", "127.0.0.1"))))
    assert done.status == 65 and reason in done.err and names(done.objects[0]) == [("@", "127.0.0.1")]


def test_a_fresh_key_is_written_for_its_owner_only_and_never_over_another(run, tmp_path):
    path = tmp_path / "fresh"
    made = run("pkarr-build", "--generate-key", path)
    assert made.status == 0 and path.stat().st_mode & 0o777 == 0o600
    assert made.objects == [{"public_key": Key(int(path.read_text(), 16)).name}]
    before = path.read_text()
    again = run("pkarr-build", "--generate-key", path)
    assert (again.status, again.out, path.read_text()) == (78, "", before)


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o602])
def test_a_key_file_open_to_others_is_refused(run, key, mode):
    key.chmod(mode)
    done = run("pkarr-build", "--key", key, input=lines(records()))
    assert (done.status, done.out) == (77, "") and f"chmod 600 {key}" in done.err


@pytest.mark.skipif(os.geteuid() == 0 and not os.path.exists("/usr/bin/setpriv"), reason="root reads everything")
def test_a_key_file_that_cannot_be_read_is_refused(key):
    arguments = command("pkarr-build", "--key", key)
    if os.geteuid() == 0:
        # Root without its privilege to read what is not its own.
        os.chown(key, 65534, 65534)
        key.chmod(0o000)
        arguments = ["setpriv", "--bounding-set=-dac_override,-dac_read_search", "--inh-caps=-dac_override,-dac_read_search", *arguments]
    else:
        key.chmod(0o000)
    done = subprocess.run(arguments, input=b"", capture_output=True, timeout=PATIENCE)
    assert done.returncode == 77 and b"Permission denied" in done.stderr


@pytest.mark.parametrize("content, reason", [(b"", "holds neither"), (b"0" * 63, "holds neither"), (None, "does not exist")])
def test_a_key_file_without_a_key_is_a_configuration_error(run, tmp_path, content, reason):
    path = tmp_path / "bad"
    if content is not None:
        path.write_bytes(content)
        path.chmod(0o600)
    done = run("pkarr-build", "--key", path)
    assert (done.status, done.out) == (78, "") and reason in done.err


@pytest.mark.parametrize("content, status, reason", [
    (None, 78, "No such file or directory"), ('{"records":\n[}', 65, "line 2, column"), ("[]", 65, "expected a JSON object"),
    ('{"records":[{}]}', 65, "records[0].name: missing"),
])
def test_a_bad_records_file_is_refused_by_name(run, key, tmp_path, content, status, reason):
    path = tmp_path / "records.json"
    if content is not None:
        path.write_text(content)
    done = run("pkarr-build", "--key", key, "--records", path)
    assert (done.status, done.out) == (status, "") and f"records file {path}" in done.err and reason in done.err


@pytest.mark.parametrize("arguments", [
    [], ["--key", "k", "--generate-key", "g"], ["--generate-key", "g", "--at", "1"], ["--key", "k", "--at", "-1"],
    ["--key", "k", "--at", str(1 << 63)], ["--key", "k", "--every", "0s"], ["--key", "k", "--every", "1"], ["--key", "k", "--every", "1h", "--settle", "x"],
])
def test_it_says_so_when_called_wrongly(run, tmp_path, arguments):
    done = run("pkarr-build", *arguments, cwd=tmp_path)
    assert (done.status, done.out) == (64, "") and done.err and not list(tmp_path.iterdir())


def test_ten_thousand_lines_through_one_filter(run, key):
    text = lines(*(records(iroh(f"10.0.{number >> 8}.{number & 255}:4444")) for number in range(10_000)))
    done = run("pkarr-build", "--key", key, "--at", NOW, input=text)
    assert done.status == 0 and [one["timestamp"] for one in done.objects] == list(range(NOW, NOW + 10_000))


class Builder:
    def __init__(self, stage):
        self.stage = stage

    def send(self, *objects):
        self.stage.process.stdin.write(lines(*objects))
        self.stage.process.stdin.flush()

    def ask(self, *objects):
        self.send(*objects)
        return self.stage.next()


@pytest.fixture
def builder(service, key):
    return Builder(service("pkarr-build", "--key", key, "--every", "1h", "--settle", "0s"))


def test_a_packet_that_replaced_ours_is_merged_again(builder, packet):
    first = builder.ask(packet(5, a("@", "127.0.0.1")), records(iroh("1.2.3.4:5")))
    # Our own packet coming back is nothing new; the homeserver's next start is.
    second = builder.ask(first, packet(first["timestamp"] + 1, a("@", "127.0.0.2")))
    assert names(second) == [("@", "127.0.0.2"), ("_iroh", "addr=1.2.3.4:5")] and second["timestamp"] > first["timestamp"] + 1
    third = builder.ask(second, first, records(iroh("6.7.8.9:5")))
    assert names(third) == [("@", "127.0.0.2"), ("_iroh", "addr=6.7.8.9:5")]


def test_a_newer_packet_that_says_the_same_is_passed_on(builder, packet):
    ours = builder.ask(records(iroh("1.2.3.4:5"), a("@", "127.0.0.1")))
    other = packet(ours["timestamp"] + 1, a("@", "127.0.0.1"), iroh("1.2.3.4:5"))
    assert builder.ask(other) == {**other, "previous": other["timestamp"]}


def test_a_fresh_packet_of_others_is_left_alone_until_it_has_settled(service, key, packet):
    builder = Builder(service("pkarr-build", "--key", key, "--every", "1h", "--settle", "500ms"))
    builder.ask(records(iroh("1.2.3.4:5")))
    signed = time.time_ns() // 1000
    # The second is older, and so is not what is merged.
    builder.send(packet(signed, a("@", "127.0.0.2")), packet(signed - 9, a("@", "127.0.0.1")))
    merged = builder.stage.next()
    assert time.time_ns() // 1000 >= signed + 500_000 and names(merged) == [("@", "127.0.0.2"), ("_iroh", "addr=1.2.3.4:5")]


def test_it_signs_again_after_the_time_given(service, key):
    stage = service("pkarr-build", "--key", key, "--every", "20ms")
    ask = Builder(stage).ask
    stamps = [ask(records(a("@", "127.0.0.1")))["timestamp"], stage.next()["timestamp"], stage.next()["timestamp"]]
    assert stamps == sorted(set(stamps))


def test_it_ends_with_its_input(builder):
    builder.ask(records())
    builder.stage.process.stdin.close()
    assert builder.stage.process.wait(PATIENCE) == 0


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it_cleanly(builder, number):
    builder.ask(records())
    builder.stage.process.send_signal(number)
    assert builder.stage.process.wait(PATIENCE) == 0 and builder.stage.process.stderr.read() == b""


def test_when_nobody_reads_its_output_it_ends_cleanly(builder):
    builder.ask(records())
    builder.stage.process.stdout.close()
    assert builder.stage.process.wait(PATIENCE) == 0 and builder.stage.process.stderr.read() == b""


def test_a_closed_standard_output_is_an_output_error(key):
    done = subprocess.run(command("pkarr-build", "--key", key), input=lines(records()), preexec_fn=lambda: os.close(1),
                          stderr=subprocess.PIPE, timeout=PATIENCE)
    assert done.returncode == 74 and b"can't write to standard output" in done.stderr


@pytest.fixture
def fallback(tmp_path):
    """--fallback FILE, with an A and a TXT record at the apex."""
    (tmp_path / "fallback.json").write_text(json.dumps(records(a("@", "127.0.0.1"), {"name": "@", "type": "TXT", "ttl": 60, "strings": ["x"]})))
    return "--fallback", tmp_path / "fallback.json"


def test_a_fallback_gives_way_to_what_others_have_published_under_its_name(run, key, packet, fallback):
    alone = run("pkarr-build", "--key", key, *fallback, input=lines(records(iroh("10.0.0.1:1"))))
    assert names(alone.objects[0]) == [("@", "127.0.0.1"), ("@", "x"), ("_iroh", "addr=10.0.0.1:1")]
    others = packet(NOW, a("@", "10.9.9.9"))
    merged = run("pkarr-build", "--key", key, *fallback, input=lines(others, records(iroh("10.0.0.1:1"))))
    assert names(merged.objects[-1]) == [("@", "10.9.9.9"), ("_iroh", "addr=10.0.0.1:1")]


def test_a_dry_run_tells_what_would_be_published_and_what_changes(run, key, packet, fallback, tmp_path):
    others = packet(NOW, a("@", "10.9.9.9"), iroh("10.0.0.1:1"))
    state = tmp_path / "state"
    done = run("pkarr-build", "--key", key, *fallback, "--dry-run", "--state", state, input=lines(others, records(iroh("10.0.0.2:2"))))
    assert done.status == 0
    [plan] = done.objects
    assert [(record["name"], record["type"], record["new"]) for record in plan["planned"]] == [("@", "A", False), ("_iroh", "TXT", True)]
    assert [record["strings"] for record in plan["removed"]] == [["addr=10.0.0.1:1"]]
    assert [record["type"] for record in plan["unused"]] == ["A", "TXT"] and done.err.count("gives way to what is published") == 2
    assert plan["live"] == {"timestamp": others["timestamp"], "size": others["size"]}
    # What is signed has just the size that was planned.
    signed = run("pkarr-build", "--key", key, *fallback, input=lines(others, records(iroh("10.0.0.2:2")))).objects[-1]
    assert plan["size"] == signed["size"] == 12 + sum(record["size"] for record in plan["planned"]) == 1000 - plan["room"]
    # Nothing is remembered.
    assert list(state.iterdir()) == []


def test_a_dry_run_knows_what_is_remembered(run, key, tmp_path, packet):
    state = "--state", tmp_path / "state"
    run("pkarr-build", "--key", key, *state, input=lines(packet(NOW, a("@", "10.9.9.9")), records(iroh("10.0.0.1:1"))))
    [plan] = run("pkarr-build", "--key", key, *state, "--dry-run", input=lines(records(iroh("10.0.0.1:1")))).objects
    assert [record["new"] for record in plan["planned"]] == [False, True] and plan["live"]


def test_a_dry_run_without_any_packet_compares_with_nothing(run, key):
    [plan] = run("pkarr-build", "--key", key, "--dry-run", input=lines(records(a("@", "10.0.0.1")))).objects
    assert plan["live"] is None and [record["new"] for record in plan["planned"]] == [True]


@pytest.mark.parametrize("size, status, said", [(996, 0, ""), (997, 0, "most nodes of the DHT store at most 996"), (1001, 65, "a packet holds 1000")])
def test_a_dry_run_tells_of_the_limits(run, key, size, status, said):
    done = run("pkarr-build", "--key", key, "--dry-run", input=lines(filled(size)))
    assert (done.status, done.objects[0]["size"], done.objects[0]["room"]) == (status, size, 1000 - size)
    assert said in done.err and bool(done.err) == bool(said)


def test_a_dry_run_in_a_terminal_is_a_table(terminal, key, packet):
    others = packet(NOW, a("@", "10.9.9.9"), iroh("10.0.0.1:1"))
    shown = terminal(100, "pkarr-build", "--key", key, "--dry-run", input=lines(others, records(iroh("10.0.0.2:2"))), env={"NO_COLOR": "1"})
    assert shown.status == 0
    assert [line.split() for line in shown.out.splitlines()[1:6]] == [
        ["CHANGE", "BYTES", "NAME", "TYPE", "TTL", "DATA"], ["12", "header"], ["as", "is", "68", "@", "A", "3600", "10.9.9.9"],
        ["new", "34", "_iroh", "TXT", "30", '"addr=10.0.0.2:2"'], ["gone", "_iroh", "TXT", "30", '"addr=10.0.0.1:1"']]
    assert "114 of 1000 bytes" in shown.out and "2 records: 1 as they are, 1 new; 1 gone" in shown.out


@pytest.mark.parametrize("options", [["--dry-run", "--every", "1h"], ["--generate-key", "x", "--dry-run"]])
def test_a_dry_run_goes_with_no_option_that_does_something(run, key, options):
    keys = [] if "--generate-key" in options else ["--key", key]
    assert run("pkarr-build", *keys, *options).status == 64
