"""Every setting of ours: typed, from the environment, with its default and its reason.

`settings()` reads the environment once. docs/settings.md is generated from this package
(`manage.py document_settings`), so that each setting is described in one place: `serving.py` has
those of the process, `charging.py` those of what it does, `files.py` those of firmware and
diagnostics, `texts.py` how their texts are read.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from functools import cache
from pathlib import Path
from typing import Any

from csms.conf.files import Files
from csms.conf.texts import DEADLINES, Network

__all__ = ["DEADLINES", "Network", "SettingError", "Settings", "change", "read", "settings"]


class SettingError(ValueError):
    """A setting's text cannot be used; the message says which and what it should look like."""


@dataclass(frozen=True, slots=True)
class Settings(Files):
    """The settings, read from the environment."""


def read(environment: Mapping[str, str]) -> Settings:
    """The settings of an environment; SettingError names the setting whose text is wrong.

    Each setting NAME may instead be the text of a file that NAME_FILE names, so that secrets stay
    out of the environment; such a text is repeated in no error.
    """
    names = setting_names()
    values: dict[str, Any] = {}
    for setting in fields(Settings):
        name, file = setting.metadata["name"], f"{setting.metadata['name']}_FILE"
        from_file = file in environment and file not in names
        if from_file and environment.get(name):
            raise SettingError(f"{name} and {file} are both given: leave one out.")
        text = (
            _text_of(file, environment[file])
            if from_file
            else environment.get(name, setting.metadata["default"])
        )
        try:
            values[setting.name] = setting.metadata["read"](text)
        except ValueError as error:
            if from_file:
                raise SettingError(
                    f"What {file}={environment[file]} holds cannot be used."
                ) from None
            raise SettingError(f"{name}={text!r} cannot be used: {error}.") from error
    return Settings(**values)


def _text_of(file: str, path: str) -> str:
    """The text of a file, without the line's end that editors add."""
    try:
        return Path(path).read_text("utf-8").rstrip("\r\n")
    except OSError as error:
        raise SettingError(f"{file}={path} cannot be read: {error.strerror}.") from None
    except UnicodeDecodeError:
        raise SettingError(f"{file}={path} is no text.") from None


def setting_names() -> frozenset[str]:
    """The names that settings have in the environment, without those of files."""
    return frozenset(setting.metadata["name"] for setting in fields(Settings))


_changed: dict[str, Any] = {}


@cache
def settings() -> Settings:
    """The settings of this process."""
    return replace(read(os.environ), **_changed)


def change(**values: Any) -> None:
    """Let settings differ from the environment in this process, as its command line says; by their
    names in Settings."""
    _changed.update(values)
    settings.cache_clear()


def unknown_names(environment: Mapping[str, str] | None = None) -> list[str]:
    """Names in the environment that look like settings of ours and are none: misspelt, perhaps."""
    names = setting_names()
    known = names | {f"{name}_FILE" for name in names}
    named = os.environ if environment is None else environment
    return sorted(
        name
        for name in named
        if name.startswith("CSMS_")
        and name not in known
        and not name.startswith(("CSMS_TEST_", "CSMS_NO_SKIP", "CSMS_CONTRACTS"))
    )
