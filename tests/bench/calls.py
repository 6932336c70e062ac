"""The calls of each case: what the telephone system presents, and the request that asks the product about it.  Pure."""

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from urllib.parse import quote

import orjson

from tests.bench.data import HOUSE, WITH_SWITCHBOARD, GroupData, Number, Site

# A list of requests is walked through again and again.
REQUESTS = 20_000
BATCH = 100
CLIENTS = 16
HOME = "49"
WITHHELD = ("", "anonymous", "Anonymous <sip:anonymous@anonymous.invalid>", "unknown", "private")


@dataclass(frozen=True, slots=True)
class Call:
    """A caller's number as it is presented, and the canonical number that the yardstick looks up."""

    presented: str
    canonical: str


@dataclass(frozen=True, slots=True)
class Request:
    """A request; a `body` is JSON.  `if_none_match`: what the client has already, `*` is whatever there is."""

    path: str
    body: str = ""
    method: str = "GET"
    if_none_match: str = ""


def present(number: Number, chance: random.Random) -> str:
    """Return the number in one of the ways in which a German telephone system with outside-line code 0 presents it."""
    ways = [f"+{number.canonical}", f"00{number.canonical}", f"000{number.canonical}", number.canonical]
    if number.country == HOME:
        ways += [f"0{number.national}", f"00{number.national}"]
    return chance.choice(ways)


def call_of_contact(groups: Sequence[GroupData], chance: random.Random) -> Call:
    """A contact calls."""
    group = chance.choice(groups)
    number = group.number(chance.randrange(group.count))
    return Call(present(number, chance), number.canonical)


def call_of_stranger(groups: Sequence[GroupData], chance: random.Random) -> Call:
    """Somebody calls whose number is like those of the contacts, but nobody's."""
    group = chance.choice(groups)
    number = group.number(group.count + chance.randrange(group.count))
    return Call(present(number, chance), number.canonical)


def call_of_company(groups: Sequence[GroupData], chance: random.Random) -> Call:
    """Somebody calls from a company whose switchboard is a contact; his own extension is not."""
    group = chance.choice([group for group in groups if group.spec.country in WITH_SWITCHBOARD])
    line = group.number(chance.randrange(0, group.count, HOUSE)).line
    # With two digits or more: the switchboard's zero is a contact's.
    extension = str(chance.randrange(10, 10_000))
    country = group.spec.country
    number = Number(country, line.removeprefix(country) + extension, area=3)
    return Call(present(number, chance), number.canonical)


def call_without_area(groups: Sequence[GroupData], chance: random.Random) -> Call:
    """A contact calls, and the telephone system leaves out his area code."""
    group = chance.choice([group for group in groups if group.spec.country == HOME and not group.spec.area])
    while True:
        number = group.number(chance.randrange(group.count))
        local = number.national[number.area :]
        if not number.has_switchboard and not local.startswith("0"):
            return Call(local, number.canonical)


def withheld_call(groups: Sequence[GroupData], chance: random.Random) -> Call:
    """The caller hides his number; the yardstick looks one up all the same."""
    return Call(chance.choice(WITHHELD), call_of_contact(groups, chance).canonical)


def post(path: str, body: object) -> Request:
    """Return the request that posts `body`."""
    return Request(path, orjson.dumps(body).decode(), "POST")


def look_up(calls: Sequence[Call]) -> list[Request]:
    """One look-up each."""
    return [Request(f"/api/v1/lookup?number={quote(call.presented, safe='')}") for call in calls]


def look_up_in_batches(calls: Sequence[Call]) -> list[Request]:
    """So many in one request as it takes."""
    batches = (calls[start : start + BATCH] for start in range(0, len(calls), BATCH))
    return [post("/api/v1/lookup/batch", {"numbers": [call.presented for call in batch]}) for batch in batches]


