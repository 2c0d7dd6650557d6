"""The documentation is complete and says nothing that is not so: every field, setting, command and reason stands in it."""

from __future__ import annotations

import ast
import os
import re
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml
from pydantic import BaseModel
from pydantic_core import PydanticUndefined

from campana.channels import infobip_sms, twilio_sms, whatsapp
from campana.channels.registry import channels
from campana.cli import app
from campana.core import campaign, phones
from campana.core.audience import REASONS
from campana.core.failure import Class
from campana.core.journey import Outcome
from campana.metrics import Metrics
from campana.settings import SenderSettings, Settings, load_settings
from campana.sources.forms import Limits
from campana.standin import config, control, faults
from campana.store.health import Figures, SenderPace
from campana.web import exposition
from campana.wiring import read_accounts

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
ROW = re.compile(r"\|\s*(`[^|]*?)\s*\|(.*)\|")
LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)")
PAGES = sorted([ROOT / "README.md", ROOT / "CHANGELOG.md", *DOCS.glob("*.md")])


def tables(page: str) -> dict[str, dict[str, str]]:
    """The rows of a page by heading and by the code in the first cell."""
    found: dict[str, dict[str, str]] = {}
    heading = ""
    for line in (DOCS / page).read_text(encoding="utf-8").splitlines():
        if line.startswith("#"):
            heading = line.lstrip("# ")
        elif row := ROW.fullmatch(line):
            found.setdefault(heading, {})[row[1].split("`")[1]] = row[2]
    return found


def fields(model: type[BaseModel], without: type[BaseModel] | None = None) -> dict[str, Any]:
    """The fields of a model by the name people write."""
    inherited = set(without.model_fields) if without else set()
    return {field.alias or name: field for name, field in model.model_fields.items() if name not in inherited}


MODELS = [
    ("campaign-file.md", "The file", campaign.CampaignFile, None),
    ("campaign-file.md", "audience", campaign.AudienceSpec, None),
    ("campaign-file.md", "A message", campaign.Message, None),
    ("campaign-file.md", "A follow-up", campaign.FollowUp, campaign.Message),
    ("campaign-file.md", "hours", campaign.Hours, None),
    ("campaign-file.md", "canary", campaign.Canary, None),
    ("campaign-file.md", "limits", campaign.Limits, None),
    ("settings.md", "The installation", Settings, None),
    ("settings.md", "A sender", SenderSettings, None),
    ("settings.md", "WhatsApp", whatsapp.Settings, None),
    ("settings.md", "Twilio SMS", twilio_sms.Settings, None),
    ("settings.md", "Infobip SMS", infobip_sms.Settings, None),
    ("stand-in.md", "The configuration", config.StandinConfig, None),
    ("stand-in.md", "twilio", config.TwilioConfig, None),
    ("stand-in.md", "whatsapp", config.WhatsAppConfig, None),
    ("stand-in.md", "infobip", config.InfobipConfig, None),
    ("stand-in.md", "Receipts", config.Receipts, None),
    ("stand-in.md", "Faults", faults.Faults, None),
    ("stand-in.md", "Odds", faults.Odds, None),
    ("stand-in.md", "Strange receipts", faults.ReceiptOdds, None),
    ("stand-in.md", "A rule", faults.Rule, None),
    ("stand-in.md", "A reply", faults.Reply, None),
]
IDS = [f"{page}:{heading}" for page, heading, *_ in MODELS]
SAID_WITH_HELP = [row for row in MODELS if row[0] == "settings.md"]


@pytest.mark.parametrize(("page", "heading", "model", "without"), MODELS, ids=IDS)
def test_every_field_is_told_and_no_other(
    page: str, heading: str, model: type[BaseModel], without: type[BaseModel] | None
) -> None:
    assert list(tables(page)[heading]) == list(fields(model, without))


@pytest.mark.parametrize(("page", "heading", "model", "without"), SAID_WITH_HELP, ids=[row[1] for row in SAID_WITH_HELP])
def test_settings_are_told_in_the_words_of_their_help(
    page: str, heading: str, model: type[BaseModel], without: type[BaseModel] | None
) -> None:
    rows = tables(page)[heading]
    for name, field in fields(model).items():
        assert (field.description or "") in rows[name]
        if field.default not in (None, PydanticUndefined):
            assert f"`{field.default}`" in rows[name], name


def test_the_campaign_schema_holds_nothing_that_is_not_told() -> None:
    schema = campaign.json_schema()
    models = {"CampaignFile": schema, **schema["$defs"]}
    told = {name for rows in tables("campaign-file.md").values() for name in rows}
    assert {name for model in models.values() for name in model["properties"]} == told


def commands() -> dict[str, Any]:
    """Every command by what people type, those of a group too."""
    found = dict(typer.main.get_command(app).commands)  # type: ignore[attr-defined]
    for name, group in list(found.items()):
        if hasattr(group, "commands"):
            del found[name]
            found |= {f"{name} {inner}": command for inner, command in group.commands.items()}
    return found


def test_every_command_and_option_is_told() -> None:
    told = {" ".join(word for word in heading.split()[1:] if word.islower()): rows
            for heading, rows in tables("command-line.md").items() if heading.startswith("campana ")}  # fmt: skip
    text = (DOCS / "command-line.md").read_text(encoding="utf-8")
    headings = [re.sub(r"\s[A-Z\[].*", "", found) for found in re.findall(r"^## campana (.+)", text, re.MULTILINE)]
    assert sorted(headings) == sorted(commands())
    for name, command in commands().items():
        asked = {one.opts[0] if one.opts[0].startswith("-") else one.metavar or one.opts[0].upper() for one in command.params}
        assert set(told.get(name, {})) == asked - {"--help"}, name


