"""Finds who is calling: reads the numbers by the configuration in force, and has the index searched once.

Every surface that looks a caller up comes here: the API, and the administration's trials.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from cmphone.access.credentials import Credentials, hash_key
from cmphone.access.models import Scope
from cmphone.access.services import TOUCH_AFTER, authenticate_key
from cmphone.contacts.configuration import Configuration, get_configuration
from cmphone.contacts.models import User
from cmphone.contacts.naming import show_number
from cmphone.prepared import prepared_cursor
from cmphone.problems import NotAuthenticated
from license.models import TOUCH_AFTER_AT_MOST
from license.services import authenticate
from license.tokens import hash_token
from numbering.dialing import Dialling, dial
from numbering.reading import Reading, read_presented
from numbering.selectors import Asker, Found, KeyHash, KnownUser, Search, SessionToken, find_callers
from templates_store.rendering import NUMBER, put_number


@dataclass(frozen=True, slots=True)
class Call:
    """A number as it was presented, its readings as far as who asks may know them, the one that counts, and who
    was found.
    """

    raw: str
    readings: Sequence[Reading]
    reading: Reading
    found: Found


@dataclass(frozen=True, slots=True)
class Answer:
    """Calls, in the order of their numbers, with what the search saw and the configuration that they were read by."""

    calls: Sequence[Call]
    search: Search
    configuration: Configuration

    def dial(self, call: Call) -> Dialling:
        """Return what to dial to call back, for who asked."""
        own_lines = self.configuration.list_own_lines(self.search.visible_groups)
        return dial(call.reading, self.configuration.site, own_lines)

    def find(self, number: str) -> Call:
        """Return the call from this number, which is one of those that were asked for."""
        return next(call for call in self.calls if call.raw == number)


# All that an answer depends on beside the numbers: who has the same is answered the same.
_LIST_ALIKE = """
select u.language, a.visible_groups, a.case_groups, a.can_create, array_agg(u.id)
from contacts_user u
join contacts_access a on a.user_id = u.id
where u.id = any ($1::bigint[]) and u.is_active
group by u.language, a.visible_groups, a.case_groups, a.can_create
"""


@dataclass(frozen=True, slots=True)
class _View:
    language: str
    visible_groups: frozenset[int]
    case_groups: frozenset[int]
    can_create: bool


def look_up(numbers: Sequence[str], *, who: Credentials | User | KnownUser) -> Answer:
    """Find who is calling from these numbers, for who shows a session's token or an API key, or is known otherwise.

    One statement for all of them, unless the configuration has just changed, or a sign of life is due.
    Raises NotAuthenticated for a token or key that is nobody's (any more), and for a user who is not active;
    PermissionDenied for a key that is not good for look-ups.
    """
    configuration = get_configuration()
    while True:
        readings = [read_presented(each, configuration.site, configuration.inside_plans) for each in numbers]
        search = find_callers(
            who=_identify(who, configuration), numbers=readings, site=configuration.site, tiers=configuration.tiers
        )
        if search.version == configuration.version:
            break
        configuration = get_configuration(search.version)
    if isinstance(who, Credentials) and (search.user_id is None or search.is_touch_due):
        _show_life(who)
    if search.user_id is None:
        raise NotAuthenticated
    calls = [_read_call(*each, search) for each in zip(numbers, readings, search.found, strict=True)]
    return Answer(calls, search, configuration)


def look_up_for_each(numbers: Mapping[int, Collection[str]]) -> dict[int, Answer]:
    """Find who is calling from these numbers of each of these users (ids), whose language and rights are those of the
    moment.  Who is not active is left out.

    Those who may see the same share one answer, of all their numbers: a statement for each such answer, and one more.
    """
    answers: dict[int, Answer] = {}
    for view, alike in _list_alike(numbers):
        wanted = list(dict.fromkeys(number for user_id in alike for number in numbers[user_id]))
        answer = _look_up_if_active(wanted, alike[0])
        if answer is not None and _read_view(answer.search) == view:
            answers |= dict.fromkeys(alike, answer)
            continue
        # The rights or the language of the one who asked for all have changed since: each asks for himself.
        for user_id in alike:
            if (own := _look_up_if_active(list(numbers[user_id]), user_id)) is not None:
                answers[user_id] = own
    return answers


def _list_alike(users: Collection[int]) -> Iterator[tuple[_View, list[int]]]:
    with prepared_cursor() as cursor:
        cursor.execute(_LIST_ALIKE, [list(users)])
        rows = cursor.fetchall()
    for language, visible, cases, can_create, alike in rows:
        yield _View(language, frozenset(visible), frozenset(cases), can_create), alike


def _read_view(search: Search) -> _View:
    return _View(search.language, search.visible_groups, search.case_groups, search.can_create)


def _look_up_if_active(numbers: Sequence[str], user_id: int) -> Answer | None:
    try:
        return look_up(numbers, who=KnownUser(user_id))
    except NotAuthenticated:
        return None


def _identify(who: Credentials | User | KnownUser, configuration: Configuration) -> Asker:
    match who:
        case KnownUser():
            return who
        case User():
            return KnownUser(who.pk)
        case Credentials(scheme="api-key"):
            return KeyHash(hash_key(who.secret), touch_after=TOUCH_AFTER)
    timeout = configuration.rest_session_timeout
    return SessionToken(hash_token(who.secret), timeout=timeout, touch_after=min(TOUCH_AFTER_AT_MOST, timeout / 4))


def _show_life(who: Credentials) -> None:
    """Write the sign of life, or say why somebody is nobody."""
    if who.scheme == "api-key":
        authenticate_key(who.secret, scope=Scope.LOOKUP)
    else:
        authenticate(who.secret)


def _read_call(raw: str, readings: Sequence[Reading], found: Found, search: Search) -> Call:
    # What the plan of a hidden customer group makes of a number is not told.
    known = [r for r in readings if not r.plan_key or int(r.plan_key) in search.visible_groups]
    reading = known[0] if found.reading is None else readings[found.reading]
    return Call(raw, known, reading, _put_number(found, reading))


def _put_number(found: Found, reading: Reading) -> Found:
    """Put the number into the names that say so: they were rendered when nobody called."""
    if not any(NUMBER in hit.name_details or NUMBER in hit.name_list for hit in found.hits):
        return found
    number = show_number(reading)
    hits = (
        replace(hit, name_details=put_number(hit.name_details, number), name_list=put_number(hit.name_list, number))
        for hit in found.hits
    )
    return replace(found, hits=tuple(hits))
