"""What one transaction changes, gathered by the decisions and written in sets."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from sqlalchemy import Connection

from campana.core.canary import GAVE_UP
from campana.core.ids import Id
from campana.core.journey import Decision, Event, Happening, Journey, Outcome, Shape, Stage, advance
from campana.core.message import ARRIVED, NOT_DELIVERED, Status
from campana.store import messages, recipients
from campana.store.counters import Tally, fail_key
from campana.store.messages import MessageRow, News
from campana.store.recipients import Person

MINUTE = 60_000_000
KEYS = {outcome: f"outcome:{outcome}" for outcome in Outcome}
REACHED = ((Status.QUEUED, "sent"), (Status.DELIVERED, "delivered"), (Status.READ, "read"))
IN_LINE = (Stage.READY, Stage.WAITING)
UNSENT = "unsent"  # our own code: nothing left the house, so nothing failed


def gave_up(before: Journey, after: Journey) -> bool:
    """Whether a failure ended a step for a person: it is not tried again."""
    ended = after.stage is Stage.DONE and after.outcome is not Outcome.OPTED_OUT
    return before.stage is not Stage.DONE and (after.step != before.step or ended)


class Changes:
    """Journeys that moved, decisions taken, news of messages, and the figures that follow from them."""

    def __init__(self, now: int) -> None:
        self.now = now
        self.minute = f"minute:{now // MINUTE}"
        self.started = Event(Happening.STARTED, now)  # what happens to many at once is one event
        self.taken = Event(Happening.ACCEPTED, now)
        self.tally = Tally()
        self.people: dict[Id, Person] = {}
        self.decisions: list[tuple[Id, Id, Id, Decision]] = []
        self.news: list[News] = []
        self.failed: dict[Id, bool] = {}  # whether the figures count a message told of here as failed

    def advance(self, person: Person, event: Event, shape: Shape) -> bool:
        """Lets something happen to a person. Returns whether it changed anything."""
        before = person.journey
        person.journey, decided = advance(before, event, shape)
        for one in decided:
            self.decisions.append((person.workspace_id, person.run_id, person.id, one))
            if one.kind == "skip":
                self.tally.add(person.run_id, f"step:{one.step}:skipped")
        if person.journey == before:
            return False
        self.people[person.id] = person
        if event.what is Happening.FAILED and gave_up(before, person.journey):
            self.tally.add(person.run_id, GAVE_UP)
        if person.journey.outcome is not before.outcome:
            self.tally.add(person.run_id, KEYS[before.outcome], -1)
            self.tally.add(person.run_id, KEYS[person.journey.outcome])
        if person.journey.stage is not before.stage or person.journey.step != before.step:
            self._walked(person.run_id, before, person.journey)
        if before.reached_at is None and person.journey.reached_at is not None:
            self.tally.add(person.run_id, "people:delivered")
        return True

    def _walked(self, run_id: Id, before: Journey, after: Journey) -> None:
        """The figures of the way: who went from which step to which, and how many stand in line before each."""
        if before.step != after.step:
            self.tally.add(run_id, f"went:{before.step}:{after.step}")
        if before.stage in IN_LINE:
            self.tally.add(run_id, f"line:{before.step}", -1)
        if after.stage in IN_LINE:
            self.tally.add(run_id, f"line:{after.step}")

    def touch(self, person: Person) -> None:
        """The person's row is written though the journey did not move."""
        self.people[person.id] = person

    def tell(self, message: MessageRow | None, one: News, run_id: Id, step: int, channel: str) -> None:
        """News of a message, and the figures it moves. `message` is the row as it was, None when it was just begun."""
        was = message.status if message else Status.SENDING
        failed = self.failed.get(one.id, was in NOT_DELIVERED and message is not None and message.code != UNSENT)
        self.news.append(one)
        if one.status > was and Status.UNKNOWN in (one.status, was):
            self.tally.add(run_id, "messages:unknown", 1 if one.status is Status.UNKNOWN else -1)
        if one.status <= was or one.code == UNSENT:
            return
        if was in NOT_DELIVERED and not failed:
            was = Status.SENDING  # we took it for unsent, and so far the figures do not know of it
        for reached, key in REACHED:
            if was < reached <= one.status and not (reached is Status.QUEUED and one.status in NOT_DELIVERED):
                self.tally.add(run_id, f"step:{step}:{key}")
        if one.status in NOT_DELIVERED and not failed:
            self.tally.add(run_id, f"step:{step}:failed")
            self.tally.add(run_id, fail_key(channel, one.code))
        if failed and one.status in ARRIVED:
            self.tally.add(run_id, f"step:{step}:failed", -1)
        self.failed[one.id] = one.status in NOT_DELIVERED

    def accepted(self, person: Person) -> None:
        """A vendor took a message; the first one of a person counts them as sent to."""
        self.tally.add(person.run_id, self.minute)
        if not person.handed:
            person.handed = True
            self.touch(person)
            self.tally.add(person.run_id, "people:sent")

    def read(self, person: Person) -> None:
        """The person has read a message; the first one counts."""
        if not person.read:
            person.read = True
            self.touch(person)
            self.tally.add(person.run_id, "people:read")

    def write(self, c: Connection) -> None:
        """Writes all of it."""
        messages.tell(c, self.news)
        recipients.save(c, self.people.values())
        messages.record_decisions(c, self.decisions, self.now)
        self.tally.write(c)


def end_all(changes: Changes, people: Iterable[Person], shapes: Mapping[Id, Shape], why: str) -> None:
    """The campaign was ended: nobody of these gets anything more."""
    for person in people:
        person.unit_id = None
        changes.advance(person, Event(Happening.ENDED, changes.now, reason=why), shapes[person.run_id])
