"""The pages of integrations: forms from the channels, credentials checked with real (stand-in) vendors, secrets kept."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
from sqlalchemy import Connection, select

from campana.channels.contract import VendorTemplate
from campana.channels.registry import channels
from campana.core.access import Role
from campana.core.ids import new_id
from campana.core.preflight import StepFacts
from campana.engine.accounts import hear
from campana.standin.faults import Fault, Faults, Rule
from campana.standin.numbers import person_of
from campana.store import accounts, audit, integrations, senders, suppressions, templates, trials, workspaces
from campana.store.choices import SenderChoice
from campana.store.integrations import Heard
from campana.store.schema import integration
from campana.web.console.review_view import loads
from campana.web.console.senders import country_of, international, read_facts
from campana.web.console.trials import example_of
from tests.web.vendors_world import Place, place

NUMBER = "+15017122661"
PHONE_ID = "106540352242922"
ANA = "+12125550101"
FROM_FILE = {"kind": "twilio_sms", "account_sid": "AC" + "0" * 32, "auth_token": "a-secret-of-the-file"}


@pytest.fixture
async def here(tmp_path: Path) -> AsyncIterator[Place]:
    async with place(tmp_path) as found:
        yield found


def secrets_of(here: Place) -> list[str]:
    account = here.standin.config.whatsapp
    return [account.token, account.app_secret, here.standin.config.twilio.auth_token]


async def test_the_form_is_what_the_channel_declares(here: Place) -> None:
    admin = here.visitor()
    html = (await admin.get("/integrations/connect/whatsapp")).text
    for name in ("token", "app_secret", "verify_token", "waba_id", "version", "base_url"):
        assert f'name="setting-{name}"' in html
    assert html.count('type="password"') == 2
    assert 'value="https://graph.facebook.com"' in html
    assert (await admin.get("/integrations/connect/telegraph")).status_code == 404


async def test_a_setting_that_takes_certain_words_offers_them_and_keeps_the_choice(here: Place) -> None:
    admin = here.visitor()
    html = (await admin.get("/integrations/connect/infobip_sms")).text
    assert html.count("<select") == 5
    assert '<option value="basic" selected>basic</option>' in html
    assert '<option value="">–</option>' in html
    typed = {"api_key": "k", "base_url": "http://127.0.0.1:1", "webhook_security": "hmac_header", "language": "ES"}
    page = await admin.connect("infobip_sms", typed)  # nobody is there
    assert page.status_code == 422
    assert '<option value="hmac_header" selected>' in page.text
    again = {f"setting-{name}": value for name, value in typed.items() if name != "api_key"}  # what is secret is held
    page = await admin.post("/integrations/connect/infobip_sms", {"name": "shop", "unchecked": "yes", **again})
    [card] = await here.cards()
    settings = here.installation.house.accounts[card.id].settings
    assert (settings.webhook_security, settings.language, settings.transliteration) == ("hmac_header", "ES", None)
    assert settings.webhook_secret.get_secret_value() in page.text  # made for them, to be entered at Infobip


async def test_an_account_is_connected_once_the_vendor_has_taken_its_credentials(here: Place) -> None:
    admin = here.visitor()
    page = await admin.connect("whatsapp", {**here.whatsapp, "verify_token": ""})
    assert page.status_code == 200
    assert "Connected. Now add the number" in page.text
    [card] = await here.cards()
    assert (card.name, card.kind, card.from_file, card.known, card.last_error) == ("shop", "whatsapp", False, True, None)
    assert card.checked_at is not None
    account = here.installation.house.accounts[card.id]
    assert f"{here.installation.public_url}/hooks/{account.hook}" in page.text
    assert account.settings.verify_token.get_secret_value() in page.text  # made for them, to be entered at the vendor
    assert [secret for secret in secrets_of(here) if secret in page.text] == []
    rows = await here.installation.house.db.read(templates.of_integration, account.workspace_id, card.id)
    assert len(rows) == 3
    challenge = {
        "hub.mode": "subscribe",
        "hub.challenge": "42",
        "hub.verify_token": account.settings.verify_token.get_secret_value(),
    }
    assert (await admin.client.get(f"/hooks/{account.hook}", params=challenge)).text == "42"


async def test_wrong_credentials_are_refused_in_the_vendors_words_and_nothing_typed_is_lost(here: Place) -> None:
    admin = here.visitor()
    page = await admin.connect("twilio_sms", {**here.twilio, "auth_token": "a-wrong-token"}, name="My shop")
    assert page.status_code == 422
    assert "Twilio SMS refuses it." in page.text
    assert 'Twilio SMS said: <q lang="en">' in page.text
    assert "</q>. " in page.text
    assert "(20003)" in page.text
    assert 'href="/help/errors' not in page.text.split('id="main"')[1]  # nothing leads away from what was typed
    assert 'aria-describedby="setting-auth_token-error setting-auth_token-hint"' in page.text
    assert 'value="My shop"' in page.text
    assert here.twilio["account_sid"] in page.text
    assert "a-wrong-token" not in page.text
    assert await here.cards() == []
    # The other way round: the secret was right, and need not be typed again.
    page = await admin.connect("twilio_sms", {**here.twilio, "account_sid": "AC1"})
    assert (page.status_code, "does not look like what the vendor gives out" in page.text) == (422, True)
    assert here.twilio["auth_token"] not in page.text
    again = {"name": "shop", **{f"setting-{name}": value for name, value in here.twilio.items() if name != "auth_token"}}
    assert (await admin.post("/integrations/connect/twilio_sms", again)).status_code == 200
    assert [card.name for card in await here.cards()] == ["shop"]


async def test_what_one_visitor_typed_opens_in_nobody_elses_form(here: Place) -> None:
    admin, owner = here.visitor(), here.visitor(Role.OWNER)
    page = await admin.connect("twilio_sms", {**here.twilio, "account_sid": "AC1"})
    stolen = page.text.split('name="held" value="')[1].split('"')[0]
    await owner.get("/integrations/connect/twilio_sms")
    given = {"name": "theirs", "held": stolen, **{f"setting-{name}": here.twilio[name] for name in ("account_sid", "base_url")}}
    assert (await owner.post("/integrations/connect/twilio_sms", given)).status_code == 422
    assert await here.cards() == []


async def test_a_vendor_that_is_down_is_told_apart_and_one_may_save_all_the_same(here: Place) -> None:
    admin, away = here.visitor(), {**here.twilio, "base_url": "http://127.0.0.1:1"}
    page = await admin.connect("twilio_sms", away)
    assert page.status_code == 422
    assert "does not answer" in page.text
    assert "Save without the check" in page.text
    given = {f"setting-{name}": value for name, value in away.items() if name != "auth_token"}
    page = await admin.post("/integrations/connect/twilio_sms", {"name": "shop", "unchecked": "yes", **given})
    assert page.status_code == 200
    [card] = await here.cards()
    assert card.trouble[0] == "unchecked"
    assert "It was saved without a check" in page.text
    assert "Needs attention" in page.text
    page = await admin.post(f"/integrations/{card.id.hex()}/check")
    assert "The check failed." in page.text


async def test_credentials_are_changed_without_showing_those_there_are(here: Place) -> None:
    admin = here.visitor()
    await admin.connect("twilio_sms", here.twilio)
    [card] = await here.cards()
    home = f"/integrations/{card.id.hex()}"
    page = await admin.get(f"{home}/edit")
    assert here.twilio["auth_token"] not in page.text
    assert "set; leave it empty to keep it" in page.text
    given = {"name": "store", "setting-account_sid": here.twilio["account_sid"], "setting-base_url": here.twilio["base_url"]}
    page = await admin.post(f"{home}/edit", given)
    assert (page.status_code, "The changes are saved." in page.text) == (200, True)
    account = here.installation.house.accounts[card.id]
    assert account.name == "store"
    assert account.settings.auth_token.get_secret_value() == here.twilio["auth_token"]
    await admin.get(f"{home}/edit")
    page = await admin.post(f"{home}/edit", {**given, "setting-auth_token": "a-wrong-one"})
    assert page.status_code == 422
    assert here.installation.house.accounts[card.id].settings.auth_token.get_secret_value() == here.twilio["auth_token"]


async def test_a_secret_does_not_follow_an_account_to_another_address(here: Place) -> None:
    admin, elsewhere = here.visitor(), "http://127.0.0.1:1"
    await admin.connect("twilio_sms", {**here.twilio, "webhook_key": "name", "webhook_key_secret": "its-secret"})
    [card] = await here.cards()
    home = f"/integrations/{card.id.hex()}"
    given = {"name": "shop", "unchecked": "yes", "setting-webhook_key": "name", "setting-account_sid": here.twilio["account_sid"]}
    await admin.get(f"{home}/edit")
    page = await admin.post(f"{home}/edit", {**given, "setting-base_url": elsewhere})
    assert (page.status_code, page.text.count("so type this anew")) == (422, 4)  # both secrets: above, and beside the field
    assert elsewhere in page.text
    page = await admin.post(f"{home}/edit", {**given, "setting-base_url": elsewhere, "setting-auth_token": "typed"})
    assert (page.status_code, page.text.count("so type this anew")) == (422, 2)
    typed = {"setting-auth_token": "typed", "setting-webhook_key_secret": "typed-too"}
    assert (await admin.post(f"{home}/edit", {**given, "setting-base_url": elsewhere, **typed})).status_code == 200
    assert here.installation.house.accounts[card.id].settings.auth_token.get_secret_value() == "typed"


async def test_credentials_that_stay_the_same_are_not_told_to_have_changed(here: Place) -> None:
    admin = here.visitor()
    await admin.connect("twilio_sms", here.twilio)
    [card] = await here.cards()
    home = f"/integrations/{card.id.hex()}"
    given = {"name": "store", "setting-account_sid": here.twilio["account_sid"], "setting-base_url": here.twilio["base_url"]}

    def moved_at(c: Connection) -> int | None:
        return c.scalar(select(integration.c.moved_at))

    await admin.get(f"{home}/edit")
    assert (await admin.post(f"{home}/edit", given)).status_code == 200
    assert await here.installation.house.db.read(moved_at) is None
    more = {"setting-webhook_key": "name", "setting-webhook_key_secret": "its-secret"}
    await admin.get(f"{home}/edit")
    assert (await admin.post(f"{home}/edit", {**given, **more})).status_code == 200
    assert await here.installation.house.db.read(moved_at) is not None


async def test_an_optional_secret_can_be_taken_away_again(here: Place) -> None:
    admin = here.visitor()
    key = {"webhook_key": "name", "webhook_key_secret": "its-secret"}
    await admin.connect("twilio_sms", {**here.twilio, **key})
    [card] = await here.cards()
    home = f"/integrations/{card.id.hex()}"
    await admin.get(f"{home}/edit")
    given = {"name": "shop", "setting-account_sid": here.twilio["account_sid"], "setting-base_url": here.twilio["base_url"]}
    page = await admin.post(f"{home}/edit", given)  # the name is gone and its secret is not
    assert (page.status_code, "belong together" in page.text) == (422, True)
    page = await admin.post(f"{home}/edit", {**given, "forget-webhook_key_secret": "yes"})
    assert page.status_code == 200
    assert here.installation.house.accounts[card.id].settings.webhook_key_secret is None


async def test_a_name_is_not_taken_twice(here: Place) -> None:
    admin = here.visitor()
    await admin.connect("twilio_sms", here.twilio)
    page = await admin.connect("twilio_sms", here.twilio)
    assert (page.status_code, "Another integration has this name." in page.text) == (422, True)
    for name in ("", "x" * 81):
        assert (await admin.connect("twilio_sms", here.twilio, name=name)).status_code == 422
    assert len(await here.cards()) == 1


async def test_an_account_is_turned_off_and_on_and_the_log_tells_who_did_what(here: Place) -> None:
    admin = here.visitor()
    await admin.connect("twilio_sms", here.twilio)
    [card] = await here.cards()
    home = f"/integrations/{card.id.hex()}"
    assert "No campaign that is scheduled or sending uses it." in (await admin.get(f"{home}?ask=off")).text
    page = await admin.post(f"{home}/off")
    assert "What is sent over it waits." in page.text
    assert not here.installation.house.accounts[card.id].active
    assert "is on again" in (await admin.post(f"{home}/on")).text
    assert here.installation.house.accounts[card.id].active
    log = await here.installation.house.db.read(audit.entries, here.installation.workspace_id)
    assert [(one.what, one.who) for one in reversed(log)] == [
        (f"integration.{what}", "admin@example.com") for what in ("connected", "turned_off", "turned_on")
    ]
    assert [secret for secret in secrets_of(here) if secret in str(log)] == []


# --- senders ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "wrong"),
    [
        ({"name": "a", "address": NUMBER, "rate": "1"}, set()),
        ({"name": "a", "address": NUMBER, "rate": "0,5", "daily_limit": "1000"}, set()),
        ({}, {"name", "address", "rate"}),
        ({"name": "a" * 81, "address": NUMBER, "rate": "0"}, {"name", "rate"}),
        ({"name": "a", "address": NUMBER, "rate": "-1"}, {"rate"}),
        ({"name": "a", "address": NUMBER, "rate": "nan"}, {"rate"}),
        ({"name": "a", "address": NUMBER, "rate": "1e9"}, {"rate"}),
        ({"name": "a", "address": NUMBER, "rate": "10001"}, {"rate"}),
        ({"name": "a", "address": NUMBER, "rate": "1", "daily_limit": "0"}, {"daily_limit"}),
        ({"name": "a", "address": NUMBER, "rate": "1", "daily_limit": "1.5"}, {"daily_limit"}),
        ({"name": "a", "address": NUMBER, "rate": "1", "daily_limit": "many"}, {"daily_limit"}),
    ],
)
def test_what_people_say_of_a_sender_is_checked(given: dict[str, str], wrong: set[str]) -> None:
    assert read_facts(given)[1].keys() == wrong


async def test_a_sender_is_added_changed_and_removed(here: Place) -> None:
    admin = here.visitor()
    await admin.connect("twilio_sms", here.twilio)
    [card] = await here.cards()
    home = f"/integrations/{card.id.hex()}"
    await admin.get(f"{home}/senders/new")
    page = await admin.post(f"{home}/senders/new", {"name": "clinic", "address": "+15017122662", "rate": "2"})
    assert (page.status_code, "does not belong to this account" in page.text) == (422, True)
    page = await admin.post(f"{home}/senders/new", {"name": "clinic", "address": NUMBER, "rate": "2", "daily_limit": "500"})
    assert (page.status_code, "2 segments a second" in page.text, "0 of 500 segments today" in page.text) == (200, True, True)
    house, workspace_id = here.installation.house, here.installation.workspace_id
    [line] = await house.db.read(senders.of_workspace, workspace_id, house.clock.now())
    page = await admin.get(f"{home}/senders/{line.id.hex()}")
    assert 'value="500"' in page.text
    page = await admin.post(f"{home}/senders/{line.id.hex()}", {"name": "clinic 2", "address": NUMBER, "rate": "1"})
    assert ("clinic 2" in page.text, "1 segment a second" in page.text) == (True, True)
    await admin.get(f"{home}/senders/new")
    page = await admin.post(f"{home}/senders/new", {"name": "clinic 2", "address": NUMBER, "rate": "3"})
    assert (page.status_code, "Another sender has this name." in page.text) == (422, True)
    await admin.get(f"{home}/senders/{line.id.hex()}?ask=remove")
    assert "The sender is removed." in (await admin.post(f"{home}/senders/{line.id.hex()}/remove")).text
    assert await house.db.read(senders.of_workspace, workspace_id, house.clock.now()) == []
    assert (await admin.get(f"{home}/senders/{line.id.hex()}")).status_code == 404


async def test_a_paused_sender_goes_on_when_an_operator_says_so(here: Place) -> None:
    admin, operator = here.visitor(), here.visitor(Role.OPERATOR)
    await admin.connect("twilio_sms", here.twilio)
    [card] = await here.cards()
    home, house = f"/integrations/{card.id.hex()}", here.installation.house
    await admin.get(f"{home}/senders/new")
    await admin.post(f"{home}/senders/new", {"name": "clinic", "address": NUMBER, "rate": "2"})
    [line] = await house.db.read(senders.of_workspace, card_workspace := here.installation.workspace_id, house.clock.now())
    await house.db.run(accounts.pause_sender, line.id, "The account is suspended (30002)", house.clock.now())
    page = await operator.get(home)
    assert "The account is suspended (30002)" in page.text
    assert "Needs attention" in page.text
    page = await operator.post(f"{home}/senders/{line.id.hex()}/resume")
    assert "The sender goes on." in page.text
    [line] = await house.db.read(senders.of_workspace, card_workspace, house.clock.now())
    assert (line.paused_at, line.trouble) == (None, None)


# --- templates and tests ----------------------------------------------------------------------------------------------------


async def test_templates_are_listed_with_their_example_and_read_again_on_demand(here: Place) -> None:
    admin = here.visitor()
    await admin.connect("whatsapp", here.whatsapp)
    [card] = await here.cards()
    home = f"/integrations/{card.id.hex()}/templates"
    page = await admin.get(home)
    assert "Hi Ana, we expect you on 12 September. Reply YES to confirm, or STOP." in page.text
    assert "Stop promotions" in page.text
    assert "Hola Ana, su cita es el 2024-09-12." in page.text
    assert page.text.count("Approved") == 3
    for key in list(here.standin.whatsapp.templates):
        here.standin.whatsapp._mark(*key, "PAUSED")
    page = await admin.post(f"{home}/sync")
    assert ("were read from the vendor" in page.text, page.text.count("Paused by the vendor")) == (True, 3)
    house = here.installation.house
    assert await house.db.read(templates.approved_templates, here.installation.workspace_id, card.id) == []
    assert "fall_sale" not in (await admin.get(f"{home}?q=cita")).text
    assert "No template matches." in (await admin.get(f"{home}?q=zzz")).text
    here.standin.vendors.change_faults(Faults(rules=(Rule(fault=Fault.BROKEN),)), house.clock.now())


def test_a_template_that_we_cannot_fill_says_so() -> None:

    location = VendorTemplate("here", "en", "REJECTED", "UTILITY", components=[{"type": "HEADER", "format": "LOCATION"}])

    class Row:
        name, language, status, category = location.name, location.language, location.status, location.category
        parameter_format, vendor_id, changed_at = "POSITIONAL", "", 0
        components = '[{"type": "HEADER", "format": "LOCATION"}]'

    found = example_of(channels()["whatsapp"], Row)
    assert (found.text, found.tone) == ("", "wrong")
    assert "LOCATION" in found.problem


async def test_a_test_message_goes_to_the_phone_and_the_vendors_answer_is_shown(here: Place) -> None:
    admin, house = here.visitor(), here.installation.house
    await admin.connect("whatsapp", here.whatsapp)
    [card] = await here.cards()
    home = f"/integrations/{card.id.hex()}"
    await admin.get(f"{home}/senders/new")
    await admin.post(f"{home}/senders/new", {"name": "clinic", "address": PHONE_ID, "rate": "80"})
    [line] = await house.db.read(senders.of_workspace, here.installation.workspace_id, house.clock.now())
    given = {"sender": line.id.hex(), "to": "+1 (212) 555-0101", "template": "fall_sale en_US"}
    page = await admin.post(f"{home}/test", given)
    assert "WhatsApp took the message to +12125550101" in page.text
    [taken] = [one for one in here.standin.lines if one.kind == "accepted"]
    assert (taken.to, "Hi Ana, our Fall Sale is on! Use code FALL25" in taken.text) == (person_of(ANA), True)
    for wrong in ({"to": "2125550101"}, {"sender": "0" * 32}, {"template": "nothing en"}):
        assert (await admin.post(f"{home}/test", {**given, **wrong})).status_code == 422
    assert "WhatsApp took the message to +12125550101" in (await admin.post(f"{home}/test", given)).text  # pressed twice
    bruno = "+12125550102"
    facts = (here.installation.workspace_id, [bruno], "whatsapp", house.clock.now(), "rule", "proof")
    await house.db.run(suppressions.suppress, *facts)
    assert "asked not to be written to" in (await admin.post(f"{home}/test", {**given, "to": bruno})).text
    assert len([one for one in here.standin.lines if one.kind == "accepted"]) == 1
    log = await house.db.read(audit.entries, here.installation.workspace_id, what="integration.tested")
    assert [one.details["taken"] for one in log] == [False, True]
    assert ANA not in str(log)


async def test_test_messages_are_limited_for_the_whole_workspace(here: Place) -> None:
    admin, house = here.visitor(), here.installation.house
    await admin.connect("twilio_sms", here.twilio)
    [card] = await here.cards()
    home = f"/integrations/{card.id.hex()}"
    await admin.get(f"{home}/senders/new")
    await admin.post(f"{home}/senders/new", {"name": "clinic", "address": NUMBER, "rate": "1"})
    [line] = await house.db.read(senders.of_workspace, here.installation.workspace_id, house.clock.now())
    for number in range(trials.MOST):
        await house.db.run(trials.begin, here.installation.workspace_id, bytes([number]), house.clock.now())
    given = {"sender": line.id.hex(), "to": ANA, "text": "Kept as it was typed"}
    page = await admin.post(f"{home}/test", given)
    assert (page.status_code, "20 test messages in ten minutes" in page.text) == (429, True)
    assert "Kept as it was typed" in page.text
    assert [one for one in here.standin.lines if one.kind == "accepted"] == []
    assert await house.db.read(audit.entries, here.installation.workspace_id, what="integration.tested") == []


async def test_refused_webhooks_stand_on_the_card_until_a_good_one_comes(here: Place) -> None:
    admin, house = here.visitor(), here.installation.house
    await admin.connect("whatsapp", here.whatsapp)
    [card] = await here.cards()
    home = f"/integrations/{card.id.hex()}"
    now = house.clock.now()
    await house.db.run(integrations.heard, [Heard(card.hook, False, 12, now, now)], now)
    page = await admin.get(home)
    assert ("Needs attention" in page.text, "so far: 12" in page.text, "“App secret”" in page.text) == (True, True, True)
    assert "so far: 12" in (await admin.get("/integrations")).text
    await hear(house, [Heard(card.hook, True)])
    assert "so far" not in (await admin.get("/integrations")).text


async def test_a_channel_that_hears_by_webhooks_alone_says_that_nothing_came_yet(here: Place) -> None:
    admin, house = here.visitor(), here.installation.house
    await admin.connect("twilio_sms", here.twilio, "sms")  # which is asked, and told where to call with each message
    assert "Nothing heard yet" not in (await admin.get("/integrations")).text
    page = await admin.connect("whatsapp", here.whatsapp, "wa")
    home, said = page.url.path, "Nothing heard yet: until WhatsApp calls the webhook"
    for path in ("/integrations", home):
        page = await admin.get(path)
        assert (said in page.text, f'href="{home}#hook-h"' in page.text) == (True, True)
    [card] = [one for one in await here.cards() if one.kind == "whatsapp"]
    await hear(house, [Heard(card.hook, True)])
    assert said not in (await admin.get("/integrations")).text
    page = await admin.get(home)
    assert (said in page.text, "Last heard" in page.text) == (False, True)


async def test_a_forged_webhook_reaches_the_card(here: Place) -> None:
    admin = here.visitor()
    await admin.connect("whatsapp", here.whatsapp)
    [card] = await here.cards()
    assert (await admin.client.post(f"/hooks/{card.hook}", content=b"{}")).status_code == 403
    await here.installation.gateway.close()  # writes down what it heard
    assert [one.refused for one in await here.cards()] == [1]


async def test_an_account_that_is_off_can_be_deleted(here: Place) -> None:
    admin = here.visitor()
    await admin.connect("twilio_sms", here.twilio)
    [card] = await here.cards()
    home = f"/integrations/{card.id.hex()}"
    await admin.get(f"{home}/senders/new")
    await admin.post(f"{home}/senders/new", {"name": "clinic", "address": NUMBER, "rate": "1"})
    page = await admin.get(home)
    assert f'action="{home}/delete"' not in page.text
    assert (await admin.post(f"{home}/delete")).status_code == 409  # it is on
    await admin.get(home)
    page = await admin.post(f"{home}/off")
    assert "Delete “shop”?" in page.text
    page = await admin.get(home)
    gone = await admin.post(f"{home}/delete")
    assert "The integration is deleted." in gone.text
    assert await here.cards() == []
    assert (await admin.get(home)).status_code == 404
    assert card.id not in here.installation.house.accounts
    assert (await admin.client.post(f"/hooks/{card.hook}", content=b"{}")).status_code == 404
    log = await here.installation.house.db.read(audit.entries, here.installation.workspace_id, what="integration.removed")
    assert [(one.who, one.about) for one in log] == [("admin@example.com", "shop")]
    await admin.connect("twilio_sms", here.twilio)
    assert [one.name for one in await here.cards()] == ["shop"]


@pytest.mark.parametrize(
    ("typed", "country", "kept"),
    [
        ("(501) 712-2661", "US", NUMBER),
        ("+1 501 712-2661", "", NUMBER),
        ("11 98765-4321", "BR", "+5511987654321"),
        ("011 98765-4321", "BR", "+5511987654321"),
        ("(501) 712-2661", "", None),
        ("501 712-2661", "BR", None),
        ("12345", "US", "12345"),  # a short code
        ("CLINIC", "US", "CLINIC"),
        ("MG" + "0" * 32, "US", "MG" + "0" * 32),
    ],
)
def test_a_number_is_kept_in_its_international_form(typed: str, country: str, kept: str | None) -> None:
    assert international(channels()["twilio_sms"], typed, country) == kept
    assert international(channels()["whatsapp"], typed, country) == typed  # it has ids, and no numbers


@pytest.mark.parametrize(("zone", "country"), [("America/Sao_Paulo", "BR"), ("UTC", ""), ("Mars/Olympus", "")])
def test_the_country_of_a_workspace_is_that_of_its_zone(zone: str, country: str) -> None:
    assert country_of(zone) == country


async def test_a_senders_form_takes_a_national_number_and_its_own_weight(here: Place) -> None:
    admin, house = here.visitor(), here.installation.house
    await admin.connect("twilio_sms", here.twilio)
    [card] = await here.cards()
    home = f"/integrations/{card.id.hex()}"
    await admin.get(f"{home}/senders/new")
    given = {"name": "clinic", "address": "(501) 712-2661", "rate": "2", "weight": "messages", "daily_limit": "500"}
    page = await admin.post(f"{home}/senders/new", given | {"country": "BR"})
    assert (page.status_code, "not a phone number of the country chosen" in page.text) == (422, True)
    assert 'value="(501) 712-2661"' in page.text
    assert '<option value="BR" selected>' in page.text
    page = await admin.post(f"{home}/senders/new", given | {"country": "US"})
    assert (page.status_code, "2 messages a second" in page.text, "0 of 500 messages today" in page.text) == (200, True, True)
    [line] = await house.db.read(senders.of_workspace, here.installation.workspace_id, house.clock.now())
    assert (line.address, line.weight) == (NUMBER, "messages")
    page = await admin.get(f"{home}/senders/{line.id.hex()}")
    assert '<option value="messages" selected>' in page.text
    page = await admin.post(f"{home}/senders/{line.id.hex()}", {"name": "clinic", "address": NUMBER, "rate": "2", "weight": ""})
    assert "2 segments a second" in page.text


def test_the_review_counts_what_the_sender_counts() -> None:
    facts = StepFacts("one", "SMS", first=10, first_segments=30)
    for weight, expected in ((None, 30), ("segments", 30), ("messages", 10)):
        sender = SenderChoice(b"s", "s", NUMBER, "twilio_sms", b"i", "i", True, 1.0, None, None, None, weight)
        sheet = SimpleNamespace(step=SimpleNamespace(key="one", sender="s"), channel=channels()["twilio_sms"], sender=sender)
        assert [load.weight for load in loads([sheet], {"one": facts})] == [expected]  # type: ignore[list-item]


# --- who may --------------------------------------------------------------------------------------------------------------


async def test_others_see_how_it_is_doing_and_no_more(here: Place) -> None:
    admin, viewer, stranger = here.visitor(), here.visitor(Role.VIEWER), here.visitor("stranger")
    await admin.connect("whatsapp", here.whatsapp)
    [card] = await here.cards()
    home = f"/integrations/{card.id.hex()}"
    assert "shop" in (await viewer.get("/integrations")).text
    page = await viewer.get(home)
    assert page.status_code == 200
    for hidden in (here.whatsapp["verify_token"], here.whatsapp["waba_id"], "Turn off", "Change credentials", "Add sender"):
        assert hidden not in page.text
    for path in ("/integrations/connect/whatsapp", f"{home}/edit", f"{home}/senders/new"):
        assert (await viewer.get(path)).status_code == 403
    assert "shop" not in (await stranger.get("/integrations")).text
    for path in (home, f"{home}/edit", f"{home}/templates", f"{home}/senders/new"):
        assert (await stranger.get(path)).status_code == 404
    assert (await admin.get(f"/integrations/{new_id(1).hex()}")).status_code == 404
    form = {"_csrf_token": _csrf((await stranger.get("/integrations/connect/whatsapp")).text)}
    for path in ("check", "off", "on", "test", "templates/sync", "edit", "senders/new"):
        found = await stranger.client.post(f"{home}/{path}", data=form)
        assert found.status_code == 404, path


def _csrf(html: str) -> str:
    return html.split('name="_csrf_token" value="')[1].split('"')[0]


async def test_what_the_settings_name_is_shown_and_not_changed(tmp_path: Path) -> None:
    sender = {"integration": "sms", "address": NUMBER}
    async with place(tmp_path, integrations={"sms": FROM_FILE}, senders={"clinic": sender}) as here:
        admin = here.visitor()
        [card] = await here.cards()
        home = f"/integrations/{card.id.hex()}"
        page = await admin.get(home)
        assert "It stands in campana.toml" in page.text
        assert "a-secret-of-the-file" not in page.text
        assert "Turn off" not in page.text
        assert "Change credentials" not in page.text
        assert "/hooks/sms" in page.text
        for path in ("edit", "senders/new"):
            refused = await admin.get(f"{home}/{path}")
            assert (refused.status_code, "Change it there" in refused.text) == (409, True)
        await admin.get(home)
        assert (await admin.post(f"{home}/off")).status_code == 409


async def test_email_is_offered_with_the_alpha_switch_only(here: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    house, workspace_id = here.installation.house, here.installation.workspace_id
    letter = replace(house.channels["twilio_sms"], kind="letter", label="Letter mail", suppresses="email")
    monkeypatch.setattr(house, "channels", {**house.channels, "letter": letter})
    admin = here.visitor()
    assert "Letter mail" not in (await admin.get("/integrations")).text
    assert (await admin.get("/integrations/connect/letter")).status_code == 404
    await house.db.run(workspaces.change, workspace_id, "default", "UTC", None, True)
    assert "Letter mail" in (await admin.get("/integrations")).text
    assert (await admin.get("/integrations/connect/letter")).status_code == 200


async def test_an_account_whose_credentials_are_gone_asks_for_them(here: Place) -> None:
    admin, house = here.visitor(), here.installation.house
    await admin.connect("twilio_sms", here.twilio)
    [card] = await here.cards()
    await house.db.run(integrations.forget_sealed, house.clock.now())
    page = await admin.get(f"/integrations/{card.id.hex()}")
    assert "Its credentials are not here" in page.text
    await admin.get(f"/integrations/{card.id.hex()}/edit")
    given = {"name": "shop", **{f"setting-{name}": value for name, value in here.twilio.items()}}
    page = await admin.post(f"/integrations/{card.id.hex()}/edit", given)
    assert (page.status_code, "The changes are saved." in page.text) == (200, True)
    assert card.id in house.accounts
