"""Protocols in which the server speaks first, as SSH's and SMTP's do."""
import json
import select
import subprocess

from conftest import PATIENCE, command


def test_a_program_that_speaks_first_is_heard_by_a_client_that_waits(run, service, tmp_path):
    run("pkarr-build", "--generate-key", tmp_path / "secret")
    listening = service("quic-listen", "--key", tmp_path / "secret", "--bind", "127.0.0.1:0", "--", "sh", "-c", "echo welcome; exec cat",
                        stderr=subprocess.DEVNULL)
    (tmp_path / "endpoint").write_text(json.dumps(listening.next()) + "\n")
    dialling = subprocess.Popen(command("quic-dial", "--endpoint", tmp_path / "endpoint", "--stdio"),
                                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    try:
        assert select.select([dialling.stdout], [], [], PATIENCE)[0], "nothing comes to a client that has not said a word"
        assert dialling.stdout.readline() == b"welcome\n"
        rest, _ = dialling.communicate(b"thanks\n", PATIENCE)
        assert (dialling.returncode, rest) == (0, b"thanks\n")
    finally:
        dialling.kill()
        dialling.communicate()
