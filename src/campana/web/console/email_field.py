"""The e-mail address of a form: one check for all of them, the same as for the people of a campaign."""

from __future__ import annotations

from campana.core.emails import EmailProblem, parse_email


def read_email(text: str) -> tuple[str, str]:
    """The address that was typed, and the word for what is wrong with it: one of the two is empty."""
    found = parse_email(text)
    if isinstance(found, EmailProblem):
        return "", "email_wanted" if found.code == "missing" else f"email_{found.code}"
    return found, ""
