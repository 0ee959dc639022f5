"""iroh-txt as a process: endpoints to records, packets, records and tickets to endpoints."""
import json
import os
import signal
import subprocess

import pytest

from conftest import PATIENCE, ROOT, command, lines
from packets import NOW, Key

KEY = Key(42)
ENDPOINT = {"endpoint_id": KEY.name, "relay_urls": ["https://relay.example/"], "addresses": ["203.0.113.7:4444", "[2001:db8::7]:4444"],
            "user_data": "hello"}
RECORDS = {"public_key": KEY.name, "records": [
    {"name": "_iroh", "type": "TXT", "ttl": 30, "strings": [string]}
    for string in ("relay=https://relay.example/", "addr=203.0.113.7:4444", "addr=[2001:db8::7]:4444", "user-data=hello")]}
TICKETS = json.loads((ROOT / "Tests" / "Vectors" / "endpoint-tickets.json").read_text())


def txt(*strings, name="_iroh"):
    return {"public_key": KEY.name, "records": [{"name": name, "type": "TXT", "ttl": 30, "strings": [string]} for string in strings]}


def test_an_endpoint_becomes_one_txt_record_an_attribute(run):
    done = run("iroh-txt", "encode", input=lines(ENDPOINT))
    assert (done.status, done.err, done.objects) == (0, "", [RECORDS])


def test_the_time_to_live_can_be_chosen(run):
    done = run("iroh-txt", "encode", "--ttl", "5m", input=lines(ENDPOINT))
    assert {record["ttl"] for record in done.objects[0]["records"]} == {300}


@pytest.mark.parametrize("ttl", ["30", "1500ms", "60000d", "-1s"])
def test_a_time_to_live_that_dns_cannot_hold_is_a_usage_error(run, ttl):
    done = run("iroh-txt", "encode", f"--ttl={ttl}", input=lines(ENDPOINT))
    assert done.status == 64 and done.out == "" and "--ttl" in done.err


@pytest.mark.parametrize("member, value, reason", [
    ("relay_urls", ["https://h/?a=b"], 'relay_urls[0]: "=" can\'t be published'),
    ("user_data", "a=b", 'user_data: "=" can\'t be published'),
    ("user_data", "x" * 246, "user_data: 246 bytes, at most 245 are allowed"),
    ("relay_urls", ["relay.example"], "relay_urls[0]: not an http or https URL"),
    ("addresses", ["0.0.0.0:1"], "addresses[0]: not an address with a port to send to"),
    ("endpoint_id", "x", "endpoint_id: not a key"),
])
def test_a_set_that_real_iroh_would_reject_is_not_let_out(run, member, value, reason):
    done = run("iroh-txt", "encode", input=lines({**ENDPOINT, member: value}, ENDPOINT))
    assert done.status == 65 and f"iroh-txt: standard input, line 1: {reason}" in done.err
    assert done.objects == [RECORDS], "the lines after a bad one are not lost"


def test_records_become_the_endpoint_again(run):
    done = run("iroh-txt", "decode", input=lines(RECORDS))
    assert (done.status, done.err, done.objects) == (0, "", [ENDPOINT])


def test_a_packet_of_an_independent_signer_is_read(run):
    message = KEY.text("addr=1.2.3.4:5").replace(bytes([52]) + KEY.name.encode(), b"\x05_iroh" + bytes([52]) + KEY.name.encode())
    done = run("iroh-txt", "decode", input=lines(KEY.packet(message)))
    assert done.status == 0 and done.objects == [
        {"endpoint_id": KEY.name, "relay_urls": [], "addresses": ["1.2.3.4:5"], "user_data": None}]


@pytest.mark.parametrize("ticket", TICKETS, ids=range(len(TICKETS)))
def test_tickets_of_the_real_library_are_read(run, ticket):
    done = run("iroh-txt", "decode", input=lines(ticket["ticket"]))
    assert done.status == 0 and done.objects == [{
        "endpoint_id": Key(int("2a" * 32, 16)).name, "relay_urls": [ticket["relay"]] if ticket["relay"] else [],
        "addresses": ticket["addrs"], "user_data": None}]


@pytest.mark.parametrize("strings, warning", [
    (["addr=1.2.3.4:5", "pubky=1"], 'real iroh refuses the whole set of _iroh records because of "pubky=1"'),
    (["addr=1.2.3.4:5", "hello"], 'real iroh refuses the whole set of _iroh records because of "hello"'),
    (["relay=https://h/?a=b", "addr=1.2.3.4:5"], '"relay=https://h/?a=b" is read only up to its second "="'),
    (["addr=1.2.3.4:5", "addr=1.2.3.4:5 6.7.8.9:1"], 'can\'t use "addr=1.2.3.4:5 6.7.8.9:1"'),
    (["addr=1.2.3.4:5", "addr=\u001b[31m"], 'can\'t use "addr=\\u{1b}[31m"'),
])
def test_what_real_iroh_would_reject_is_warned_about_and_read_as_far_as_possible(run, strings, warning):
    done = run("iroh-txt", "decode", input=lines(txt(*strings)))
    assert done.status == 0 and done.objects[0]["addresses"] == ["1.2.3.4:5"]
    assert f"iroh-txt: warning: standard input, line 1: {KEY.name}: {warning}\n" in done.err


