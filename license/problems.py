"""Problems of licence and seats, and the texts that explain a refused licence file."""

from django.utils.functional import Promise
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from cmphone.problems import Conflict, InvalidRequest, LicenseExhausted, Problem
from license.files import Refusal

REFUSALS: dict[Refusal, Promise] = {
    Refusal.NOT_TEXT: _("This is not a text file in UTF-8. Import the file as you received it, or save it as UTF-8."),
    Refusal.TOO_LARGE: _("The file is larger than 100 kB: it is hardly a licence."),
    Refusal.NO_SECTION: _("The file has no section [%(subject)s]."),
    Refusal.MALFORMED_LINE: _("This is neither a [SECTION] nor a line of the form key=value nor a comment."),
    Refusal.KEY_OUTSIDE_SECTION: _("The key %(subject)s stands before the first section."),
    Refusal.DUPLICATE_SECTION: _("There is a section [%(subject)s] already."),
    Refusal.DUPLICATE_KEY: _("The section has the key %(subject)s already."),
    Refusal.MISSING_KEY: _("The section has no %(subject)s, or an empty one."),
    Refusal.BAD_DATE: _("“%(subject)s” is not a date of the form dd.mm.yyyy."),
    Refusal.BAD_COUNT: _("“%(subject)s” is not a number of licences: a whole number that is not negative."),
    Refusal.BAD_SIGNATURE: _(
        "The signature of section [%(subject)s] is wrong: the section was changed, or this server has "
        "another key than the one it was signed with."
    ),
    Refusal.DEMO_SIGNED: _("This is a demo licence, which does not count in production."),
    Refusal.UNUSABLE_KEY: _(
        "This server has no key to verify licences with. Set CMPHONE_LICENSE_PUBLIC_KEY to the public key "
        "that came with your licence."
    ),
    Refusal.OTHER_PRODUCT: _("The licence is for another product (%(subject)s), not for CM/Phone."),
    Refusal.EXPIRED: _("The licence expired on %(subject)s."),
    Refusal.TOO_MANY_USERS: _(
        "More users are active (%(active)d) than section [%(subject)s] names (%(named)d). Deactivate %(excess)d, or "
        "ask for a licence that names more."
    ),
}


class LicenseRefused(InvalidRequest):
    """A licence file that does not come into force; the licence before it stays in force."""

    def __init__(self, code: Refusal, *, line: int | None = None, subject: str = "", **numbers: int) -> None:
        detail = str(REFUSALS[code]) % {"subject": subject, **numbers}
        if line is not None:
            detail = gettext("Line %(line)d: %(reason)s") % {"line": line, "reason": detail}
        super().__init__(detail, errors=[{"pointer": "#/license", "code": code.value, "detail": detail}], **numbers)
        self.code = code
        self.line = line


class LicenseOvertaken(Conflict):
    """Another licence came into force than the one that this one was compared with."""

    title = _("Another licence was imported meanwhile.")


class NoFreeLicense(LicenseExhausted):
    """Every seat is held by another client."""

    title = _("Every seat of the licence is taken.")

    def __init__(self, *, licensed: int, in_use: int, retry_after: int) -> None:
        detail = gettext("All %(licensed)d seats are in use.") % {"licensed": licensed}
        super().__init__(detail, retry_after=retry_after, licensed=licensed, in_use=in_use)
        self.licensed = licensed
        self.in_use = in_use


class LicenseMissing(Problem):
    """No licence for CM/Phone is in force."""

    slug, title, status = "license-missing", _("This server has no licence for CM/Phone."), 403


class LicenseExpired(Problem):
    """The licence is over."""

    slug, title, status = "license-expired", _("The licence of this server has expired."), 403
