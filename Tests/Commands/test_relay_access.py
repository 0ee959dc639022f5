"""Relays that take only whom they know, as quic-listen and quic-dial see them."""
import pytest

from quic_commands import LISTENER, id_of

DIALLER = 7_000_002


@pytest.fixture
def token_file(tmp_path):
    """token_file(word) -> path of a file that only its owner can read"""

    def token_file(word):
        path = tmp_path / f"token-{word}"
        path.touch(mode=0o600)
        path.write_text(f"{word}\n")
        return path

    return token_file


@pytest.fixture
def relay(service, tmp_path):
    """relay(access list) -> URL of a relay with that list"""

    def relay(access=None):
        options = []
        if access is not None:
            path = tmp_path / "access"
            path.touch(mode=0o600)
            path.write_text(access)
            options = ["--access", path]
        return service("quic-relay", "--http", "127.0.0.1:0", *options).next()["http"][0] + "/"

    return relay


def test_both_are_let_in_with_the_right_token(relay, token_file, listen, dial):
    url = relay("token open-sesame\n")
    word = token_file("open-sesame")
    assert listen("--relay", url, "--relay-token", word, program=["cat"]).endpoint["relay_urls"] == [url]
    done = dial([], "--relay-token", f"{url}={word}", relays=[url], input=b"hello")
    assert (done.status, done.bytes) == (0, b"hello"), done.err


@pytest.mark.parametrize("word, reason", [("wrong", "the token is not valid"), (None, "this relay asks for a token")])
def test_quic_dial_that_shows_no_valid_token_ends_with_77_and_says_why(relay, token_file, dial, word, reason):
    url = relay("token open-sesame\n")
    done = dial([], *(["--relay-token", f"{url}={token_file(word)}"] if word else []), relays=[url])
    line, hint = done.err.splitlines()
    assert done.status == 77
    assert url in line and reason in line
    assert done.out == ""


@pytest.mark.parametrize("word, reason", [("wrong", "the token is not valid"), (None, "this relay asks for a token")])
def test_quic_listen_that_shows_no_valid_token_ends_with_77_and_says_why(relay, token_file, run, key_file, word, reason):
    url = relay("token open-sesame\n")
    token = ["--relay-token", token_file(word)] if word else []
    done = run("quic-listen", "--key", key_file(), "--bind", "127.0.0.1:0", "--relay", url, *token, "--", "cat")
    line, hint = done.err.splitlines()
    assert done.status == 77
    assert url in line and reason in line
    assert done.out == ""


def test_quic_dial_with_a_wrong_token_uses_a_direct_address_all_the_same(relay, token_file, listen, dial):
    listener = listen(program=["cat"])
    url = relay("token open-sesame\n")
    done = dial(listener.address, "--relay-token", f"{url}={token_file('wrong')}", relays=[url], input=b"hello")
    assert (done.status, done.bytes) == (0, b"hello")


def test_quic_listen_that_one_relay_refuses_lives_at_another(relay, listen, service, tmp_path):
    refusing = relay(f"deny {id_of(LISTENER)}\n")
    other = service("quic-relay", "--http", "127.0.0.1:0").next()["http"][0] + "/"
    listener = listen("--relay", refusing, "--relay", other, program=["cat"])
    while listener.endpoint["relay_urls"] != [other]:
        listener.endpoint = listener.next()


def test_keys_on_the_list_are_let_in_and_no_others(relay, listen, dial, key_file, run):
    url = relay(f"{id_of(LISTENER)}\n{id_of(DIALLER)}\n")
    listen("--relay", url, program=["cat"])
    done = dial([], "--key", key_file(DIALLER), relays=[url], input=b"hello")
    assert (done.status, done.bytes) == (0, b"hello"), done.err
    stranger = dial([], "--key", key_file(DIALLER + 1), relays=[url])
    assert stranger.status == 77
    assert "this key is not on the relay's list" in stranger.err
    done = run("quic-listen", "--key", key_file(DIALLER + 2), "--bind", "127.0.0.1:0", "--relay", url, "--", "cat")
    assert done.status == 77
    assert "this key is not on the relay's list" in done.err


@pytest.mark.parametrize("content, mode, status", [("open sesame\n", 0o600, 78), ("", 0o600, 78), ("open-sesame\n", 0o644, 77)])
def test_a_token_file_that_is_none_is_refused(relay, dial, tmp_path, content, mode, status):
    path = tmp_path / "token"
    path.write_text(content)
    path.chmod(mode)
    done = dial([], "--relay-token", f"http://127.0.0.1:9/={path}", relays=["http://127.0.0.1:9/"])
    assert done.status == status
    assert str(path) in done.err


def test_a_token_is_shown_to_its_own_relay_only(relay, token_file, dial):
    word, url = token_file("open-sesame"), relay("token open-sesame\n")
    done = dial([], "--relay-token", f"http://127.0.0.1:9/={word}", relays=[url])
    assert done.status == 77
    assert "this relay asks for a token" in done.err


@pytest.mark.parametrize("given", ["open-sesame", "open=sesame", "=open-sesame"])
def test_a_token_in_place_of_its_file_is_refused_and_not_repeated(dial, given):
    done = dial([], "--relay-token", given, relays=["http://127.0.0.1:9/"])
    assert done.status == 64
    assert "URL" in done.err and "sesame" not in done.err
