"""How each captured MCP server is started. Never starts one itself."""

import os
import subprocess
import sys
from pathlib import Path

from mcp import StdioServerParameters

REPO = Path(__file__).resolve().parents[2]
TOOLS = REPO / "tools"
NPM_BIN = Path(__file__).resolve().parent / "node_modules" / ".bin"
VENV_BIN = Path(sys.executable).parent


def _npm(name: str, *args: str) -> tuple[Path, list[str]]:
    return NPM_BIN / f"mcp-server-{name}", list(args)


def _pypi(name: str, *args: str) -> tuple[Path, list[str]]:
    return VENV_BIN / f"mcp-server-{name}", list(args)


# The id of a server in the catalog, and what to run in a scratch directory of its own.
COMMANDS = {
    "crm": (Path(sys.executable), [str(REPO / "tests" / "e2e" / "crm_server.py"), "--stdio"]),
    "everything": _npm("everything"),
    "fetch": _pypi("fetch"),
    "filesystem": _npm("filesystem", "."),
    "git": _pypi("git"),
    "memory": _npm("memory"),
    "sequential-thinking": _npm("sequential-thinking"),
    # Its descriptions name the local time zone, which is otherwise the machine's.
    "time": _pypi("time", "--local-timezone", "UTC"),
}


def parameters(server: str, scratch: Path) -> StdioServerParameters:
    """The command for `server`, to be run in the empty directory `scratch`."""
    command, args = COMMANDS[server]
    if not command.exists():
        raise SystemExit(f"`{command}` is missing: run tests/setup.sh first")
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(scratch),
        # The memory server keeps its graph in a file; a relative one would land in node_modules.
        "MEMORY_FILE_PATH": str(scratch / "memory.jsonl"),
    }
    if server == "git":
        subprocess.run(["git", "init", "--quiet", str(scratch)], check=True, env=environment)
    return StdioServerParameters(command=str(command), args=args, env=environment, cwd=scratch)
