"""Vendor accounts in the store: sealed, found again, and every change of them noticed."""

from __future__ import annotations

import pytest
from sqlalchemy import select, update

from campana.channels.contract import VendorTemplate
from campana.core.ids import Id, new_id
from campana.store import accounts, integrations, senders, templates, users
from campana.store.integrations import Heard, InUse, NameTaken
from campana.store.schema import integration, run
from campana.store.senders import Facts
from campana.vault import Vault, WrongKey
from tests.store.conftest import NOW, Begin, a_run

OLD, NEW = "an old key of more than 32 characters", "a new key of more than 32 characters"
VAULT = Vault([OLD])
DAY = 86_400_000_000


@pytest.fixture
def workspace_id(begin: Begin) -> Id:
    with begin() as c:
        return accounts.ensure_workspace(c, "default", NOW)


def connected(begin: Begin, workspace_id: Id, name: str = "shop", plain: bytes = b"{}") -> Id:
    with begin() as c:
        return integrations.add(c, workspace_id, name, "twilio_sms", VAULT.seal(plain), NOW)


def test_an_account_is_kept_sealed_and_has_an_address_that_nobody_guesses(begin: Begin, workspace_id: Id) -> None:
    made = connected(begin, workspace_id, plain=b"s3cret")
    with begin() as c:
        [row] = integrations.accounts(c)
        assert (row.id, row.workspace_id, row.name, row.kind, row.active) == (made, workspace_id, "shop", "twilio_sms", True)
        assert VAULT.open(row.credentials) == b"s3cret"
        assert len(row.hook) >= 16
        [card] = integrations.cards(c, workspace_id)
        assert (card.id, card.from_file, card.active, card.known) == (made, False, True, True)
        assert integrations.cards(c, new_id(NOW)) == []


def test_every_change_of_an_account_is_noticed_even_within_one_microsecond(begin: Begin, workspace_id: Id) -> None:
    versions = []

    def look() -> None:
        with begin() as c:
            versions.append(integrations.version(c))

    look()
    made = connected(begin, workspace_id)
    look()
    for values in ({"name": "store"}, {"active": False}, {"credentials": VAULT.seal(b"[]")}):
        with begin() as c:
            assert integrations.change(c, workspace_id, made, NOW, **values)
        look()
    with begin() as c:
        integrations.put_from_file(c, workspace_id, "sms", "twilio_sms", b"{}", VAULT, NOW)
    look()
    with begin() as c:
        integrations.keep_from_file(c, workspace_id, [], NOW)
    look()
    assert versions == sorted(set(versions))
    assert len(versions) == 7


def test_what_changes_nothing_makes_nobody_read_again(begin: Begin, workspace_id: Id) -> None:
    with begin() as c:
        put = integrations.put_from_file(c, workspace_id, "sms", "twilio_sms", b"{}", VAULT, NOW)
        before = integrations.version(c)
    with begin() as c:
        integrations.put_from_file(c, workspace_id, "sms", "twilio_sms", b"{}", VAULT, NOW + DAY)
        integrations.keep_from_file(c, workspace_id, [put], NOW + DAY)
        integrations.checked(c, put, NOW, None)
        assert integrations.version(c) == before


def test_the_settings_rule_theirs_and_leave_those_of_the_console_alone(begin: Begin, workspace_id: Id) -> None:
    made = connected(begin, workspace_id)
    with begin() as c:
        sms = integrations.put_from_file(c, workspace_id, "sms", "twilio_sms", b"{}", VAULT, NOW)
        wa = integrations.put_from_file(c, workspace_id, "wa", "whatsapp", b"{}", VAULT, NOW)
        named = [
            accounts.put_sender(c, workspace_id, one, name, "+15017122661", 1, None, NOW) for one, name in ((sms, "a"), (wa, "b"))
        ]
        own = senders.add(c, workspace_id, made, Facts("c", "+15017122661", 1, None), NOW)
        assert {row.hook for row in integrations.accounts(c)} >= {"sms", "wa"}
    with begin() as c:
        integrations.keep_from_file(c, workspace_id, [wa], NOW)
        senders.keep_from_file(c, workspace_id, named[1:])
        active = {card.id: (card.active, card.known) for card in integrations.cards(c, workspace_id)}
        assert active == {made: (True, True), sms: (False, False), wa: (True, True)}
        assert {one.id: one.active for one in senders.of_workspace(c, workspace_id, NOW)} == {
            named[0]: False,
            named[1]: True,
            own: True,
        }
    with begin() as c:  # named again, it is as it was
        integrations.put_from_file(c, workspace_id, "sms", "twilio_sms", b"{}", VAULT, NOW)
        assert all(card.active and card.known for card in integrations.cards(c, workspace_id))
        assert not integrations.change(c, workspace_id, sms, NOW, active=False)  # only the settings change it
        assert senders.add(c, workspace_id, sms, Facts("d", "+15017122661", 1, None), NOW) is None
        assert not senders.change(c, workspace_id, named[0], Facts("d", "+15017122661", 1, None), NOW)
        assert not senders.remove(c, workspace_id, named[0], NOW)


