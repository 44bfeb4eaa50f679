"""The bodies of tests/data/malformed.json for a server's own tools, and raw sessions to send them in.
Never sends a body in a better form than it has.
"""

import http.client
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

MALFORMED = Path(__file__).resolve().parents[1] / "data" / "malformed.json"
ANSWER_S = 10
INITIALIZE = {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "raw", "version": "1"}}


def bodies(**names: str) -> Iterator[tuple[str, bytes]]:
    """Each body with what it is; what the good message says is said in other words."""
    file = json.loads(MALFORMED.read_text(encoding="utf-8"))
    good = file["good"]
    for case in file["bodies"]:
        text = case["body"].replace("@", good) if "body" in case else good.replace(case["from"], case["to"], 1)
        for old, new in names.items():
            text = text.replace(old, new)
        yield case["what"], text.encode(case.get("as", "utf-8"))


class RawSession:
    """A session of the older era over one connection, by a client that sends whatever it is told to."""

    def __init__(self, url: str, headers: dict[str, str]) -> None:
        self._at = urlsplit(url)
        self._connection = http.client.HTTPConnection(self._at.netloc, timeout=ANSWER_S)
        self.headers = {"content-type": "application/json", "accept": "application/json, text/event-stream"} | headers
        status, said, answer = self.post(message(1, "initialize", **INITIALIZE))
        assert status == 200, answer
        self.headers["mcp-session-id"] = said["mcp-session-id"]
        status, _, answer = self.post(message(None, "notifications/initialized"), mcp_protocol_version="2025-11-25")
        assert status == 202, answer

    def post(self, body: bytes, *also: tuple[str, str], **headers: str) -> tuple[int, dict[str, str], bytes]:
        """Sends a body. The names of headers are written with `_`, and an empty one takes a header out; `also` come on top of those
        that are there, as they are."""
        sent = self.headers | {name.replace("_", "-"): value for name, value in headers.items()}
        return self.send("POST", [(name, value) for name, value in sent.items() if value] + list(also), body)

    def send(self, method: str, headers: list[tuple[str, str]], body: bytes = b"") -> tuple[int, dict[str, str], bytes]:
        connection = self._connection
        connection.putrequest(method, self._at.path, skip_accept_encoding=True)
        if body or method == "POST":
            headers = [*headers, ("content-length", str(len(body)))]
        for name, value in headers:
            connection.putheader(name, value)
        connection.endheaders(body)
        answer = connection.getresponse()
        said = {name.lower(): value for name, value in answer.getheaders()}
        return answer.status, said, answer.read()


def message(number: int | None, method: str, **params: Any) -> bytes:
    """A request, or a notification."""
    body: dict[str, Any] = {"jsonrpc": "2.0"} | ({} if number is None else {"id": number}) | {"method": method}
    return json.dumps(body | ({"params": params} if params else {})).encode()
