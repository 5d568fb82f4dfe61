"""The page a new user copies from works as it stands."""

import os
import re
import subprocess
from pathlib import Path

import pytest

from tests.e2e.test_demo import kurir

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs/first-campaign.md"


@pytest.fixture
def home(tmp_path):
    """Return a folder whose platform is stopped afterwards."""
    yield tmp_path / "kurir"
    kurir("down", home=tmp_path / "kurir")


def test_every_block_of_the_page_runs(home):
    blocks = re.findall(r"^```bash\n(.*?)^```", PAGE.read_text("utf-8"), re.DOTALL | re.MULTILINE)
    environment = {k: v for k, v in os.environ.items() if k not in ("NATS_URL", "MONGO_URL")} | {
        "KURIR_HOME": str(home)
    }
    script = "\n".join(["set -eo pipefail", *blocks])
    ended = subprocess.run(
        ["bash", "-c", script], cwd=ROOT, env=environment, capture_output=True, text=True, timeout=240, check=False
    )
    said = ended.stdout
    assert ended.returncode == 0, said[-3000:] + ended.stderr[-3000:]
    assert '"ok":true' in said
    assert re.search(r'"status":422.*nmae', said)
    assert '"counts":{"rows":5,"inserted":4' in said
    assert '"reason":"bounced"' in said
    assert re.search(r'"counts":\{[^}]*"sent":4', said)
    arrived = next(line for line in said.splitlines() if line.startswith('[{"n":'))
    assert arrived.count('"message_id"') == 2