def test_the_leftovers_of_the_first_gateway_are_read(run):
    done = run("iroh-txt", "decode", input=lines(txt("addr=quic://10.1.1.4:4444", "alpn=pubky/iroh-homeserver/0", name="_iroh._udp")))
    assert done.status == 0 and done.objects[0]["addresses"] == ["10.1.1.4:4444"] and "_iroh._udp" in done.err


@pytest.mark.parametrize("records", [txt(), txt("addr=1.2.3.4:5", name="_IROH"), txt("addr=nonsense")])
def test_a_key_that_announces_no_endpoint_gives_no_line_and_status_68(run, records):
    done = run("iroh-txt", "decode", input=lines(records, RECORDS))
    assert done.status == 68 and done.objects == [ENDPOINT] and f"{KEY.name} announces no endpoint" in done.err


@pytest.mark.parametrize("line, reason", [
    ('{"public_key"', "line 1, column"),
    ("[]", "line 1: expected a JSON object, found an array"),
    ("{}", "line 1: neither a packet nor records nor a ticket"),
    ('{"records":[]}', "line 1: public_key: missing"),
    ('{"records":{},"public_key":"%s"}' % KEY.name, "line 1: records: expected an array, found an object"),
    ('{"payload":"","public_key":"x"}', "line 1: public_key: not a key in z-base-32"),
    ('{"payload":"*","public_key":"%s"}' % KEY.name, "line 1: payload: not base64"),
    ('{"payload":"AAAA","public_key":"%s"}' % KEY.name, "line 1: payload: too short for a signed packet: 3 bytes"),
    ("endpointaamx62zd", "line 1: malformed endpoint ticket"),
    ("endpoint1", 'line 1: not an endpoint ticket: that is "endpoint" and lower-case base32'),
    (json.dumps({**KEY.packet(), "public_key": Key(43).name}), "line 1: payload: the signature is not this key's over this content"),
    (json.dumps(KEY.packet(KEY.text("x")[:-1])), "line 1: payload: the DNS message ends too early, at byte 77"),
    (json.dumps(KEY.packet(bytes(1001))), "line 1: payload: the DNS message has 1001 bytes, at most 1000 are allowed"),
    (json.dumps(KEY.packet(timestamp=1 << 63)), "line 1: payload: the timestamp 9223372036854775808 is out of range"),
])
def test_bad_input_is_one_line_with_its_place_and_loses_nothing(run, line, reason):
    done = run("iroh-txt", "decode", input=lines(line, RECORDS))
    assert done.status == 65 and f"iroh-txt: standard input, {reason}" in done.err and done.objects == [ENDPOINT]
    assert len([message for message in done.err.splitlines() if "hint:" not in message]) == 1


def test_a_last_line_without_its_newline_is_read(run):
    assert run("iroh-txt", "decode", input=lines(RECORDS)[:-1]).objects == [ENDPOINT]


def test_empty_input_is_no_error(run):
    for direction in ("encode", "decode"):
        done = run("iroh-txt", direction)
        assert (done.status, done.out, done.err) == (0, "", "")


def test_no_subcommand_is_a_usage_error(run):
    done = run("iroh-txt")
    assert done.status == 64 and done.out == "" and "encode or decode" in done.err


def test_messages_can_be_json(run):
    done = run("iroh-txt", "decode", "--log-format", "json", input=b"{}\n")
    message = json.loads(done.err)
    assert (message["level"], message["command"]) == ("error", "iroh-txt") and "line 1" in message["message"]


def test_each_line_is_answered_before_the_next_is_written(service):
    stage = service("iroh-txt", "encode")
    for port in (1, 2, 3):
        stage.process.stdin.write(lines({**ENDPOINT, "addresses": [f"1.2.3.4:{port}"]}))
        stage.process.stdin.flush()
        assert stage.next()["records"][1]["strings"] == [f"addr=1.2.3.4:{port}"]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it_cleanly(service, number):
    stage = service("iroh-txt", "encode")
    stage.process.stdin.write(lines(ENDPOINT))
    stage.process.stdin.flush()
    stage.next()
    stage.process.send_signal(number)
    assert stage.process.wait(PATIENCE) == 0 and stage.process.stderr.read() == b""


def test_when_nobody_reads_its_output_it_ends_cleanly_even_without_input(service):
    stage = service("iroh-txt", "encode")
    stage.process.stdout.close()
    assert stage.process.wait(PATIENCE) == 0 and stage.process.stderr.read() == b""


def test_ten_thousand_lines_through_each_direction(run):
    endpoints = [{**ENDPOINT, "addresses": [f"10.0.{number >> 8}.{number & 255}:4444"]} for number in range(10_000)]
    encoded = run("iroh-txt", "encode", input=lines(*endpoints))
    assert encoded.status == 0 and encoded.err == ""
    decoded = run("iroh-txt", "decode", input=encoded.out.encode())
    assert decoded.status == 0 and decoded.objects == endpoints


def test_a_full_disk_is_an_output_error():
    with open("/dev/full", "wb") as full:
        done = subprocess.run(command("iroh-txt", "encode"), input=lines(ENDPOINT), stdout=full, stderr=subprocess.PIPE, timeout=PATIENCE)
    assert done.returncode == 74 and b"can't write to standard output" in done.stderr


def test_a_closed_standard_input_is_an_empty_one():
    done = subprocess.run(command("iroh-txt", "decode"), preexec_fn=lambda: os.close(0), capture_output=True, timeout=PATIENCE)
    assert (done.returncode, done.stderr) == (0, b"")
