"""The gRPC stubs of proto/palisade/v1, generated on first use below target/.
Never committed, never stale: the folder is named after the digest of the files they came from.
"""

import hashlib
import os
import shutil
import sys
import tempfile
from importlib import resources
from pathlib import Path

from grpc_tools import protoc

REPO = Path(__file__).resolve().parents[2]
PROTO_ROOT = REPO / "proto"
PROTOS = [PROTO_ROOT / "palisade" / "v1" / f"{name}.proto" for name in ("authorization", "search")]


def _generated() -> Path:
    digest = hashlib.sha256(b"".join(proto.read_bytes() for proto in PROTOS)).hexdigest()[:16]
    stubs = REPO / "target" / "e2e" / f"stubs-{digest}"
    if stubs.exists():
        return stubs
    stubs.parent.mkdir(parents=True, exist_ok=True)
    fresh = Path(tempfile.mkdtemp(dir=stubs.parent))
    well_known = resources.files("grpc_tools") / "_proto"
    places = [f"-I{PROTO_ROOT}", f"-I{well_known}", f"--python_out={fresh}", f"--grpc_python_out={fresh}"]
    if protoc.main(["protoc", *places, *map(str, PROTOS)]) != 0:
        raise RuntimeError(f"protoc failed on {PROTO_ROOT}")
    try:
        os.replace(fresh, stubs)
    except OSError:  # another process was quicker
        shutil.rmtree(fresh)
    return stubs


sys.path.insert(0, str(_generated()))

from palisade.v1 import authorization_pb2 as pb  # noqa: E402
from palisade.v1 import authorization_pb2_grpc as rpc  # noqa: E402

__all__ = ["pb", "rpc"]