def test_an_address_of_the_settings_that_is_taken_is_made_another(begin: Begin, workspace_id: Id) -> None:
    made = connected(begin, workspace_id)
    with begin() as c:
        c.execute(update(integration).where(integration.c.id == made).values(hook="sms"))
        put = integrations.put_from_file(c, workspace_id, "sms", "twilio_sms", b"{}", VAULT, NOW)
        hook = c.scalar(select(integration.c.hook).where(integration.c.id == put))
        assert hook is not None
        assert hook.startswith("sms-")


def test_names_are_not_repeated_in_a_workspace(begin: Begin, workspace_id: Id) -> None:
    made = connected(begin, workspace_id)
    with begin() as c:
        other = accounts.ensure_workspace(c, "other", NOW)
        theirs = integrations.add(c, other, "shop", "twilio_sms", VAULT.seal(b"{}"), NOW)
        second = integrations.add(c, workspace_id, "second", "twilio_sms", VAULT.seal(b"{}"), NOW)
        senders.add(c, workspace_id, made, Facts("clinic", "+15017122661", 1, None), NOW)
        clinic2 = senders.add(c, workspace_id, made, Facts("clinic2", "+15017122661", 1, None), NOW)
        assert clinic2 is not None
        assert senders.add(c, other, theirs, Facts("clinic", "+15017122661", 1, None), NOW) is not None
        with pytest.raises(NameTaken, match="shop"):
            integrations.add(c, workspace_id, "shop", "whatsapp", VAULT.seal(b"{}"), NOW)
        with pytest.raises(NameTaken, match="shop"):
            integrations.change(c, workspace_id, second, NOW, name="shop")
        with pytest.raises(NameTaken, match="shop"):
            integrations.put_from_file(c, workspace_id, "shop", "whatsapp", b"{}", VAULT, NOW)
        with pytest.raises(NameTaken, match="clinic"):
            senders.change(c, workspace_id, clinic2, Facts("clinic", "+15017122661", 1, None), NOW)


def test_a_removed_sender_frees_its_name_and_leaves_the_lists(begin: Begin, workspace_id: Id) -> None:
    made = connected(begin, workspace_id)
    facts = Facts("clinic", "+15017122661", 2.5, 100)
    with begin() as c:
        first = senders.add(c, workspace_id, made, facts, NOW)
        assert first is not None
        [line] = senders.of_workspace(c, workspace_id, NOW)
        assert (line.name, line.address, line.rate, line.daily_limit, line.used) == ("clinic", "+15017122661", 2.5, 100, 0)
        assert senders.remove(c, workspace_id, first, NOW)
        assert not senders.remove(c, workspace_id, first, NOW)
        assert senders.of_workspace(c, workspace_id, NOW) == []
        assert accounts.senders(c, workspace_id) == []
        assert senders.add(c, workspace_id, made, facts, NOW) is not None


def refusals(begin: Begin, workspace_id: Id) -> tuple[int, int | None]:
    with begin() as c:
        [card] = integrations.cards(c, workspace_id)
        return card.refused, card.refused_since


def test_refused_webhooks_are_counted_from_the_last_good_one_on(begin: Begin, workspace_id: Id) -> None:
    made = connected(begin, workspace_id)

    def told(good: bool, refused: int = 0, first: int | None = None, last: int | None = None) -> tuple[int, int | None]:
        with begin() as c:
            [account] = integrations.accounts(c)
            before = integrations.version(c)
            integrations.heard(c, [Heard(account.hook, good, refused, first, last), Heard("nobody", False, 1, NOW, NOW)], NOW)
            assert integrations.version(c) == before  # nobody reads the accounts anew
        return refusals(begin, workspace_id)

    assert told(True) == (0, None)
    assert told(False, 2, NOW, NOW + 1) == (2, NOW)
    assert told(False, 10, NOW + 5, NOW + 9) == (12, NOW)
    with begin() as c:
        assert len(integrations.listening(c, NOW)) == 1
    assert told(True, 1, NOW + 20, NOW + 20) == (1, NOW + 20)
    assert told(True) == (0, None)
    assert told(False, 1, NOW + 30, NOW + 30) == (1, NOW + 30)
    with begin() as c:
        assert integrations.change(c, workspace_id, made, NOW + 40, credentials=VAULT.seal(b"[]"))
    assert refusals(begin, workspace_id) == (0, None)
    assert told(False, 3, NOW + 35, NOW + 39) == (0, None)  # with the secret that was wrong
    assert told(False, 1, NOW + 50, NOW + 50) == (1, NOW + 50)


