"""Writes the hashed requirement files: `all.txt` for development, one per service for its image, `uv.txt` for uv itself.

usage: lock.py [--upgrade]. The files hold versions and hashes, no addresses.
"""

import subprocess
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[1]
HERE = ROOT / "requirements"
UV = "uv==0.13.9"


def members() -> dict[str, Path]:
    """Return distribution name → pyproject of every workspace member."""
    files = [
        *ROOT.glob("services/*/pyproject.toml"),
        *ROOT.glob("libs/*/pyproject.toml"),
        ROOT / "deploy/local/pyproject.toml",
    ]
    return {tomllib.loads(f.read_text())["project"]["name"]: f for f in files}


def compile_to(target: str, *arguments: str, stdin: str | None = None) -> None:
    """Resolve into requirements/<target>; leaves out our own packages."""
    ours = [x for name in (*members(), "kurir-workspace") for x in ("--no-emit-package", name)]
    words = ["--universal", "--generate-hashes", "--no-header", "--no-annotate", "-q", *ours]
    command = [str(ROOT / ".venv/bin/uv"), "pip", "compile", *words, *arguments, "-o", str(HERE / target)]
    subprocess.run(command, check=True, cwd=ROOT, input=stdin, text=True)


def main() -> None:
    """Write every file."""
    upgrade = ["--upgrade"] if "--upgrade" in sys.argv else []
    compile_to("uv.txt", "-", stdin=UV)
    compile_to("all.txt", "--group", "dev", "pyproject.toml", *upgrade)
    for name, file in members().items():
        if file.parent.parent.name == "services":
            compile_to(f"{name}.txt", str(file), "-c", str(HERE / "all.txt"))


if __name__ == "__main__":
    main()
