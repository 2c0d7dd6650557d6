"""The journey page: what it offers, saves, flags and previews, by forms as a browser without script sends them."""

from __future__ import annotations

import asyncio
import re

import pytest

from campana.channels.contract import VendorTemplate
from campana.core.draft import Draft, DraftStep
from campana.engine import workbench
from campana.engine.readings import Place
from campana.store import accounts, audit, suppressions, templates
from campana.web.console.page import number
from tests.engine.conftest import world, worlds  # noqa: F401 - fixtures
from tests.web.forms import filled
from tests.web.studio import PEOPLE, Studio, options, press


@pytest.fixture
async def studio(world):  # noqa: F811
    studio = Studio(world)
    await studio.begin()
    return studio


@pytest.fixture
async def http(studio):
    async with studio.as_user() as http:
        yield http


def words(html: str) -> str:
    """What is read on a page."""
    return " ".join(re.sub(r"<[^>]+>", " ", html).split())


def preview(html: str) -> str:
    """What the preview says."""
    return words(html[html.index('id="preview"') : html.index('class="test-box"')])


async def built(http, studio, text="Hi {{name}}, your {{plan}} plan"):
    """An SMS as the primary message."""
    path = f"{studio.home}/journey"
    answer = await press(http, path, "journey", s1__sender=studio.senders["sms"], do="save")
    return await press(http, path, "journey", answer.text, s1__text=text, do="save")


async def test_an_empty_draft_opens_without_reproach(http, studio):
    page = await http.get(f"{studio.home}/journey")
    assert page.status_code == 200
    assert "Choose what the message is sent with" not in page.text
    assert "This step says nothing yet." in preview(page.text)


async def test_only_senders_in_use_are_offered(http, studio):
    await studio.write(lambda c: accounts.senders(c, studio.workspace_id))
    page = (await http.get(f"{studio.home}/journey")).text
    assert sorted(options(page, "s1.sender")) == sorted(["", studio.senders["sms"], studio.senders["wa"]])
    await studio.write(_switch_off, studio.senders["sms"])
    page = (await http.get(f"{studio.home}/journey")).text
    assert options(page, "s1.sender") == ["", studio.senders["wa"]]


def _switch_off(c, sender: str) -> None:
    from sqlalchemy import update

    from campana.store.schema import sender as table

    c.execute(update(table).where(table.c.id == bytes.fromhex(sender)).values(active=False))


async def test_what_is_typed_is_kept_and_found_again(http, studio):
    await built(http, studio)
    kept = (await studio.draft()).draft.steps[0]
    assert (kept.sender, kept.text) == (studio.senders["sms"], "Hi {{name}}, your {{plan}} plan")
    page = (await http.get(f"{studio.home}/journey")).text
    assert ">Hi {{name}}, your {{plan}} plan</textarea>" in page


@pytest.mark.parametrize("parts", [True, False])
async def test_a_text_that_is_too_long_stays_in_the_form_and_is_not_saved(http, studio, parts):
    await built(http, studio, "Short")
    path = f"{studio.home}/journey"
    await press(http, path, "journey", do="add:fallback")
    version = (await studio.draft()).version
    data = filled((await http.get(path)).text, "journey", s1__text="x" * 10_001, s2__sender=studio.senders["sms"])
    answer = await http.post(path, data=data | {"do": "exit"}, headers={"HX-Request": "true"} if parts else {})
    told = words(answer.text)
    assert answer.status_code == (201 if parts else 422)
    assert "The text has 10,001 characters; 10,000 are possible. Shorten it." in told
    assert "Not saved" in told
    if not parts:
        assert ">" + "x" * 10_001 + "</textarea>" in answer.text
        assert f'value="{studio.senders["sms"]}" selected' in answer.text[answer.text.index('id="s2-sender"') :]
        assert '<a href="#s1-text">' in answer.text
    kept = await studio.draft()
    assert (kept.version, kept.draft.steps[0].text) == (version, "Short")


async def test_looking_at_previews_is_no_change(http, studio):
    await built(http, studio)
    version = (await studio.draft()).version
    for do in ("as:2", "shown:all", "save"):
        await press(http, f"{studio.home}/journey", "journey", do=do)
    assert (await studio.draft()).version == version


