"""Reports that are due by e-mail are sent: each due time at most once, by whichever pump takes it.

A mail server cannot be asked whether it took a letter. So it goes like a message of a campaign: nobody twice. Until the server
has agreed to everything but the letter itself, nothing has left the house, and whatever goes wrong is tried again every few
minutes. Then the row says that the letter is handed over, and only then it is. The next due time comes when the server has
answered. When its answer is lost, or the process dies in between, nobody knows; the letter is not sent again, and the page says
so beside a button that sends it: its readers see at once whether they have it, and a Message-ID made of the report and the due
time shows them a repeat. To send it again blindly would tell a whole list of people the same thing twice.

A pump that was away over several due times sends the latest only: the figures of all others are on the page of reports.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import structlog

from campana.core.durations import MINUTE
from campana.core.ids import Id, new_id
from campana.core.periods import last_due, next_due
from campana.engine.house import House
from campana.mail import Letter, Mailer, MailTrouble, MailUncertain
from campana.store import report_mails
from campana.store.database import StoreAway
from campana.store.report_mails import BROKEN, ENOUGH, REFUSED, EnoughToday, ReportMail, Trouble

LOOK_SECONDS = 5.0
LEASE = 3 * MINUTE  # longer than any server is waited for
HAND_OVER_SECONDS = 120.0
AGAIN = 5 * MINUTE

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
            following = next_due(mail.every, mail.at, mail.zone, max(mail.next_at, now))
            await house.db.run(report_mails.give_up, mail, token, mail.next_at, following)
        else:
            sent += await _send(house, mailer, compose, mail, token)


async def _send(house: House, mailer: Mailer, compose: Compose, mail: ReportMail, token: Id) -> int:
    now, run = house.clock.now(), house.db.run
    due = last_due(mail.every, mail.at, mail.zone, mail.next_at, now)
    following = next_due(mail.every, mail.at, mail.zone, max(due, now))
    begun = False

    async def hand_over() -> bool:
        nonlocal begun
        begun = await run(report_mails.hand_over, mail, token, due, house.clock.now(), LEASE)
        return begun

    try:
        letter = await compose(mail, due)
        async with asyncio.timeout(HAND_OVER_SECONDS):
            refused = await mailer.post(letter, mail.addresses, name_of(mail.id, due), hand_over)
    except StoreAway:
        raise
    except EnoughToday as error:
        await run(report_mails.put_off, mail, token, now, error.until - now, Trouble(ENOUGH, due))
        return 0
    except Exception as error:
        if isinstance(error, MailUncertain) or (begun and not isinstance(error, MailTrouble)):
            await run(report_mails.give_up, mail, token, due, following, str(error))
        else:
            await run(report_mails.put_off, mail, token, now, AGAIN, _trouble(error, due), begun)
        return 0
    if refused is None:
        return 0  # somebody else has it, or it was paused or deleted meanwhile
    await run(report_mails.taken, mail, due, following, house.clock.now(), refused)
    return 1


def _trouble(error: Exception, due: int) -> Trouble:
    """Why a letter surely was not taken, for people."""
    if isinstance(error, MailTrouble):
        return Trouble(REFUSED, due, str(error))
    if isinstance(error, TimeoutError):
        return Trouble(REFUSED, due, "The mail server was too slow.")
    log.error("report_mail_broken", exc_info=error)
    return Trouble(BROKEN, due, type(error).__name__)
