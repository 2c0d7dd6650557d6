"""What vendors tell of templates: the list replaces what we knew, and news is never undone by older news."""

from __future__ import annotations

import pytest

from campana.channels.contract import VendorTemplate
from campana.core.durations import DAY, HOUR, MINUTE, SECOND
from campana.store import accounts, templates
from tests.store.conftest import NOW, Begin, an_account

News = tuple[int, str | None, str | None]  # when, by the vendor's clock, its status and its category


@pytest.mark.parametrize(
    ("told", "status", "category"),
    [
        pytest.param([(1, "PAUSED", None)], "PAUSED", "UTILITY", id="news"),
        pytest.param([(-MINUTE, "PAUSED", None)], "PAUSED", "UTILITY", id="the vendor's clock is behind ours"),
        pytest.param([(-HOUR, "PAUSED", None)], "APPROVED", "UTILITY", id="older than the list"),
        pytest.param([(HOUR, "DISABLED", None), (SECOND, "APPROVED", None)], "DISABLED", "UTILITY", id="out of order"),
        pytest.param([(HOUR, "DISABLED", None), (-7 * DAY, "APPROVED", None)], "DISABLED", "UTILITY", id="repeated for days"),
        pytest.param([(HOUR, "PAUSED", None), (HOUR, "DISABLED", None)], "DISABLED", "UTILITY", id="in one second"),
        pytest.param([(HOUR, None, "MARKETING"), (MINUTE, "PAUSED", None)], "PAUSED", "MARKETING", id="of another kind"),
        pytest.param([(HOUR, None, None)], "APPROVED", "UTILITY", id="nothing"),
    ],
)
def test_news_of_a_template_is_never_undone_by_older_news(begin: Begin, told: list[News], status: str, category: str) -> None:
    with begin() as c:
        workspace_id = accounts.ensure_workspace(c, "default", NOW)
        integration_id = an_account(c, workspace_id, "wa", "whatsapp")
        templates.put_templates(c, workspace_id, integration_id, [VendorTemplate("hi", "en", "APPROVED", "UTILITY")], NOW)
        for at, news, of_category in told:
            templates.change_template(c, integration_id, "hi", "en", news, of_category, NOW + at)
        found = templates.find_template(c, integration_id, "hi", "en")
    assert (found.status, found.category) == (status, category)
