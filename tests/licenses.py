"""Licence files for tests, signed with the published demo key."""

from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from license.files import parse_license, read_private_key, sign_license

DEMO_FOLDER = Path(__file__).resolve().parent.parent / "deploy" / "demo"
DEMO_LICENSE = DEMO_FOLDER / "license.txt"
DEMO_KEY = read_private_key((DEMO_FOLDER / "license_key.txt").read_text(encoding="utf-8"))


def make_section(
    name: str = "REST_USERS",
    *,
    products: str = "CM/Phone",
    expires: str = "31.12.2099",
    licenses: int | str = 10,
    more: str = "",
) -> str:
    """Return a section without signature; `more` are further lines."""
    return (
        f"[{name}]\ncontractParty=Müller & Söhne\nproducts={products}\nversion=1\n"
        f"expirationDate={expires}\nlicenses={licenses}\n{more}"
    )


def make_license(*sections: str, key: Ed25519PrivateKey = DEMO_KEY) -> str:
    """Return the signed file of these sections, or of one for 10 seats."""
    return sign_license("\n".join(sections or [make_section()]), private_key=key)


def replace_signed(text: str, old: str, new: str) -> str:
    """Change a signed file without signing it again."""
    assert old in parse_license(text).text
    return text.replace(old, new)
