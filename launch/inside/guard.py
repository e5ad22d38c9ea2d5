"""Keeps a ComfyUI for one command. It runs in ComfyUI's own process and uses what ComfyUI brings."""

import functools
import hmac

from aiohttp import web


def answer_only_to(token: str) -> None:
    """Have the web applications of this process refuse every request that does not say the token."""

    @web.middleware
    async def door(request, handler):  # noqa: ANN001, ANN202  (aiohttp calls it)
        if not hmac.compare_digest(request.headers.get("Authorization", "").encode(), f"Bearer {token}".encode()):
            raise web.HTTPUnauthorized(text="This ComfyUI works for one command alone.")
        return await handler(request)

    usual = web.Application.__init__

    @functools.wraps(usual)
    def with_door(self, *given, middlewares=(), **options) -> None:  # noqa: ANN001, ANN002, ANN003
        usual(self, *given, middlewares=(door, *middlewares), **options)

    web.Application.__init__ = with_door