async def test_the_preview_shows_what_each_person_gets(http, studio):
    await built(http, studio)
    path = f"{studio.home}/journey"
    first = preview((await http.get(path)).text)
    assert "Row 1 +12125550101" in first
    assert "Hi Ana, your gold plan" in first
    assert "GSM7 · 22 characters · 1 segment" in first
    second = preview((await http.get(path + "?as=2125550102")).text)
    assert "Hi Bruno, your plan" in second
    assert "Empty for this person: plan" in second
    third = preview((await http.get(path + "?as=3")).text)
    assert "Skipped: this person has no phone number. The next step has its turn." in third
    again = await press(
        http, path, "journey", (await http.get(path + "?as=2125550102")).text, s1__text="Hello {{name}}", do="save"
    )
    assert "Hello Bruno" in preview(again.text)
    other = await press(http, path, "journey", again.text, do="save", **{"as": "+12125550101"})
    assert "Hello Ana" in preview(other.text)
    nobody = preview((await http.get(path + "?as=99")).text)
    assert "Nobody was found; this is the first person. " in nobody


@pytest.mark.parametrize(("asked", "row"), [("2", 2), ("+12125550102", 2)])
async def test_the_preview_says_that_a_row_is_not_in_the_audience(http, studio, asked, row):
    await built(http, studio)
    place, audience_id = Place(studio.workspace_id, studio.campaign_id), (await studio.draft()).audience_id
    await workbench.change(studio.world.house, place, audience_id, row, "drop", {}, lambda c: None)
    told = preview((await http.get(f"{studio.home}/journey", params={"as": asked})).text)
    assert f"Row {row} is not in the audience: dropped by hand." in told
    assert "What you see is another person, row 3." in told
    assert "Nobody was found" not in told


async def test_the_preview_shows_nobody_when_all_are_left_out(world):  # noqa: F811
    studio = Studio(world)
    await studio.begin(people=({"name": "Bad", "phone": "12"},))
    async with studio.as_user() as http:
        told = preview((await http.get(f"{studio.home}/journey?as=1")).text)
    assert "Row 1 is not in the audience: too few digits." in told
    assert "Nobody of the audience can be written to yet." in told


async def test_the_preview_knows_who_wants_no_messages(http, studio):
    await built(http, studio)
    barred = (studio.workspace_id, ["+12125550101"], "sms", studio.world.clock.now(), "keyword", "STOP")
    await studio.write(suppressions.suppress, *barred)
    assert "asked for no messages on this channel" in preview((await http.get(f"{studio.home}/journey")).text)


async def test_a_template_asks_for_its_fields_and_says_what_is_missing(http, studio):
    path = f"{studio.home}/journey"
    page = await press(http, path, "journey", s1__sender=studio.senders["wa"], do="save")
    offered = options(page.text, "s1.template")
    assert "en_US:visit_reminder" in offered
    page = await press(http, path, "journey", page.text, s1__template="en_US:visit_reminder", do="save")
    assert "Hi [first_name], we expect you on [appointment_date]." in preview(page.text)
    assert options(page.text, "s1.value.first_name") == [
        "", "{{name}}", "{{phone}}", "{{plan}}", "{{city}}", "{{email}}", "own"
    ]  # fmt: skip
    stopped = await press(http, path, "journey", page.text, do="continue")
    assert stopped.status_code == 422
    assert "Choose what fills {{first_name}}." in words(stopped.text)
    page = await press(
        http, path, "journey", stopped.text, s1__value__first_name="{{name}}", s1__value__appointment_date="own", do="save"
    )
    page = await press(http, path, "journey", page.text, s1__own__appointment_date="Monday in {{city}}", do="save")
    assert "Hi Ana, we expect you on Monday in Lima." in preview(page.text)
    on = await press(http, path, "journey", page.text, do="continue")
    assert (on.status_code, on.headers["location"]) == (303, f"{studio.home}/review")


@pytest.mark.parametrize(
    ("language", "told"),
    [
        ("en", ["Header: {{1}}", "Button 1: end of the link", "Choose what fills Button 1: end of the link."]),
        ("pt_BR", ["Cabeçalho: {{1}}", "Botão 1: fim do link"]),
        ("es", ["Encabezado: {{1}}", "Botón 1: final del enlace"]),
    ],
)
async def test_the_parts_of_a_template_are_named_in_words(http, studio, language, told):
    link = {"type": "URL", "text": "See", "url": "https://example.com/{{1}}"}
    parts = (
        {"type": "HEADER", "format": "TEXT", "text": "For {{1}}"},
        {"type": "BODY", "text": "Hi"},
        {"type": "BUTTONS", "buttons": [link]},
    )
    known = VendorTemplate("with_button", "en_US", "APPROVED", "UTILITY", "POSITIONAL", parts, "77")
    await studio.write(templates.put_templates, studio.workspace_id, _integration(studio), [known], studio.world.clock.now())
    step = {"key": "s1", "kind": "primary", "sender": studio.senders["wa"], "template": "with_button", "language": "en_US"}
    await studio.begin(Draft(steps=(DraftStep(**step),)), name="Named")
    page = words((await http.get(f"{studio.home}/journey", params={"check": 1, "lang": language}, follow_redirects=True)).text)
    for one in told:
        assert one in page
    assert "button.0" not in page