def test_that_webhooks_still_come_is_written_down_now_and_then(begin: Begin, workspace_id: Id) -> None:
    made = connected(begin, workspace_id)
    with begin() as c:
        [hook] = [one.hook for one in integrations.accounts(c)]
        assert integrations.listening(c, NOW) == {hook}  # nothing was heard yet
        integrations.heard(c, [Heard(hook, False, 1, NOW, NOW)], NOW)
        assert integrations.cards(c, workspace_id)[0].heard_at is None  # anybody can send what is refused
        integrations.heard(c, [Heard(hook, True)], NOW)
        assert integrations.cards(c, workspace_id)[0].heard_at == NOW
        assert integrations.listening(c, NOW + integrations.HEARD_AGAIN - 1) == set()
        assert integrations.listening(c, NOW + integrations.HEARD_AGAIN) == {hook}
        assert integrations.change(c, workspace_id, made, NOW + 1, credentials=VAULT.seal(b"[]"))  # the address is the same
        assert integrations.cards(c, workspace_id)[0].heard_at == NOW


def test_a_removed_account_frees_its_name_and_address_and_forgets_its_credentials(begin: Begin, workspace_id: Id) -> None:
    made = connected(begin, workspace_id)
    with begin() as c:
        own = senders.add(c, workspace_id, made, Facts("clinic", "+15017122661", 1, None), NOW)
        templates.put_templates(c, workspace_id, made, [VendorTemplate("hi", "en", "APPROVED", "UTILITY")], NOW)
        [account] = integrations.accounts(c)
        with pytest.raises(InUse):  # it is on
            integrations.remove(c, workspace_id, made, NOW)
        assert not integrations.remove(c, new_id(NOW), made, NOW)
        integrations.change(c, workspace_id, made, NOW, active=False)
    assert own
    with begin() as c:
        live = a_run(c, [("+12125550101", None)], senders=[own], status="scheduled")
        with pytest.raises(InUse):
            integrations.remove(c, workspace_id, made, NOW)
        c.execute(update(run).where(run.c.id == live.id).values(status="ended"))
    with begin() as c:
        before = integrations.version(c)
        assert integrations.remove(c, workspace_id, made, NOW)
        senders.remove_all(c, workspace_id, made, NOW)
        assert integrations.version(c) > before  # every process forgets it
        assert (integrations.cards(c, workspace_id), senders.of_workspace(c, workspace_id, NOW)) == ([], [])
        assert (integrations.accounts(c), accounts.senders(c, workspace_id)) == ([], [])
        assert integrations.credentials(c, workspace_id, made) == b""
        assert templates.of_integration(c, workspace_id, made) == []
        assert c.scalar(select(integration.c.name).where(integration.c.id == made)) == "shop"  # what was sent over it says so
        assert not integrations.remove(c, workspace_id, made, NOW)
        assert not integrations.change(c, workspace_id, made, NOW, active=True)
        assert senders.add(c, workspace_id, made, Facts("late", "+15017122661", 1, None), NOW) is None
    again = connected(begin, workspace_id)
    with begin() as c:
        c.execute(update(integration).where(integration.c.id == again).values(hook=account.hook))
        assert senders.add(c, workspace_id, again, Facts("clinic", "+15017122661", 1, None), NOW)


def test_nothing_of_another_workspace_can_be_touched(begin: Begin, workspace_id: Id) -> None:
    made = connected(begin, workspace_id)
    facts = Facts("clinic", "+15017122661", 1, None)
    with begin() as c:
        other = accounts.ensure_workspace(c, "other", NOW)
        own = senders.add(c, workspace_id, made, facts, NOW)
        assert own is not None
        accounts.pause_sender(c, own, "why", NOW)
        assert not integrations.change(c, other, made, NOW, active=False)
        assert integrations.credentials(c, other, made) == b""
        assert senders.add(c, other, made, facts, NOW) is None
        assert not senders.change(c, other, own, facts, NOW)
        assert not senders.remove(c, other, own, NOW)
        assert not senders.resume(c, other, own)
        assert senders.resume(c, workspace_id, own)
        assert not senders.resume(c, workspace_id, own)


