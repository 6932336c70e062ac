"""Reads CMPHONE_* variables strictly.  What they mean belongs to settings.py."""

import os
import re
from collections.abc import Mapping
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path


class SettingsError(Exception):
    """A variable that cannot be used; its message says which, and what would be right."""


def read_text(name: str, default: str | None = None, environ: Mapping[str, str] = os.environ) -> str:
    """Return the variable `name`, or what the file named by `name`_FILE holds, or `default`.

    Raises SettingsError when there is none of these, or both of the first two.
    """
    path = environ.get(f"{name}_FILE")
    if path is not None:
        if name in environ:
            raise SettingsError(f"Set {name} or {name}_FILE, not both.")
        try:
            return Path(path).read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            raise SettingsError(f"{name}_FILE: {path} cannot be read ({error}).") from error
    value = environ.get(name, default)
    if value is None:
        raise SettingsError(f"{name} is not set.  It has no default in production.")
    return value


def read_flag(name: str, default: bool, environ: Mapping[str, str] = os.environ) -> bool:
    """Return whether the variable `name` says yes: 1/true/yes or 0/false/no, nothing else."""
    text = read_text(name, "1" if default else "0", environ).lower()
    if text in {"1", "true", "yes"}:
        return True
    if text in {"0", "false", "no"}:
        return False
    raise SettingsError(f"{name} must be 1 or 0, not {text!r}.")


def read_list(name: str, default: str | None = None, environ: Mapping[str, str] = os.environ) -> list[str]:
    """Return the comma-separated variable `name` as a list without empty entries."""
    return [part.strip() for part in read_text(name, default, environ).split(",") if part.strip()]


def read_choice(name: str, default: str, choices: set[str], environ: Mapping[str, str] = os.environ) -> str:
    """Return the variable `name`, which must be one of `choices`."""
    text = read_text(name, default, environ)
    if text not in choices:
        raise SettingsError(f"{name} must be one of {', '.join(sorted(choices))}, not {text!r}.")
    return text


def read_key(name: str, *, shortest: int, environ: Mapping[str, str] = os.environ) -> str:
    """Return the variable `name`, which must be fit to be shown in a header and hard to guess; empty: not set."""
    text = read_text(name, "", environ)
    if text and re.fullmatch(rf"[!-~]{{{shortest},}}", text) is None:
        raise SettingsError(f"{name} must be at least {shortest} ASCII characters without spaces, or empty.")
    return text


def read_number(name: str, default: int, *, least: int, most: int, environ: Mapping[str, str] = os.environ) -> int:
    """Return the variable `name`, a whole number from `least` to `most`."""
    text = read_text(name, str(default), environ)
    if re.fullmatch("[0-9]{1,9}", text) is None or not least <= int(text) <= most:
        raise SettingsError(f"{name} must be a whole number from {least} to {most}, not {text!r}.")
    return int(text)


def read_folder(name: str, environ: Mapping[str, str] = os.environ) -> Path | None:
    """Return the folder that the variable `name` names by an absolute path; empty: None.  It need not exist yet."""
    text = read_text(name, "", environ)
    if not text:
        return None
    path = Path(text)
    if not path.is_absolute() or "\0" in text:
        raise SettingsError(f"{name} must be an absolute path such as /srv/cmphone/popups, not {text!r}.")
    return path


def read_networks(name: str, environ: Mapping[str, str] = os.environ) -> tuple[IPv4Network | IPv6Network, ...]:
    """Return the networks that the comma-separated variable `name` names; empty: none."""
    try:
        return tuple(ip_network(part) for part in read_list(name, "", environ))
    except ValueError as error:
        raise SettingsError(f"{name} names networks as in 10.1.0.0/16,fd00:1::/64 ({error}).") from error
