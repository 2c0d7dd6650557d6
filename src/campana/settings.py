"""What an installation is told: from `campana.toml` and the environment (CAMPANA_..., which wins), declared once."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError, field_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict, TomlConfigSettingsSource

from campana.core.flaws import flaws
from campana.core.proxies import networks

FILE = "campana.toml"


class BadSettings(ValueError):
    """The settings cannot be used; the sentence says which and why."""


class SenderSettings(BaseModel):
    """A number or address to send from."""

    model_config = ConfigDict(extra="forbid")

    integration: str = Field(description="Name of the integration it belongs to")
    address: str = Field(description="As the vendor knows it: +15550100, a phone number id, a Messaging Service id")
    pace: float | None = Field(None, gt=0, description="Messages (SMS: segments) a second; default: the channel's")
    daily_limit: int | None = Field(None, gt=0, description="Messages (SMS: segments) in one UTC day")
    weight: Literal["messages", "segments"] | None = Field(
        None, description="What pace and daily_limit count: messages, or segments (SMS only); default: as the channel does"
    )


class Settings(BaseSettings):
    """All settings of one installation."""

    settings_file: ClassVar[Path] = Path(FILE)
    model_config = SettingsConfigDict(env_prefix="CAMPANA_", env_nested_delimiter="__", extra="forbid")

    database: str = Field("sqlite:///campana.db", description="SQLAlchemy URL of the store")
    bus: str = Field("local", description="local, or nats://host,host")
    max_pages: int | None = Field(None, gt=0, description="SQLite: at most so many pages of 4 KiB; a quota for the file")
    data: Path = Field(Path(".campana"), description="Folder for journals and working files")
    upload_mb: int = Field(200, gt=0, le=2048, description="Megabytes that a file of people uploaded in the console may have")
    secret_key: str | None = Field(
        None,
        repr=False,
        description="What credentials in the database are sealed with, 32 characters or more; several, separated by commas, to "
        "change it",
    )
    host: str = Field("127.0.0.1", description="Address to listen on; 0.0.0.0 is all of them")
    port: int = Field(8700, ge=0, le=65535)
    health_port: int | None = Field(
        None, ge=0, le=65535, description="Port for /healthz, /readyz and /metrics of a process that has no console"
    )
    log_format: Literal["auto", "json", "text"] = Field(
        "auto", description="json, text, or auto: JSON lines unless a terminal shows them"
    )
    metrics_token: SecretStr | None = Field(None, description="Who brings it may read /metrics from another machine")
    public_url: str | None = Field(
        None, description="How vendors and people reach this server from outside, as https://campana.example.com"
    )
    trusted_proxies: str | None = Field(
        None,
        description="Proxies on other machines, whose X-Forwarded-For is believed: addresses and networks, separated by commas, "
        "as 10.0.0.5, 10.1.0.0/16",
    )
    smtp_url: SecretStr | None = Field(
        None,
        description="How mails are sent: smtps://user:password@host, smtp://host:587 (STARTTLS when offered); none sends none",
    )
    mail_from: str | None = Field(None, description="Sender of the mails, as Campana <campana@example.com>")
    oidc_issuer: str | None = Field(
        None, description="OpenID Connect provider people may sign in with, as https://id.example.com"
    )
    oidc_client_id: str | None = Field(None, description="What the provider calls this installation")
    oidc_client_secret: SecretStr | None = Field(None, description="The secret it was given there; none for a public client")
    oidc_name: str = Field("single sign-on", description="What people call the provider, on the sign-in page")
    time_scale: float = Field(1.0, gt=0, description="Divides journey times: a day passes in 86400/scale seconds")
    workspace: str = Field("default", description="Workspace of the command line")
    integrations: dict[str, dict[str, Any]] = Field(default_factory=dict, description="Vendor accounts: kind and credentials")
    senders: dict[str, SenderSettings] = Field(default_factory=dict)

    @field_validator("trusted_proxies")
    @classmethod
    def _proxies(cls, text: str | None) -> str | None:
        networks(text or "")
        return text

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        toml = TomlConfigSettingsSource(settings_cls, cls.settings_file)
        return init_settings, env_settings, toml


def load_settings(file: Path | None = None, **overrides: Any) -> Settings:
    """The settings of this installation; raises BadSettings with one sentence for every field that is wrong."""
    path = file or Path(FILE)
    if file and not file.exists():
        raise BadSettings(f"There is no settings file {file}. Write one, or leave --config away.")

    class FromFile(Settings):
        settings_file = path

    try:
        return FromFile(**overrides)
    except ValidationError as error:
        said = "; ".join(flaws(error))
        raise BadSettings(f"{path} or the CAMPANA_ environment has a setting that cannot be used: {said}.") from error
    except tomllib.TOMLDecodeError as error:
        raise BadSettings(f"{path} is not TOML: {error}. Mend that place, then start again.") from error
