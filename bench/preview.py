"""`console`, second half: previews while somebody types, among as many people, and counting what a launch would send."""

from __future__ import annotations

import asyncio
import random
import time
from statistics import quantiles

import httpx

from bench.measure import Figure, Floors, Stopwatch
from bench.places import Asked
from campana.core.draft import Draft, DraftStep
from campana.core.ids import Id
from campana.store import drafts
from campana.store.choices import choices
from campana.store.drafts import Author
from campana.wiring import Installation
from tests.web.forms import filled

TYPED = 300  # changes of a text, each saved and previewed
PREVIEW_MS = 150.0  # 95th percentile
TEXT = "Hi {{name}}, we expect you on Monday. Reply YES to confirm, or STOP."


async def previewed(asked: Asked, campana: Installation, http: httpx.AsyncClient, campaign_id: Id, people: int) -> list[Figure]:
    """Answers a second to somebody who types and looks at one person after the other, and people counted a second."""
    home = await _with_steps(campana, campaign_id)
    fields = filled((await http.get(f"{home}/journey")).text, "journey")
    took: list[float] = []
    dice, watch = random.Random(1), Stopwatch(asked.place.server_cpu)
    for at in range(TYPED):
        version = (await campana.house.db.read(drafts.load, campana.workspace_id, campaign_id)).version
        fields |= {"s1.text": f"{TEXT} {at}", "version": str(version), "as": str(dice.randrange(1, people))}
        began = time.perf_counter()
        answer = await http.post(f"{home}/journey", data=fields, headers={"HX-Request": "true"})
        took.append(1000 * (time.perf_counter() - began))
        if "Saved at" not in answer.text:
            raise RuntimeError(f"A change was not saved: {answer.text[:500]}")
    typing = watch.read(TYPED)
    p50, p95 = quantiles(took, n=2)[0], quantiles(took, n=100)[94]
    counting, watch = time.perf_counter(), Stopwatch(asked.place.server_cpu)
    while "data-counting" in (await http.get(f"{home}/review")).text:  # noqa: ASYNC110 - the page itself asks again
        await asyncio.sleep(0.2)
    seconds = time.perf_counter() - counting
    floors = Floors(most_ms=PREVIEW_MS if p95 > PREVIEW_MS else None)
    said = f"p95 {p95:.0f} ms (at most {PREVIEW_MS:.0f}); every text of {people:,} people counted in {seconds:.1f} s"
    name = f"preview among {people:,} people"
    return [
        Figure(
            name, asked.place.name, "answers", typing, "one after the other", 1000 / p50, floors, p50, quantiles(took, n=100)[98],
            beside=said,
        )
    ]  # fmt: skip


async def _with_steps(campana: Installation, campaign_id: Id) -> str:
    """The draft gets an SMS and a fallback; the address its pages begin with."""
    db, now = campana.house.db, campana.house.clock.now()
    sender = (await db.read(choices, campana.workspace_id)).senders[0].id.hex()
    steps = [DraftStep(key=f"s{at}", kind=kind, sender=sender, text=TEXT) for at, kind in ((1, "primary"), (2, "fallback"))]
    row = await db.read(drafts.load, campana.workspace_id, campaign_id)
    facts = (campana.workspace_id, campaign_id, row.version, Draft(steps=tuple(steps)), Author(None, "bench"), now)
    await db.run(drafts.save, *facts)
    return f"/campaigns/{campaign_id.hex()}"
