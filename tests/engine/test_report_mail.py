"""Reports by e-mail over a real mail server: what was sent in a real campaign arrives once, whatever dies in between."""

from __future__ import annotations

import asyncio
import csv
import email
import io
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from datetime import UTC, datetime
from email.message import EmailMessage
from email.policy import default
from itertools import pairwise
from typing import Any, cast

import pytest
from aiosmtpd.smtp import SMTP
from sqlalchemy import select, update

from campana.core.durations import DAY, HOUR, MINUTE
from campana.core.ids import Id
from campana.core.periods import Every, next_due
from campana.engine.house import House
from campana.engine.report_mail import AGAIN, LEASE, keep_mailing, send_due
from campana.mail import Letter, Mailer, mailer
from campana.store import report_mails
from campana.store.database import Database
from campana.store.report_mails import LETTERS_A_DAY, EnoughToday, ReportMail
from campana.store.schema import report_mail
from campana.web.console.report_letter import Letters
from campana.wiring import faces
from tests.engine.conftest import Worlds
from tests.engine.world import ANA, BRUNO, CARLA, Killed, World, sms

BERLIN = "Europe/Berlin"


class Box:
    """A mail server's inbox, which may misbehave."""

    def __init__(self) -> None:
        self.mails: list[Any] = []
        self.misbehave: Callable[[Any], str] | None = None
        self.unknown: set[str] = set()
        self.busy: set[str] = set()

    async def handle_RCPT(self, server: Any, session: Any, envelope: Any, address: str, options: Any) -> str:  # noqa: N802
        if address in self.unknown:
            return "550 No such mailbox"
        if address in self.busy:
            return "450 Mailbox busy"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:  # noqa: N802 - the server's own name
        if self.misbehave and (answer := self.misbehave(server)) != "250 OK":
            return answer
        self.mails.append(envelope)
        return "250 OK"

    def letters(self) -> list[EmailMessage]:
        return [cast(EmailMessage, email.message_from_bytes(one.content, policy=default)) for one in self.mails]


