"""The top of every page: what is being sent at this moment, and whether everything is stopped."""

from __future__ import annotations

from litestar import MediaType, Response, get

from campana.core.access import Permission
from campana.store import campaign_list
from campana.store.campaign_list import Sending
from campana.web.console.page import AnyRequest, Desk
from campana.web.visitor import Visitor


@get("/bar", needs=Permission.VIEW, include_in_schema=False)
async def bar(request: AnyRequest) -> Response[str]:
    """Both as fragments, which pages ask for now and then while somebody looks at them."""
    desk, visitor = Desk.of(request), Visitor.of(request)
    sending: Sending = await desk.console.read(campaign_list.sending, visitor.workspace_id)
    html = desk.templates(request).get_template("_bar.html").render(sending=sending, visitor=visitor)
    return Response(html, media_type=MediaType.HTML, headers={"cache-control": "no-store"})
