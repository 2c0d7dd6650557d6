"""Reports that are due by e-mail are sent: each due time at most once, by whichever pump takes it.

A mail server cannot be asked whether it took a letter. So it goes like a message of a campaign: nobody twice. Until the server
has agreed to everything but the letter itself, nothing has left the house. What a server refuses for now (a reply of 4xx, or no
reply at all) is tried again after a pause that grows to an hour, for a day; what it refuses for good (5xx) is not tried again.
When it takes the letter for some readers only, the others alone get another try. Then the row says that the letter is handed
over, and only then it is. The next due time comes when the server has answered. When its answer is lost, or the process dies in
between, nobody knows; the letter is not sent again, and the page says so beside a button that sends it: its readers see at once
whether they have it, and a Message-ID made of the report and the due time shows them a repeat. To send it again blindly would
tell a whole list of people the same thing twice.

A pump that was away over several due times sends the latest only: the figures of all others are on the page of reports.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import structlog
from msgspec.structs import replace

from campana.core.durations import DAY, HOUR, MINUTE
from campana.core.ids import Id, new_id
from campana.core.periods import last_due
from campana.engine.house import House
from campana.mail import Letter, Mailer, MailTrouble, MailUncertain, Refusal
from campana.store import report_mails
from campana.store.database import StoreAway
from campana.store.report_mails import BROKEN, ENOUGH, GIVEN_UP, PARTLY, REFUSED, REJECTED, EnoughToday, ReportMail, Trouble

LOOK_SECONDS = 5.0
LEASE = 3 * MINUTE  # longer than any server is waited for
HAND_OVER_SECONDS = 120.0
AGAIN, LONGEST_PAUSE, TRIED_FOR = 5 * MINUTE, HOUR, DAY

log = structlog.get_logger("campana.report_mail")
Compose = Callable[[ReportMail, int], Awaitable[Letter]]  # the letter of a report for a due time


def name_of(mail_id: Id, due: int) -> str:
    """The first half of the Message-ID of a report's letter."""
    return f"report-{mail_id.hex()}-{due // 1_000_000}"


async def keep_mailing(house: House, mailer: Mailer, compose: Compose) -> None:
    """Sends what is due, for as long as the process lives."""
    while True:
        try:
            await send_due(house, mailer, compose)
        except StoreAway as error:
            log.warning("store_away", wheel="report_mail", error=str(error))
        except Exception as error:
            log.exception("report_mail_stumbled", error=type(error).__name__)
        await asyncio.sleep(LOOK_SECONDS)


async def send_due(house: House, mailer: Mailer, compose: Compose) -> int:
    """Sends all that is due now. Returns how many letters a server took."""
    sent = 0
    while True:
        now = house.clock.now()
        token = new_id(now)
        mail = await house.db.run(report_mails.claim, token, now, LEASE)
        if mail is None:
            return sent
        if mail.handed_over:
            await house.db.run(report_mails.give_up, mail, token, mail.next_at, now)
        else:
            sent += await _send(house, mailer, compose, mail, token)


async def _send(house: House, mailer: Mailer, compose: Compose, mail: ReportMail, token: Id) -> int:
    now, run = house.clock.now(), house.db.run
    due = last_due(mail.every, mail.at, mail.zone, mail.next_at, now)
    to, known, begun = mail.readers(due), mail.so_far(due), False
    if not to:  # whoever was still to get it is no reader any more
        await run(report_mails.not_taken, mail, token, now, replace(known, kind=PARTLY, left=()), None)
        return 0

    async def hand_over() -> bool:
        nonlocal begun
        begun = await run(report_mails.hand_over, mail, token, due, house.clock.now(), LEASE)
        return begun

    try:
        letter = await compose(mail, due)
        async with asyncio.timeout(HAND_OVER_SECONDS):
            refused = await mailer.post(letter, to, name_of(mail.id, due), hand_over)
    except StoreAway:
        raise
    except EnoughToday as error:
        await run(report_mails.not_taken, mail, token, now, replace(known, kind=ENOUGH, since=0), error.until - now)
        return 0
    except Exception as error:
        if isinstance(error, MailUncertain) or (begun and not isinstance(error, MailTrouble)):
            await run(report_mails.give_up, mail, token, due, now, str(error))
        else:
            trouble, pause = _trouble(error, known, to, now)
            await run(report_mails.not_taken, mail, token, now, trouble, pause, begun)
        return 0
    if refused is None:
        return 0  # somebody else has it, or it was paused or deleted meanwhile
    over = weigh(replace(known, sent=True), to, refused, now)
    await run(report_mails.taken, mail, due, house.clock.now(), over, len(refused), pause_after(over, now))
    return 1


def weigh(known: Trouble, to: tuple[str, ...], refused: dict[str, Refusal], now: int, words: str = "") -> Trouble | None:
    """What is wrong with a letter after a try: whom it still has to go to, and who does not get it. None: all have it."""
    since = known.since or now
    tired = now - since >= TRIED_FOR
    left = tuple(one for one in to if one in refused and not (tired or refused[one].forever))
    lost = known.refused | {one: refused[one].words for one in to if one in refused and one not in left}
    if not left and not lost:
        return None
    kind = PARTLY if known.sent else REFUSED if left else GIVEN_UP if tired else REJECTED
    return replace(known, kind=kind, words=words, since=since, left=left, refused=lost)


def pause_after(trouble: Trouble | None, now: int) -> int:
    """How long a letter waits that was not taken: as long again as it has waited, up to an hour."""
    return min(LONGEST_PAUSE, max(AGAIN, now - trouble.since)) if trouble else AGAIN


def _trouble(error: Exception, known: Trouble, to: tuple[str, ...], now: int) -> tuple[Trouble, int | None]:
    """Why a letter surely was not taken, for people; and how long it waits until the next try, if there is one."""
    refused, words = {}, str(error)
    if isinstance(error, MailTrouble):
        refused = error.refused
    elif isinstance(error, TimeoutError):
        words = "The mail server was too slow."
    else:
        log.error("report_mail_broken", exc_info=error)
        words = type(error).__name__
    said = Refusal(words, isinstance(error, MailTrouble) and error.forever)
    trouble = weigh(known, to, refused or dict.fromkeys(to, said), now, words) or known
    if not isinstance(error, MailTrouble | TimeoutError) and trouble.left:
        trouble = replace(trouble, kind=BROKEN)
    return trouble, pause_after(trouble, now) if trouble.left else None
