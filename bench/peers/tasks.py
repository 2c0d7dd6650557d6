"""The peer itself, as its own documentation would have it. Runs in an environment of its own: nothing of Campana is here."""

from __future__ import annotations

import os
import sys

import redis
import requests
from celery import Celery

REDIS = os.environ["PEERS_REDIS"]
VENDOR = os.environ["PEERS_VENDOR"]
MARK_FIRST = os.environ.get("PEERS_MARK") != "after"

app = Celery("bench.peers.tasks", broker=REDIS)
app.conf.update(
    task_ignore_result=True,
    task_acks_late=True,  # else a task is gone with the worker that has it
    task_reject_on_worker_lost=True,
    worker_prefetch_multiplier=4,
    # An hour and five minutes when nothing is said: nobody would wait for it here.
    broker_transport_options={"visibility_timeout": 5, "unacked_mutex_expire": 5},
    broker_connection_retry_on_startup=True,
)
marks = redis.Redis.from_url(REDIS)
session = requests.Session()


@app.task
def send(number: int, name: str, day: str) -> None:
    """One message. Whoever is marked is not written to again."""
    mark = f"sent:{number}"
    if MARK_FIRST and not marks.set(mark, 1, nx=True):
        return
    if not MARK_FIRST and marks.exists(mark):
        return
    form = {"To": f"+5255{10_000_000 + number}", "From": "+15550100", "Body": f"Hi {name}, see you on {day}."}
    answer = session.post(VENDOR, data=form, auth=("AC0", "bench"), timeout=15)
    answer.raise_for_status()
    if not MARK_FIRST:
        marks.set(mark, 1)


if __name__ == "__main__":  # puts the tasks of so many people into the queue
    for at in range(int(sys.argv[1])):
        send.delay(at, f"Ana {at}", "2027-01-01")