def test_every_outcome_is_told() -> None:
    assert list(tables("command-line.md")["Outcomes"]) == list(Outcome)


def test_every_reason_for_leaving_a_row_out_is_told_in_its_words() -> None:
    rows = tables("audience-files.md")["Problems"]
    assert list(rows) == list(REASONS)
    assert [reason for reason, words in REASONS.items() if words not in rows[reason]] == []


def test_every_warning_is_told() -> None:
    source = ast.parse(Path(phones.__file__).read_text(encoding="utf-8"))
    made = [node.args for node in ast.walk(source) if isinstance(node, ast.Call) and ast.unparse(node.func) == "Phone"]
    given = {args[2].value for args in made if len(args) == 3 and isinstance(args[2], ast.Constant)}
    assert set(tables("audience-files.md")["Warnings"]) == given


def test_the_limits_of_a_file_are_those_told() -> None:
    page = (DOCS / "audience-files.md").read_text(encoding="utf-8")
    limits = Limits()
    gib = limits.file_bytes >> 30
    for line in (f"file | {gib} GiB", f"rows | {limits.rows:,}", f"columns | {limits.columns}", f"one cell | {limits.cell:,} "):
        assert f"| {line}" in page


def test_every_request_the_stand_in_listens_to_is_told() -> None:
    told = set(tables("stand-in.md")["Telling it what to do"])
    source = Path(control.__file__).read_text(encoding="utf-8")
    assert told == {f"{method} /_standin/{name}" for method, name in re.findall(r'\("(GET|POST)", "(\w+)"\)', source)}


def metrics() -> dict[str, tuple[str, ...]]:
    """Every metric by the name people ask for, with its labels."""
    figures = Figures(*[0] * 11, senders=[SenderPace("default", "clinic", 0.0, False)])
    counted = Metrics()
    counted.called("channel", ["accepted"], 0.1)
    counted.hooked("taken")
    counted.stumbled("inbox")
    families = [*exposition.of_process(counted, "1", "serve", False), *exposition.of_bus(0, 0, 0), *exposition.of_store(figures)]
    totals = {family.name: family.name + "_total" * (family.type == "counter") for family in families}
    return {totals[one.name]: tuple(name for name in one.samples[0].labels if name != "le") for one in families}


def test_every_metric_is_told_with_its_labels() -> None:
    told = {name: cells.split("|")[0].strip() for name, cells in tables("operations.md")["Metrics"].items()}
    assert told == {name: ", ".join(labels) for name, labels in metrics().items()}


def test_every_result_of_a_call_is_told() -> None:
    told = set(tables("operations.md")["Results"])
    assert told == {"accepted", "throttled", "lost", "unsent", *set(Class) - {Class.UNKNOWN}}


def test_alarms_ask_for_metrics_there_are() -> None:
    groups = yaml.safe_load((ROOT / "deploy/alerts.yml").read_text(encoding="utf-8"))["groups"]
    asked = {name for group in groups for rule in group["rules"] for name in re.findall(r"campana_\w+", rule["expr"])}
    known = set(metrics()) | {name + "_bucket" for name in metrics()}
    assert len(asked) > 10
    assert asked <= known


def test_the_examples_are_what_they_say(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("CAMPANA_")]:
        monkeypatch.delenv(name)
    settings = load_settings(ROOT / "examples/campana.toml")
    accounts = {name for name, _, _ in read_accounts(settings, channels())}
    file = campaign.CampaignFile.model_validate(yaml.safe_load((ROOT / "examples/campaign.yaml").read_text(encoding="utf-8")))
    used = {file.primary.sender, *(one.sender for one in [*file.fallbacks, *file.follow_ups])}
    assert used <= set(settings.senders)
    vendors = config.load_config(ROOT / "examples/standin.yaml")
    assert (file.primary.template, file.primary.language) in [
        (one["name"], one["language"]) for one in vendors.whatsapp.templates
    ]
    for address in (vendors.whatsapp.callback_url, vendors.twilio.inbound_url):
        assert address is not None
        assert address.removeprefix(f"http://127.0.0.1:{settings.port}/hooks/") in accounts


@pytest.mark.parametrize("page", PAGES, ids=[page.name for page in PAGES])
def test_links_lead_somewhere(page: Path) -> None:
    for target in LINK.findall(page.read_text(encoding="utf-8")):
        path, _, anchor = target.partition("#")
        if "://" in path:
            continue
        found = (page.parent / path) if path else page
        assert found.exists(), target
        if anchor:
            headings = re.findall(r"^#+ (.*)$", found.read_text(encoding="utf-8"), re.MULTILINE)
            assert anchor in {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}, target


def test_campaigns_shown_in_the_pages_are_campaigns() -> None:
    texts = [page.read_text(encoding="utf-8") for page in PAGES]
    blocks = [block for text in texts for block in re.findall(r"```yaml\n(.*?)```", text, re.DOTALL) if "primary:" in block]
    assert len(blocks) >= 2
    for block in blocks:
        campaign.CampaignFile.model_validate(yaml.safe_load(block))