async def test_templates_that_are_not_approved_are_neither_offered_nor_taken(http, studio):
    path = f"{studio.home}/journey"
    step = DraftStep(key="s1", kind="primary", sender=studio.senders["wa"], template="visit_reminder", language="en_US")
    version = (await studio.draft()).version
    author = (await studio.draft()).changed_by
    from campana.store import drafts

    await studio.write(
        drafts.save, studio.workspace_id, studio.campaign_id, version, Draft(steps=(step,)), drafts.Author(None, author), 1
    )
    change = (_integration(studio), "visit_reminder", "en_US", "PAUSED", None, studio.world.clock.now())
    await studio.write(templates.change_template, *change)
    page = (await http.get(path)).text
    assert options(page, "s1.template")[-1] == "en_US:visit_reminder"  # as what was chosen, no more as a choice
    assert len([one for one in options(page, "s1.template") if one == "en_US:visit_reminder"]) == 1
    assert "is not approved any more (PAUSED)" in words(page)
    assert (await press(http, path, "journey", do="continue")).status_code == 422


def _integration(studio):
    house = studio.world.house
    return next(account.id for account in house.accounts.values() if account.channel.kind == "whatsapp")


async def test_steps_are_added_moved_and_removed_with_what_was_typed(http, studio):
    path = f"{studio.home}/journey"
    await built(http, studio)
    added = await press(http, path, "journey", s1__text="Changed", do="add:fallback")
    assert (added.status_code, added.headers["location"]) == (303, f"{path}#s2")
    await press(http, path, "journey", s2__sender=studio.senders["sms"], do="add:fallback")
    await press(http, path, "journey", do="add:follow_up")
    await press(http, path, "journey", s4__after="3", do="up:s3")
    kept = (await studio.draft()).draft
    assert [step.key for step in kept.steps] == ["s1", "s3", "s2", "s4"]
    assert (kept.step("s1").text, kept.step("s4").after) == ("Changed", 3)
    await press(http, path, "journey", do="remove:s3")
    assert [step.key for step in (await studio.draft()).draft.steps] == ["s1", "s2", "s4"]


async def test_the_timeline_tells_all_steps_in_their_turn(http, studio):
    path = f"{studio.home}/journey"
    await built(http, studio)
    await press(http, path, "journey", do="add:fallback")
    page = await press(http, path, "journey", s2__sender=studio.senders["sms"], do="save")
    await press(http, path, "journey", page.text, s1__deadline="6", s2__text="Second", do="add:follow_up")
    page = await press(http, path, "journey", do="shown:all")
    told = preview(page.text)
    assert "If nothing was delivered: at once when it fails, else after 6 hours" in told
    assert "1 day after the delivery, if nobody answered" in told
    assert told.index("Hi Ana") < told.index("Second")


async def test_a_step_that_is_off_says_so_and_stops_nobody(http, studio):
    path = f"{studio.home}/journey"
    await built(http, studio)
    await press(http, path, "journey", do="add:fallback")
    page = await press(http, path, "journey", s2__on=None, do="shown:s2")
    assert "This step is off. Nothing is sent." in preview(page.text)
    assert (await press(http, path, "journey", do="continue")).status_code == 303


async def test_a_column_that_vanished_is_flagged_where_it_is_used(http, studio):
    await built(http, studio, "Hi {{name}}, see you in {{town}}")
    page = await http.get(f"{studio.home}/journey")
    assert "The audience has no column “town”." in words(page.text)
    stopped = await press(http, f"{studio.home}/journey", "journey", do="continue")
    assert 'href="#s1-text"' in stopped.text


async def test_of_two_editors_the_second_may_keep_theirs_or_take_the_others(studio):
    path = f"{studio.home}/journey"
    async with studio.as_user("ana") as ana, studio.as_user("berta") as berta:
        await built(ana, studio, "First")
        ours = (await ana.get(path)).text
        await press(berta, path, "journey", s1__text="By Berta", do="add:fallback")
        answer = await press(ana, path, "journey", ours, s1__text="By Ana", do="save")
        assert "berta@example.com changed this campaign at" in words(answer.text)
        assert ">By Ana</textarea>" in answer.text
        assert "By Berta" in answer.text
        assert (await studio.draft()).draft.steps[0].text == "By Berta"
        still = await press(ana, path, "journey", answer.text, s1__text="By Ana!", do="save")
        assert "changed this campaign" in words(still.text)
        keep = re.search(r'name="do" value="(mine:\d+)"', still.text)[1]
        await press(ana, path, "journey", still.text, do=keep)
    kept = (await studio.draft()).draft
    assert [step.text for step in kept.steps] == ["By Ana!"]