@pytest.fixture
async def box() -> AsyncIterator[tuple[Box, Mailer]]:
    box = Box()
    server = await asyncio.get_running_loop().create_server(lambda: SMTP(box), "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    yield box, mailer(f"smtp://127.0.0.1:{port}", "Campana <campana@example.com>")
    server.close()


async def scheduled(world: World, **more: Any) -> Id:
    """A daily report at eight in Berlin, to two people."""
    now = world.clock.now()
    facts: dict[str, Any] = {"name": "Diário; às 8", "query": "", "every": Every.DAY, "at": "08:00", "zone": BERLIN}
    facts |= {"language": "pt_BR", "addresses": ["ana@example.com", "bruno@example.com"]}
    facts |= {"next_at": next_due(Every.DAY, "08:00", BERLIN, now), **more}
    return await world.house.db.run(report_mails.add, world.installation.workspace_id, None, now, **facts)


async def row(world: World, mail_id: Id) -> ReportMail:
    found = await world.house.db.read(report_mails.get, world.installation.workspace_id, mail_id)
    assert found is not None
    return found


def at(world: World, due: int) -> None:
    """It is a second after that moment."""
    world.clock.advance_to(max(world.clock.now(), due + 1_000_000))


def letters(world: World) -> Letters:
    return Letters(world.house.db.read, faces(world.house.channels), lambda: "https://campana.example.com")


async def outlast(world: World) -> None:
    """Every lease and every pause is over."""
    world.clock.advance_to(world.clock.now() + max(LEASE, AGAIN) + 1)
    await world.house.db.run(lambda c: c.execute(update(report_mail).values(lease_until=0)))


@pytest.fixture
async def world(worlds: Worlds) -> World:
    return await worlds()


@pytest.mark.both_databases
async def test_what_a_campaign_came_to_arrives_in_the_morning(world: World, box: tuple[Box, Mailer]) -> None:
    await world.launch(sms(), people=[ANA, BRUNO, CARLA], name="=Offer <b>")
    await world.play(minutes=5)
    world.reply(ANA)
    await world.play(minutes=5)
    mail_id = await scheduled(world)
    due = (await row(world, mail_id)).next_at
    assert await send_due(world.house, box[1], letters(world).write) == 0, "it was sent before it was due"
    at(world, due)
    assert await send_due(world.house, box[1], letters(world).write) == 1
    (envelope,), (letter,) = box[0].mails, box[0].letters()
    assert envelope.rcpt_tos == ["ana@example.com", "bruno@example.com"]
    assert (letter["To"], letter["Message-ID"]) == (
        "ana@example.com, bruno@example.com",
        f"<report-{mail_id.hex()}-{due // 1_000_000}@example.com>",
    )
    day = datetime.fromtimestamp(due / 1_000_000, UTC).day - 1
    assert letter["Subject"] == f"Diário; às 8: {day} dez. 2026"
    text = letter.get_body(("plain",)).get_content()  # type: ignore[union-attr]
    html = letter.get_body(("html",)).get_content()  # type: ignore[union-attr]
    (file,) = letter.iter_attachments()
    assert "=Offer <b>: " in text
    assert "=Offer &lt;b&gt;" in html
    assert "https://campana.example.com/reports?period=own&from=" in text
    rows = list(csv.reader(io.StringIO(file.get_content().removeprefix("\ufeff"))))
    offer = next(one for one in rows if one and one[0] == "'=Offer <b>")
    shown = await world.progress()
    figures = (
        shown.line.people,
        shown.line.sent,
        shown.line.delivered,
        shown.funnel["read"],
        shown.line.replied,
        shown.line.failed,
    )
    assert [int(cell) for cell in offer[2:]] == list(figures)
    assert figures[:3] == (3, 3, 3)
    outcomes = {name: n for name, n in shown.outcomes.items() if n}
    assert outcomes == {"replied": 1, "delivered": 2}
    after = await row(world, mail_id)
    assert (after.trouble, after.sent_at) == (None, world.clock.now())
    assert after.next_at == next_due(Every.DAY, "08:00", BERLIN, due)
    assert await send_due(world.house, box[1], letters(world).write) == 0


@pytest.mark.both_databases
async def test_two_pumps_at_once_send_it_once(world: World, box: tuple[Box, Mailer]) -> None:
    ids = [await scheduled(world, name=f"Report {number}") for number in range(4)]
    at(world, (await row(world, ids[0])).next_at)
    other = Database(world.database_url)
    try:
        houses = [world.house, world.house, replace(world.house, db=other), replace(world.house, db=other)]
        done = await asyncio.gather(*(send_due(house, box[1], letters(world).write) for house in houses))
    finally:
        other.close()
    assert sum(done) == 4
    assert len({letter["Message-ID"] for letter in box[0].letters()}) == len(box[0].mails) == 4


@pytest.mark.both_databases
async def test_a_pump_that_dies_before_the_letter_leaves_makes_way_for_another(world: World, box: tuple[Box, Mailer]) -> None:
    mail_id = await scheduled(world)
    at(world, (await row(world, mail_id)).next_at)

    async def dies(mail: ReportMail, due: int) -> Letter:
        raise Killed

    with pytest.raises(Killed):
        await send_due(world.house, box[1], dies)
    assert await send_due(world.house, box[1], letters(world).write) == 0, "while the lease holds, it is in other hands"
    await outlast(world)
    assert await send_due(world.house, box[1], letters(world).write) == 1
    assert len(box[0].mails) == 1


class Dying(Database):
    """A store before which the process dies when it is told that the server took the letter."""

    def __init__(self, db: Database) -> None:
        self.db = db

    async def run(self, work: Any, *args: Any, **named: Any) -> Any:
        if work is report_mails.taken:
            raise Killed
        return await self.db.run(work, *args, **named)


@pytest.mark.both_databases
async def test_a_pump_that_dies_after_the_letter_left_sends_it_no_second_time(world: World, box: tuple[Box, Mailer]) -> None:
    mail_id = await scheduled(world)
    due = (await row(world, mail_id)).next_at
    at(world, due)
    with pytest.raises(Killed):
        await send_due(cast(House, replace(world.house, db=Dying(world.house.db))), box[1], letters(world).write)
    await outlast(world)
    assert await send_due(world.house, box[1], letters(world).write) == 0
    assert len(box[0].mails) == 1
    after = await row(world, mail_id)
    assert after.trouble == report_mails.Trouble(report_mails.UNKNOWN, due)
    assert after.next_at == next_due(Every.DAY, "08:00", BERLIN, due)
    at(world, after.next_at)
    assert await send_due(world.house, box[1], letters(world).write) == 1, "the next one goes out as ever"
    assert (await row(world, mail_id)).trouble is None


async def test_an_answer_that_never_came_is_told_and_nothing_is_repeated(world: World, box: tuple[Box, Mailer]) -> None:
    mail_id = await scheduled(world)
    at(world, (await row(world, mail_id)).next_at)

    def hang_up(server: Any) -> str:
        server.transport.abort()
        return "250 OK"

    box[0].misbehave = hang_up
    assert await send_due(world.house, box[1], letters(world).write) == 0
    await outlast(world)
    assert await send_due(world.house, box[1], letters(world).write) == 0
    trouble = (await row(world, mail_id)).trouble
    assert trouble is not None
    assert trouble.kind == report_mails.UNKNOWN
    assert len(box[0].mails) == 1


async def test_a_server_that_refuses_is_asked_again_until_it_takes_the_letter(world: World, box: tuple[Box, Mailer]) -> None:
    mail_id = await scheduled(world)
    due = (await row(world, mail_id)).next_at
    at(world, due)
    box[0].misbehave = lambda server: "451 Come back later"
    assert await send_due(world.house, box[1], letters(world).write) == 0
    refused = await row(world, mail_id)
    assert refused.trouble is not None
    assert (refused.trouble.kind, "Come back later" in refused.trouble.words, refused.next_at) == (
        report_mails.REFUSED,
        True,
        due,
    )
    box[0].misbehave = None
    assert await send_due(world.house, box[1], letters(world).write) == 0, "it waits a while"
    await outlast(world)
    assert await send_due(world.house, box[1], letters(world).write) == 1
    assert (await row(world, mail_id)).trouble is None
    assert box[0].letters()[0]["Message-ID"].startswith(f"<report-{mail_id.hex()}-{due // 1_000_000}@")


async def test_a_server_that_goes_on_refusing_is_asked_less_and_less_often(world: World, box: tuple[Box, Mailer]) -> None:
    mail_id = await scheduled(world)
    due = (await row(world, mail_id)).next_at
    asked: list[int] = []

    def refuses(server: Any) -> str:
        asked.append((world.clock.now() - due) // MINUTE)
        return "451 Come back later"

    box[0].misbehave = refuses
    for minute in range(400):
        at(world, due + minute * MINUTE)
        assert await send_due(world.house, box[1], letters(world).write) == 0
    pauses = [later - earlier for earlier, later in pairwise(asked)]
    assert pauses == sorted(pauses)
    assert (pauses[0], pauses[-1] // 60) == (5, 1)
    assert len(asked) < 12


async def test_addresses_that_a_server_refuses_are_told_and_the_others_get_it(world: World, box: tuple[Box, Mailer]) -> None:
    mail_id = await scheduled(world)
    at(world, (await row(world, mail_id)).next_at)
    box[0].unknown = {"bruno@example.com"}
    assert await send_due(world.house, box[1], letters(world).write) == 1
    assert box[0].mails[0].rcpt_tos == ["ana@example.com"]
    trouble = (await row(world, mail_id)).trouble
    assert trouble is not None
    assert (trouble.kind, trouble.refused) == (report_mails.PARTLY, {"bruno@example.com": "550 No such mailbox"})
    assert (await row(world, mail_id)).next_at > world.clock.now(), "it would say the same again"


@pytest.mark.both_databases
async def test_only_who_was_put_off_is_tried_again_and_nobody_gets_it_twice(world: World, box: tuple[Box, Mailer]) -> None:
    mail_id = await scheduled(world, addresses=["ana@example.com", "bruno@example.com", "carla@example.com"])
    due = (await row(world, mail_id)).next_at
    at(world, due)
    box[0].unknown, box[0].busy = {"bruno@example.com"}, {"carla@example.com"}
    assert await send_due(world.house, box[1], letters(world).write) == 1
    assert (await row(world, mail_id)).readers(due) == ("carla@example.com",)
    await outlast(world)
    assert await send_due(world.house, box[1], letters(world).write) == 0, "still busy"
    trouble = (await row(world, mail_id)).trouble
    assert trouble is not None
    assert (trouble.kind, trouble.left) == (report_mails.PARTLY, ("carla@example.com",))
    await outlast(world)
    box[0].busy = set()
    assert await send_due(world.house, box[1], letters(world).write) == 1
    assert [one.rcpt_tos for one in box[0].mails] == [["ana@example.com"], ["carla@example.com"]]
    after = await row(world, mail_id)
    assert after.trouble is not None
    assert (after.trouble.kind, after.trouble.left, list(after.trouble.refused)) == (
        report_mails.PARTLY,
        (),
        ["bruno@example.com"],
    )
    assert after.next_at == next_due(Every.DAY, "08:00", BERLIN, due)
    with pytest.raises(EnoughToday):
        await world.house.db.run(report_mails.spend, after.workspace_id, LETTERS_A_DAY - 1, world.clock.now())
    await world.house.db.run(report_mails.spend, after.workspace_id, LETTERS_A_DAY - 2, world.clock.now())


async def test_a_pump_that_dies_over_the_last_readers_sends_nothing_to_the_others(world: World, box: tuple[Box, Mailer]) -> None:
    mail_id = await scheduled(world)
    due = (await row(world, mail_id)).next_at
    at(world, due)
    box[0].busy = {"bruno@example.com"}
    await send_due(world.house, box[1], letters(world).write)
    await outlast(world)
    box[0].busy = set()
    with pytest.raises(Killed):
        await send_due(cast(House, replace(world.house, db=Dying(world.house.db))), box[1], letters(world).write)
    await outlast(world)
    assert await send_due(world.house, box[1], letters(world).write) == 0
    trouble = (await row(world, mail_id)).trouble
    assert trouble is not None
    assert (trouble.kind, trouble.left) == (report_mails.UNKNOWN, ("bruno@example.com",))
    assert [one.rcpt_tos for one in box[0].mails] == [["ana@example.com"], ["bruno@example.com"]]


async def test_a_letter_is_over_when_its_last_readers_are_none_any_more(world: World, box: tuple[Box, Mailer]) -> None:
    mail_id = await scheduled(world)
    due = (await row(world, mail_id)).next_at
    at(world, due)
    box[0].busy = {"bruno@example.com"}
    await send_due(world.house, box[1], letters(world).write)
    await world.house.db.run(report_mails.forget_reader, world.installation.workspace_id, "bruno@example.com")
    await outlast(world)
    assert await send_due(world.house, box[1], letters(world).write) == 0
    assert (await row(world, mail_id)).next_at == next_due(Every.DAY, "08:00", BERLIN, due)
    assert [one.rcpt_tos for one in box[0].mails] == [["ana@example.com"]]


async def test_a_corrected_address_gets_what_nobody_has_yet(world: World, box: tuple[Box, Mailer]) -> None:
    mail_id = await scheduled(world, addresses=["bruno@example.com"])
    found = await row(world, mail_id)
    due = found.next_at
    at(world, due)
    box[0].busy = {"bruno@example.com"}
    await send_due(world.house, box[1], letters(world).write)
    facts = {"name": found.name, "every": Every.WEEK, "at": "09:00", "zone": BERLIN, "language": "en"}
    now = world.clock.now()
    assert await world.house.db.run(lambda c: report_mails.edit(c, found, now, addresses=["ana@example.com"], **facts))
    assert await send_due(world.house, box[1], letters(world).write) == 1
    assert [one.rcpt_tos for one in box[0].mails] == [["ana@example.com"]]
    after = await row(world, mail_id)
    assert (after.trouble, after.next_at) == (None, next_due(Every.WEEK, "09:00", BERLIN, due))
    await world.house.db.run(report_mails.remove, after)
    assert not await world.house.db.run(lambda c: report_mails.edit(c, found, now, addresses=["ana@example.com"], **facts))


async def test_what_a_server_refuses_for_good_is_not_sent_again(world: World, box: tuple[Box, Mailer]) -> None:
    mail_id = await scheduled(world)
    due = (await row(world, mail_id)).next_at
    at(world, due)
    asked: list[str] = []
    box[0].misbehave = lambda server: asked.append("once") or "554 Too big for us"  # type: ignore[func-returns-value]
    assert await send_due(world.house, box[1], letters(world).write) == 0
    after = await row(world, mail_id)
    assert after.trouble is not None
    assert (after.trouble.kind, "554 Too big for us." in after.trouble.words) == (report_mails.REJECTED, True)
    assert after.next_at == next_due(Every.DAY, "08:00", BERLIN, due)
    await outlast(world)
    await send_due(world.house, box[1], letters(world).write)
    assert asked == ["once"]


async def test_a_letter_that_nobody_takes_waits_longer_and_longer_and_for_a_day(world: World, box: tuple[Box, Mailer]) -> None:
    mail_id = await scheduled(world, every=Every.WEEK, next_at=next_due(Every.WEEK, "08:00", BERLIN, world.clock.now()))
    due = (await row(world, mail_id)).next_at
    at(world, due)
    box[0].misbehave = lambda server: "451 Come back later"
    pauses, begun = [], world.clock.now()
    while (await row(world, mail_id)).next_at == due:
        await send_due(world.house, box[1], letters(world).write)
        waits = await world.house.db.read(lambda c: c.scalar(select(report_mail.c.lease_until))) or 0
        pauses.append(max(0, waits - world.clock.now()))
        world.clock.advance_to(world.clock.now() + pauses[-1])
        await world.house.db.run(lambda c: c.execute(update(report_mail).values(lease_until=0)))
    assert [round(one / MINUTE) for one in pauses[:7]] == [5, 5, 10, 20, 40, 60, 60]
    assert DAY <= world.clock.now() - begun < DAY + 2 * HOUR
    trouble = (await row(world, mail_id)).trouble
    assert trouble is not None
    assert (trouble.kind, "451 Come back later" in trouble.words) == (report_mails.GIVEN_UP, True)
    assert box[0].mails == []


async def test_what_is_paused_while_it_is_written_does_not_leave(world: World, box: tuple[Box, Mailer]) -> None:
    mail_id = await scheduled(world)
    at(world, (await row(world, mail_id)).next_at)

    async def meanwhile(mail: ReportMail, due: int) -> Letter:
        await world.house.db.run(report_mails.pause, mail)
        return await letters(world).write(mail, due)

    assert await send_due(world.house, box[1], meanwhile) == 0
    assert box[0].mails == []


async def test_after_a_long_rest_one_letter_is_sent_and_not_ten(world: World, box: tuple[Box, Mailer]) -> None:
    mail_id = await scheduled(world)
    first = (await row(world, mail_id)).next_at
    at(world, first + 10 * 86_400_000_000)
    assert await send_due(world.house, box[1], letters(world).write) == 1
    assert await send_due(world.house, box[1], letters(world).write) == 0
    assert (await row(world, mail_id)).next_at > world.clock.now()


@pytest.mark.both_databases
async def test_a_workspace_sends_no_more_letters_a_day_than_it_may(world: World, box: tuple[Box, Mailer]) -> None:
    many = [f"p{n}@example.com" for n in range(20)]
    ids = [await scheduled(world, name=f"Report {n}", addresses=many) for n in range(6)]
    due = (await row(world, ids[0])).next_at
    at(world, due)
    box[0].misbehave = lambda server: "451 Come back later"
    await send_due(world.house, box[1], letters(world).write)
    await outlast(world)
    box[0].misbehave = None
    assert await send_due(world.house, box[1], letters(world).write) == LETTERS_A_DAY // 20, "what was refused does not count"
    (waits,) = [one for one in [await row(world, mail_id) for mail_id in ids] if one.sent_at is None]
    assert waits.trouble is not None
    assert (waits.trouble.kind, waits.trouble.due, waits.next_at) == (report_mails.ENOUGH, due, due)
    with pytest.raises(EnoughToday) as enough:
        await world.house.db.run(report_mails.spend, waits.workspace_id, 1, world.clock.now())
    assert await send_due(world.house, box[1], letters(world).write) == 0
    at(world, enough.value.until)
    await world.house.db.run(lambda c: c.execute(update(report_mail).values(lease_until=0)))
    assert await send_due(world.house, box[1], letters(world).write) == 1
    assert (await row(world, waits.id)).trouble is None


async def test_a_server_that_is_away_stops_no_pump(world: World) -> None:
    mail_id = await scheduled(world)
    at(world, (await row(world, mail_id)).next_at)
    nowhere = mailer("smtp://127.0.0.1:1", "campana@example.com")
    task = asyncio.create_task(keep_mailing(world.house, nowhere, letters(world).write))
    while (await row(world, mail_id)).trouble is None:
        await asyncio.wait([task], timeout=0.01)
    assert not task.done()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
