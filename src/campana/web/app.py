"""The web side as one ASGI application: webhooks go to the gateway, everything else is the console."""

from __future__ import annotations

import asyncio
import hashlib
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import structlog
from litestar import Litestar, MediaType, Response
from litestar.config.compression import CompressionConfig
from litestar.config.csrf import CSRFConfig
from litestar.datastructures import MutableScopeHeaders, State
from litestar.enums import ScopeType
from litestar.exceptions import HTTPException
from litestar.response import Redirect
from litestar.types import ASGIApp, Message, Receive, Scope, Send

from campana.web.access import NobodyYet, NotAllowed, base_of, entrance, entrance_for, guard, require_needs, wants_page
from campana.web.asking import PlainRequest
from campana.web.bodies import bounded
from campana.web.console import (
    account,
    assets,
    audience_file,
    audit,
    bar,
    campaign_deeds,
    campaigns,
    careful,
    connect,
    drafts,
    errors,
    integrations,
    journey,
    links,
    messages,
    missed,
    optouts,
    people,
    progress,
    provider,
    report_mails,
    reports,
    review,
    run_people,
    saved_views,
    senders,
    settings,
    setup,
    signin,
    stop,
    timeline,
    trials,
    workbench,
)
from campana.web.console.i18n import compile_all
from campana.web.console.page import Actions, AnyRequest, Console, Desk, Face, Refused, draw, open_desk
from campana.web.health import Health, measured, probed
from campana.web.listen import PortTaken, serve_until
from campana.web.live import Live
from campana.web.visitor import Visitor

__all__ = ["Actions", "Application", "Console", "Face", "PortTaken", "Refused", "create_app", "serve"]

log = structlog.get_logger(__name__)
HOOKS = "/hooks/"
ROUTES = (
    assets.asset,
    signin.sign_in_page,
    signin.sign_in,
    signin.sign_in_code,
    signin.sign_out,
    provider.go_there,
    provider.come_back,
    signin.forgotten_page,
    signin.forgotten,
    links.link_page,
    links.use_link,
    account.account_page,
    account.describe,
    account.change_password,
    account.new_second_factor,
    account.set_second_factor,
    account.new_recovery_codes,
    account.drop_second_factor,
    account.end_session,
    account.end_others,
    settings.settings_page,
    settings.change,
    settings.new_page,
    settings.new,
    settings.open_workspace,
    people.people_page,
    people.invite,
    people.revoke,
    people.set_role,
    people.remove,
    people.reset,
    people.drop_second_factor,
    audit.audit_page,
    errors.error_codes,
    errors.error_code,
    campaigns.home,
    campaigns.campaigns,
    campaigns.campaigns_stream,
    campaign_deeds.pause_many,
    campaign_deeds.resume_many,
    campaign_deeds.archive_many,
    campaign_deeds.restore_many,
    bar.bar,
    progress.progress,
    progress.progress_stream,
    audience_file.audience,
    progress.pause,
    progress.resume,
    progress.finish,
    careful.send_to_all,
    run_people.run_people,
    timeline.timeline,
    messages.messages,
    messages.messages_csv,
    messages.campaign_messages,
    messages.campaign_messages_csv,
    messages.message,
    stop.stop_page,
    stop.stop,
    stop.lift,
    reports.report_page,
    reports.report_csv,
    report_mails.mails_page,
    report_mails.add_mail,
    report_mails.edit_mail,
    report_mails.pause_mail,
    report_mails.resume_mail,
    report_mails.delete_mail,
    report_mails.send_now,
    saved_views.views_page,
    saved_views.keep_view,
    saved_views.rename_view,
    saved_views.delete_view,
    optouts.optouts,
    optouts.add_optouts,
    optouts.lift_optout,
    integrations.integrations_page,
    integrations.integration_page,
    integrations.check_now,
    integrations.turn_off,
    integrations.turn_on,
    integrations.delete_integration,
    connect.connect_page,
    connect.connect,
    connect.edit_page,
    connect.edit,
    senders.new_sender,
    senders.add_sender,
    senders.sender_page,
    senders.change_sender,
    senders.remove_sender,
    senders.resume_sender,
    trials.templates_page,
    trials.sync,
    trials.send_test,
    drafts.new_draft,
    drafts.duplicate,
    missed.missed_page,
    missed.make_draft,
    missed.copying,
    missed.go_on_copying,
    drafts.ask_to_delete,
    drafts.delete,
    journey.journey,
    journey.save_journey,
    review.review,
    review.save_review,
    review.launch,
    review.unschedule,
    setup.setup,
    setup.keep_name,
    setup.save_setup,
    setup.upload,
    setup.quick_add,
    workbench.workbench,
    workbench.bench,
    workbench.change_row,
    workbench.change_rows,
    workbench.read_again,
    workbench.problems_csv,
    workbench.template_csv,
)
POLICY = "; ".join(
    (
        "default-src 'self'",
        "img-src 'self' data:",  # the kit's own shapes
        "object-src 'none'",
        "base-uri 'none'",
        "form-action 'self'",
        "frame-ancestors 'none'",
    )
)
HEADERS = {
    "content-security-policy": POLICY,
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=()",
}


class OtherWorkspace(Exception):
    """A form of one workspace came while another is open. Go back, reload the page and fill it again."""