async def test_a_part_of_the_page_gets_parts(http, studio):
    await built(http, studio)
    page = (await http.get(f"{studio.home}/journey")).text
    data = filled(page, "journey", s1__text="Hello {{name}}")
    answer = await http.post(f"{studio.home}/journey", data=data, headers={"HX-Request": "true"})
    assert "<html" not in answer.text
    assert "Hello Ana" in answer.text
    assert "Saved at" in answer.text
    assert f'value="{(await studio.draft()).version}" data-version' in answer.text


async def test_a_test_message_says_what_the_preview_says(http, studio):
    path = f"{studio.home}/journey"
    await built(http, studio)
    page = await press(http, path, "journey", do="as:2")
    sent = await press(http, path, "journey", page.text, to="+12125550177", do="test")
    assert "Sent to +12125550177." in words(sent.text)
    assert studio.world.sent_to("+12125550177") == [("twilio", "Hi Bruno, your  plan")]
    before = len(studio.world.accepted())
    twice = [press(http, path, "journey", page.text, to="+12125550178", do="test") for _ in range(2)]
    assert all("Sent to +12125550178." in words(one.text) for one in await asyncio.gather(*twice))
    assert len(studio.world.accepted()) == before + 1
    log = await studio.world.house.db.read(audit.entries, studio.workspace_id, what="integration.tested")
    assert [one.who for one in log] == ["ana@example.com"] * 2
    wrong = await press(http, path, "journey", page.text, to="12", do="test")
    assert "Write the number with its country code" in words(wrong.text)


async def test_without_an_audience_the_page_says_what_comes_first(world):  # noqa: F811
    studio = Studio(world)
    await studio.begin(people=())
    async with studio.as_user() as http:
        page = await built(http, studio)
    assert "There is no audience yet" in preview(page.text)


async def test_a_draft_of_another_workspace_is_not_there(http, studio):
    assert (await http.get(f"/campaigns/{'0' * 32}/journey")).status_code == 404
    assert (await http.get("/campaigns/none/journey")).status_code == 404
    assert len(PEOPLE) == 3


@pytest.mark.parametrize(
    ("text", "found"),
    [("12", 12), (" 7 ", 7), ("", 0), ("²", 0), ("٣", 0), ("-1", 0), ("1" * 5000, 0), ("2147483648", 0), (None, 0), ("1.5", 0)],
)
def test_a_number_of_a_form_is_one_or_none(text, found):
    assert number(text) == found


@pytest.mark.parametrize("odd", ["²", "1" * 5000, "-1", "٣"])
async def test_odd_numbers_break_no_page(http, studio, odd):
    await built(http, studio)
    path = f"{studio.home}/journey"
    assert (await http.get(path, params={"as": odd})).status_code == 200
    for page, form in ((path, "journey"), (f"{studio.home}/review", "review"), (f"{studio.home}/setup", "setup")):
        typed = filled((await http.get(page)).text, form)
        typed |= {"version": odd, "s1.deadline": odd, "s1.after": odd, "do": f"mine:{odd}"}
        assert (await http.post(page, data=typed)).status_code < 500
    for page in (f"/campaigns?page={odd}", f"{studio.home}/audience?from={odd}&edit={odd}&until={odd}&done=save:{odd}"):
        assert (await http.get(page)).status_code == 200


@pytest.mark.parametrize(
    ("text", "language", "told"),
    [
        ("Hi {name}", "en", "“{name}” has single braces and is sent as it stands. For the column write {{name}}."),
        ("Hi {name}", "es", "“{name}” tiene llaves simples y se envía tal cual."),
        ("Hi {{name", "pt_BR", "“{{name” abre um campo que não é fechado e é enviado como está."),
        ("{{plan}}", "es", "El texto está vacío para esta persona."),
        ("{{name}}" + "x" * 1700, "pt_BR", "O texto tem 1.705 caracteres para esta pessoa; 1.600 são possíveis."),
    ],
)
async def test_what_a_channel_says_of_a_text_is_said_in_the_readers_language(http, studio, text, language, told):
    await built(http, studio, text)
    http.cookies.set("lang", language)
    assert told in words((await http.get(f"{studio.home}/journey?as=2")).text)
