"""`campana forget-credentials`: a way on after the key is lost."""

from __future__ import annotations

from campana.cli.show import reading
from campana.cli.words import say
from campana.clock import SystemClock
from campana.engine.launch import Refused
from campana.settings import Settings
from campana.store import integrations
from campana.vault import WrongKey, open_vault
from campana.wiring import only_process


async def forget(settings: Settings) -> int:
    """Empties what nobody can open any more. Refuses while the key at hand opens it."""
    vault = open_vault(settings.secret_key, settings.data)
    with only_process(settings.database), reading(settings) as db:
        proof = await db.run(integrations.proof)
        try:
            if proof is not None:
                vault.open(proof)
            raise Refused(f"Nothing is lost: the key in {vault.source} opens what is sealed. Nothing was forgotten.")
        except WrongKey:
            accounts, factors = await db.run(integrations.forget_sealed, SystemClock().now())
    say(
        f"Forgotten: the credentials of {accounts} integrations, and {factors} second factors of people who sign in. "
        "Start Campana, and enter the credentials again under Integrations; those of campana.toml come back by themselves."
    )
    return 0
