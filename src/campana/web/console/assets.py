"""The console's built assets: hashed files, sent precompressed where the browser takes it, and cached for good."""

from __future__ import annotations

import json
import mimetypes
from pathlib import Path
from typing import Any

from litestar import Request, Response, get
from litestar.exceptions import NotFoundException
from litestar.params import FromPath

DIST = Path(__file__).parent / "static" / "dist"
PREFIX = "/static"
CODINGS = (("br", ".br"), ("gzip", ".gz"))
FOR_GOOD = {"cache-control": "public, max-age=31536000, immutable", "vary": "accept-encoding"}


class AssetsMissing(RuntimeError):
    """The package was put together without its build step."""


def manifest(folder: Path = DIST) -> dict[str, str]:
    """Asset name -> its address; raises AssetsMissing where nothing was built."""
    try:
        names: dict[str, str] = json.loads((folder / "manifest.json").read_text("utf-8"))
    except FileNotFoundError as error:
        raise AssetsMissing("The console's assets are not built. Run 'pip install -e .' in the source folder.") from error
    return {name: f"{PREFIX}/{file}" for name, file in names.items()}


@get(PREFIX + "/{name:str}", needs=None, include_in_schema=False, sync_to_thread=True, uncompressed=True)
def asset(request: Request[Any, Any, Any], name: FromPath[str]) -> Response[bytes]:
    """One built file; the folder is flat, so a name with a path in it is no name."""
    file = DIST / name
    kind = mimetypes.guess_type(name)[0] or "application/octet-stream"
    if Path(name).name != name or file.suffix in {".br", ".gz", ".json", ".txt"} or not file.is_file():
        raise NotFoundException
    accepted = request.headers.get("accept-encoding", "")
    for coding, suffix in CODINGS:
        packed = file.with_name(name + suffix)
        if coding in accepted and packed.is_file():
            return Response(packed.read_bytes(), media_type=kind, headers={**FOR_GOOD, "content-encoding": coding})
    return Response(file.read_bytes(), media_type=kind, headers=FOR_GOOD)
