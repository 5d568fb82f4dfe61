"""Every call into WhatsApp's page is checked against wa-js's own types: a renamed function is a red build, not an outage."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
WEB = ROOT / "services/channel-whatsapp/web"
COMPILER = WEB / "node_modules/typescript/bin/tsc"


def compiled(project):
    assert COMPILER.exists(), "wa-js and its compiler are missing: make setup"
    done = subprocess.run(
        [Path(sys.executable).with_name("node"), COMPILER, "--project", project],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    return done.returncode, done.stdout


@pytest.fixture
def page(tmp_path):
    def compile_one(line):
        (tmp_path / "page.js").write_text(f"// @ts-check\n{line}\n")
        files = [str(WEB / "wpp.d.ts"), str(tmp_path / "page.js")]
        options = {"extends": str(WEB / "tsconfig.json"), "include": [], "files": files}
        (tmp_path / "tsconfig.json").write_text(json.dumps(options))
        return compiled(tmp_path / "tsconfig.json")

    return compile_one


def test_the_calls_we_make_fit_the_package():
    assert compiled(WEB / "tsconfig.json") == (0, "")


@pytest.mark.parametrize(
    ("call", "complaint"),
    [
        ("WPP.conn.isAuthenticatedd()", "does not exist"),
        ("WPP.chat.sendTextMessage('62@c.us', 'halo', { linkPrevieww: false })", "linkPrevieww"),
        ("WPP.contact.queryWidExists()", "Expected 1 arguments"),
        ("WPP.on('chat.new_massage', () => {})", "chat.new_massage"),
    ],
)
def test_a_call_that_does_not_fit_is_found(page, call, complaint):
    status, words = page(call)
    assert status
    assert complaint in words


def test_the_lock_names_no_registry():
    lock = json.loads((WEB / "package-lock.json").read_text())
    assert {"version", "integrity"} <= set(lock["packages"]["node_modules/@wppconnect/wa-js"])
    assert "resolved" not in (WEB / "package-lock.json").read_text()
