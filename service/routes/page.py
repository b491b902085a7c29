"""GET / and /page/…: the playground, plain files that need nothing from elsewhere."""

from __future__ import annotations

from pathlib import Path

from fastapi import APIRouter, Response

from service.echo import cut
from service.errors import ApiError

FOLDER = Path(__file__).parents[1] / "page"
MEDIA_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
}
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


def page_routes() -> APIRouter:
    router = APIRouter(include_in_schema=False)
    # Read once: nothing a request says becomes part of a path.
    files = {
        file.name: (file.read_bytes(), MEDIA_TYPES[file.suffix])
        for file in FOLDER.iterdir()
        if file.suffix in MEDIA_TYPES
    }

    def answer(name: str) -> Response:
        if name not in files:
            there = f"there is nothing at /page/{cut(name)}; see /docs for the routes"
            raise ApiError(404, "unknown_path", there)
        content, kind = files[name]
        headers = {"Content-Security-Policy": POLICY, "Cache-Control": "no-cache"}
        return Response(content, headers=headers, media_type=kind)

    @router.get("/")
    async def page() -> Response:
        return answer("index.html")

    @router.get("/page/{name}")
    async def part(name: str) -> Response:
        return answer(name)

    return router