def search_by_typing(calls: Sequence[Call]) -> list[Request]:
    """Six digits out of the middle, as somebody remembers them."""
    return [Request(f"/api/v1/contacts?phone={call.canonical[3:9]}") for call in calls]


def look_up_canonical(calls: Sequence[Call]) -> list[Request]:
    """The same callers for the yardstick, which wants the canonical number."""
    return [Request(f"/?canonical={call.canonical}") for call in calls]


def show_life(_calls: Sequence[Call]) -> list[Request]:
    """Every client shows in its turn that it lives; nobody calls."""
    return [Request("/api/v1/sessions/current", method="PUT")] * CLIENTS


def ask_for_manifest(_calls: Sequence[Call]) -> list[Request]:
    """Every client asks for the manifest in its turn, as when it starts."""
    return [Request("/api/v1/popup-templates")] * CLIENTS


def ask_for_changed_manifest(_calls: Sequence[Call]) -> list[Request]:
    """Every client asks whether the manifest is still the one that it has, and it is."""
    return [Request("/api/v1/popup-templates", if_none_match="*")] * CLIENTS


def renew_log_ins(_calls: Sequence[Call]) -> list[Request]:
    """Clients of their own log in again and again, as the others' tokens are still needed."""
    # Not above: there the settings have not been read yet.
    from tests.bench.load import USERNAME
    from tests.make import PASSWORD

    return [
        post("/api/v1/sessions", {"username": USERNAME, "password": PASSWORD, "client_id": f"renewing-{number}"})
        for number in range(CLIENTS)
    ]


def touch_yardstick(_calls: Sequence[Call]) -> list[Request]:
    """As many rows as there are clients are written in turn."""
    return [Request(f"/touch?id={number}") for number in range(CLIENTS)]


@dataclass(frozen=True)
class Case:
    """What is measured.  `match`: what the product is expected to answer; empty where it answers otherwise.

    `ask` makes the product's requests of the calls, `ask_yardstick` the yardstick's; a request of the product may
    take several calls, as `calls_per_request` says.  `probes`: how many calls are looked at before it is measured.
    """

    name: str
    title: str
    match: str
    make_call: Callable[[Sequence[GroupData], random.Random], Call]
    ask: Callable[[Sequence[Call]], list[Request]]
    calls_per_request: int = 1
    ask_yardstick: Callable[[Sequence[Call]], list[Request]] = look_up_canonical
    probes: int = 200

    def make_calls(self, site: Site, count: int = REQUESTS) -> list[Call]:
        """Return calls, the same ones for the same site."""
        groups = [group for group in site.groups if group.spec.is_visible]
        chance = random.Random(f"{site.seed}/{self.name}")
        return [self.make_call(groups, chance) for _ in range(count)]


EXACT = Case("exact", "exact hit", "exact", call_of_contact, look_up)
CASES = (
    EXACT,
    Case("miss", "miss", "none", call_of_stranger, look_up),
    Case("company", "company's block", "company", call_of_company, look_up),
    Case("tail", "number without area", "tail", call_without_area, look_up),
    Case("withheld", "withheld", "withheld", withheld_call, look_up),
    Case("search", "typed search, 6 digits", "", call_of_contact, search_by_typing),
    Case("batch", f"batch of {BATCH}", "exact", call_of_contact, look_up_in_batches, BATCH),
    Case("rebuild", "exact hit during a rebuild", "exact", call_of_contact, look_up),
    Case("scale", "exact hit in 10,000 numbers", "exact", call_of_contact, look_up),
    Case("heartbeat", "heartbeat", "", withheld_call, show_life, ask_yardstick=touch_yardstick),
    Case("manifest", "manifest", "", call_of_contact, ask_for_manifest),
    Case("unchanged", "manifest, unchanged: 304", "", call_of_contact, ask_for_changed_manifest),
    Case("login", "log-in", "", withheld_call, renew_log_ins, ask_yardstick=touch_yardstick, probes=CLIENTS),
)