def test_the_campaigns_an_account_carries_are_named(begin: Begin, workspace_id: Id) -> None:
    made = connected(begin, workspace_id)
    with begin() as c:
        used = senders.add(c, workspace_id, made, Facts("a", "+15017122661", 1, None), NOW)
        idle = senders.add(c, workspace_id, made, Facts("b", "+15017122661", 1, None), NOW)
        assert used is not None
        assert idle is not None
        sending = a_run(c, [("+12125550101", None)], senders=[used])
        a_run(c, [("+12125550101", None)], senders=[used], status="ended")
        named = [one.campaign_id for one in integrations.affected(c, workspace_id, made)]
        assert named == [sending.campaign_id]
        assert len(integrations.affected(c, workspace_id, made, used)) == 1
        assert integrations.affected(c, workspace_id, made, idle) == []


def test_all_that_is_sealed_goes_over_to_a_new_key(begin: Begin, workspace_id: Id) -> None:
    connected(begin, workspace_id, plain=b"s3cret")
    both = Vault([NEW, OLD])
    with begin() as c:
        user_id = users.create(c, "ana@example.com", "Ana", None, NOW)
        assert user_id is not None
        users.set_second_factor(c, user_id, VAULT.seal(b"totp"))
        before = integrations.version(c)
        integrations.reseal(c, both, NOW)
        [row] = integrations.accounts(c)
        found = users.get(c, user_id)
        assert found is not None
        assert [Vault([NEW]).open(one or b"") for one in (row.credentials, found.totp)] == [b"s3cret", b"totp"]
        assert integrations.version(c) > before
        with pytest.raises(WrongKey):
            VAULT.open(row.credentials)


def test_after_a_lost_key_everything_sealed_is_gone_and_says_so(begin: Begin, workspace_id: Id) -> None:
    made = connected(begin, workspace_id)
    with begin() as c:
        integrations.put_proof(c, VAULT.seal(b"campana"))
        integrations.put_from_file(c, workspace_id, "sms", "twilio_sms", b"{}", VAULT, NOW)
        user_id = users.create(c, "ana@example.com", "Ana", None, NOW)
        assert user_id is not None
        users.set_second_factor(c, user_id, VAULT.seal(b"totp"))
        assert integrations.forget_sealed(c, NOW) == (2, 1)
        assert integrations.proof(c) is None
        assert integrations.accounts(c) == []
        assert {card.last_error is not None for card in integrations.cards(c, workspace_id) if card.id == made} == {True}
        found = users.get(c, user_id)
        assert found is not None
        assert found.totp is None
    with begin() as c:
        integrations.put_from_file(c, workspace_id, "sms", "twilio_sms", b"{}", Vault([NEW]), NOW)
        assert [row.name for row in integrations.accounts(c)] == ["sms"]


def test_only_approved_templates_of_an_account_in_use_can_be_chosen(begin: Begin, workspace_id: Id) -> None:
    made = connected(begin, workspace_id)
    statuses = ("APPROVED", "PENDING", "REJECTED", "PAUSED", "DISABLED")
    listed = [VendorTemplate(status.lower(), "en", status, "UTILITY") for status in statuses]
    with begin() as c:
        templates.put_templates(c, workspace_id, made, [*listed, listed[0]], NOW)  # a list may shift between two of its pages
        assert len(templates.of_integration(c, workspace_id, made)) == 5
        assert [row.name for row in templates.approved_templates(c, workspace_id, made)] == ["approved"]
        assert templates.approved_templates(c, new_id(NOW), made) == []
        integrations.change(c, workspace_id, made, NOW, active=False)
        assert templates.approved_templates(c, workspace_id, made) == []


def test_what_was_told_while_the_list_was_read_is_not_undone_by_it(begin: Begin, workspace_id: Id) -> None:
    made = connected(begin, workspace_id)
    with begin() as c:
        templates.put_templates(c, workspace_id, made, [VendorTemplate("hi", "en", "APPROVED", "UTILITY")], NOW)
        templates.change_template(c, made, "hi", "en", "PAUSED", None, NOW + 2)
        templates.put_templates(c, workspace_id, made, [VendorTemplate("hi", "en", "APPROVED", "UTILITY")], NOW + 1)
        assert templates.approved_templates(c, workspace_id, made) == []
        templates.put_templates(c, workspace_id, made, [VendorTemplate("hi", "en", "APPROVED", "UTILITY")], NOW + 3)
        assert len(templates.approved_templates(c, workspace_id, made)) == 1
