"""The audit log: the newest first, filtered, and of one workspace only."""

from __future__ import annotations

from campana.core.ids import new_id
from campana.store import accounts, audit
from tests.store.conftest import NOW, Begin


def test_the_log_tells_who_did_what_the_newest_first(begin: Begin) -> None:
    with begin() as c:
        ours, theirs = (accounts.ensure_workspace(c, name, NOW) for name in ("default", "other"))
        ana = new_id(NOW)
        audit.note(
            c, ours, ana, "ana@example.com", "campaign.launched", "Spring", NOW, object_id=new_id(NOW), details={"people": 7}
        )
        audit.note(c, ours, None, "campana", "integration.changed", "sms", NOW + 1, address="127.0.0.1")
        audit.note(c, theirs, ana, "ana@example.com", "campaign.launched", "Theirs", NOW + 2)
        assert [(one.what, one.about, one.details) for one in audit.entries(c, ours)] == [
            ("integration.changed", "sms", {}),
            ("campaign.launched", "Spring", {"people": 7}),
        ]
        assert [one.about for one in audit.entries(c, ours, who="ana@example.com")] == ["Spring"]
        assert [one.about for one in audit.entries(c, ours, what="integration.changed")] == ["sms"]
        assert [one.about for one in audit.entries(c, ours, offset=1, limit=1)] == ["Spring"]
        assert audit.known(c, ours) == (["ana@example.com", "campana"], ["campaign.launched", "integration.changed"])
