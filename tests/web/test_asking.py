"""What forms and addresses hold can be kept by every database: no NUL, and no half of a surrogate pair."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from litestar.handlers import HTTPRouteHandler

from campana.core.access import Role
from campana.web import console
from campana.web.app import ROUTES
from campana.web.asking import holdable
from tests.engine.conftest import world, worlds  # noqa: F401 - fixtures
from tests.web.studio import Studio, _join

TEMPLATES = Path(console.__file__).parent / "templates"
FORMS = sorted({path for route in ROUTES if "POST" in route.http_methods for path in route.paths} - {"/sign-out"})
NAMED = re.compile(r'name="([\w.-]+)"|field\("([\w-]+)"')
NAMES = sorted({first or second for page in TEMPLATES.glob("*.html") for first, second in NAMED.findall(page.read_text())})
MORE = ["s1.here", "s1.text", "s1.sender", "s1.template", "s1.value.x", "s1.own.x", "do", "role-0", "name-0", "cell-0", "people"]
ODD = "+12125550101\x00a\ud800@example.com"
BOUNDARY = "part-of-a-form"


@pytest.fixture
async def studio(world):  # noqa: F811
    studio = Studio(world)
    await studio.begin()
    await studio.write(_join, studio.workspace_id, "olga", Role.OWNER, world.clock.now())
    return studio


def multipart(fields: dict[str, str]) -> bytes:
    """A form in an encoding in which halves of pairs can be written."""
    head = f"--{BOUNDARY}\r\nContent-Type: text/plain; charset=utf-7\r\nContent-Disposition: form-data; name="
    parts = [head.encode() + f'"{name}"\r\n\r\n'.encode() + value.encode("utf-7") for name, value in fields.items()]
    return b"\r\n".join(parts) + f"\r\n--{BOUNDARY}--\r\n".encode()


def test_what_can_be_kept_stays_as_it_is():
    assert holdable("São Paulo 🎉\n{{name}}") == "São Paulo 🎉\n{{name}}"
    assert holdable("a\x00b\ud800c\udfffd") == "ab\ufffdc\ufffdd"


def test_no_handler_reads_its_request_in_another_way():
    assert [route for route in ROUTES if isinstance(route, HTTPRouteHandler) and route.request_class is not None] == []


@pytest.mark.both_databases
async def test_no_form_breaks_at_texts_that_a_database_refuses(studio):
    async with studio.as_user("olga") as http:
        page = (await http.get("/campaigns", params={"q": ODD.replace("\ud800", ""), "tag": "\x00"})).text
        assert (await http.get(f"{studio.home}/journey", params={"as": "a\x00@example.com"})).status_code == 200
        assert (await http.get("/settings/opt-outs", params={"q": "\x00", "after": "\x00"})).status_code == 200
        assert "Campaigns" in page
        journey = (await http.get(f"{studio.home}/journey")).text
        token = re.search(r'name="_csrf_token" value="([^"]+)"', journey)[1]
        form = dict.fromkeys((*NAMES, *MORE), ODD) | {"s1.here": "primary", "version": "1", "_csrf_token": token}
        form = {name: text for name, text in form.items() if name not in ("_workspace", "file")}
        headers = {"content-type": f"multipart/form-data; boundary={BOUNDARY}"}
        for do in (ODD, "save", "exit"):
            for path in FORMS:
                where = re.sub(r"\{\w+:int\}", "1", path.replace("{campaign:str}", studio.campaign_id.hex()))
                where = re.sub(r"\{\w+:str\}", "0" * 32, where)
                if not where.endswith("/delete"):
                    answer = await http.post(where, content=multipart(form | {"do": do}), headers=headers)
                    assert answer.status_code < 500, where
    kept = (await studio.draft()).draft.steps[0]
    assert kept.text == ODD.replace("\x00", "").replace("\ud800", "\ufffd")


async def test_a_form_that_is_not_in_the_encoding_it_names_is_refused(studio):
    async with studio.as_user("ana") as http:
        for charset, text in (("none-such", b"x"), ("utf-8", b"\xff")):
            part = f'--{BOUNDARY}\r\nContent-Type: text/plain; charset={charset}\r\nContent-Disposition: form-data; name="a"'
            body = part.encode() + b"\r\n\r\n" + text + f"\r\n--{BOUNDARY}--\r\n".encode()
            headers = {"content-type": f"multipart/form-data; boundary={BOUNDARY}"}
            assert (await http.post(f"{studio.home}/journey", content=body, headers=headers)).status_code == 400