@dataclass(frozen=True)
class Application:
    """The whole web side. Its streams end when they are told to, so that a server can stop."""

    asgi: ASGIApp
    live: Live

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self.asgi(scope, receive, send)


def create_app(
    console: Console,
    live: Live | None = None,
    guard: Callable[[ASGIApp], ASGIApp] = lambda app: app,
    health: Health | None = None,
) -> Application:
    """Puts gateway and console together. What is not asked of a loopback name reaches the gateway and the probes only."""
    live = live or Live(console.changed)
    pages = bounded(_pages(open_desk(console, live), console.secret), console)
    pages = secured(entrance(pages, console), console.public_url)
    rest = guard(pages) if health is None else probed(health, measured(health, guard(pages)))
    return Application(_front(console.gateway, rest), live)


def _pages(desk: Desk, secret: str) -> ASGIApp:
    # The name holds a piece of the secret: a cookie of another server on this machine, or of this one before it was
    # started anew, is then no cookie of ours, and a fresh one is given.
    name = "form-" + hashlib.sha256(secret.encode()).hexdigest()[:8]
    require_needs(ROUTES)
    return Litestar(
        route_handlers=list(ROUTES),
        request_class=PlainRequest,
        guards=[guard],
        before_request=same_workspace,
        state=State({"desk": desk}),
        csrf_config=CSRFConfig(secret=secret, cookie_name=name, cookie_httponly=True, cookie_samesite="strict"),
        compression_config=CompressionConfig(backend="gzip", gzip_compress_level=6, exclude_opt_key="uncompressed"),
        exception_handlers={
            NobodyYet: _nobody,
            NotAllowed: _not_allowed,
            Refused: _refused,
            OtherWorkspace: _other_workspace,
            HTTPException: _http_error,
            Exception: _crashed,
        },
        openapi_config=None,
        logging_config=None,
    )


def _front(gateway: ASGIApp | None, rest: ASGIApp) -> ASGIApp:
    """The gateway is asked before anything else runs."""

    async def front(scope: Scope, receive: Receive, send: Send) -> None:
        hook = scope["type"] == ScopeType.HTTP and scope["path"].startswith(HOOKS)
        await (gateway if hook and gateway is not None else rest)(scope, receive, send)

    return front


def secured(app: ASGIApp, public_url: Callable[[], str]) -> ASGIApp:
    """Puts the security headers on every answer, errors included. Where https is spoken, cookies travel over nothing else."""

    async def wrapped(scope: Scope, receive: Receive, send: Send) -> None:
        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableScopeHeaders.from_message(message)
                for name, value in HEADERS.items():
                    headers[name] = value
                if base_of(scope, public_url()).startswith("https://"):
                    message["headers"] = [(name, _guarded(name, value)) for name, value in message["headers"]]
            await send(message)

        await app(scope, receive, with_headers)

    return wrapped


def _guarded(name: bytes, value: bytes) -> bytes:
    """A header as it goes out; a cookie says that it travels over https only."""
    return value + b"; Secure" if name.lower() == b"set-cookie" and b"; secure" not in value.lower() else value


async def same_workspace(request: AnyRequest) -> None:
    """Refuses a form that was drawn for another workspace: its visitor has opened this one in another tab since."""
    visitor = Visitor.or_none(request)
    if visitor is None or request.method != "POST":
        return
    drawn_for = (await request.form()).get("_workspace")
    if drawn_for and drawn_for != visitor.workspace_id.hex():
        raise OtherWorkspace


def _nobody(request: AnyRequest, error: NobodyYet) -> Response[Any]:
    """People are sent to the sign-in; programs and parts of pages are told."""
    if wants_page(request):
        return Redirect(entrance_for(request), status_code=303)
    return Response("Sign in first.\n", status_code=401, media_type=MediaType.TEXT)


def _not_allowed(request: AnyRequest, error: NotAllowed) -> Response[Any]:
    return draw(request, "error.html", status=403, code="role", sentence="")


def _http_error(request: AnyRequest, error: HTTPException) -> Response[Any]:
    return draw(request, "error.html", status=error.status_code, code=error.status_code, sentence="")


def _refused(request: AnyRequest, error: Refused) -> Response[Any]:
    return draw(request, "error.html", status=409, code=409, sentence=str(error))


def _other_workspace(request: AnyRequest, error: OtherWorkspace) -> Response[Any]:
    return draw(request, "error.html", status=409, code="workspace", sentence="")


def _crashed(request: AnyRequest, error: Exception) -> Response[Any]:
    if isinstance(error, UnicodeError) or (type(error) is LookupError and "encoding" in str(error)):
        return draw(request, "error.html", status=400, code=400, sentence="")  # a form in an encoding that it is not in
    route = request.scope.get("path_template", "")  # an address may hold what opens an account
    log.error("a page failed", route=route, exc_info=error)
    return draw(request, "error.html", status=500, code=500, sentence="")


async def serve(
    app: Application, host: str, port: int, stop: asyncio.Event, bound: Callable[[int], None] = lambda port: None
) -> None:
    """Serves until `stop` is set. `bound` is told the port, once requests are taken. Raises PortTaken when it is not free."""
    threading.Thread(target=compile_all, name="templates", daemon=True).start()
    await serve_until(stop, app, host, port, bound, app.live.stop)
