"""The HTTP face against its own OpenAPI document, as schemathesis sees it: thousands of requests that fit the document
and that do not. Never against a mock.
"""

import hashlib
import subprocess
import sys
from pathlib import Path

import running

HERE = Path(__file__).resolve().parent
TOKEN = "a-token-for-tests-only"
# Everything that the document describes is asked for, explanations too.
CONFIGURATION = f"""
local_caller: {{ enabled: false }}
authzen: {{ signed_metadata: true }}
callers:
  - name: schemathesis
    token_sha256: {hashlib.sha256(TOKEN.encode()).hexdigest()}
    roles: [authorize, assert, attest, explain, outcome]
    servers: "*"
"""
RUN_S = 500


def test_every_answer_over_http_is_the_one_that_the_document_promises(tmp_path: Path) -> None:
    with running.palisade(tmp_path, configured=CONFIGURATION) as pdp:
        program = Path(sys.executable).with_name("st")
        command = [str(program), f"--config-file={HERE / 'schemathesis.toml'}", "--no-color", "run", "--seed=1"]
        address = [f"http://{pdp.http}/openapi.json", f"--header=Authorization: Bearer {TOKEN}"]
        ran = subprocess.run(
            [*command, *address],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=RUN_S,
            check=False,
        )
        assert ran.returncode == 0, ran.stdout[-20_000:] + ran.stderr[-2_000:]
