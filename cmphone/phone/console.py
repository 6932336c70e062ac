"""What the user types, and what he sees.  One thread works; what comes in from the others waits in one queue."""

import contextlib
import re
import threading
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from queue import SimpleQueue
from typing import Any

from django.utils import translation
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from cmphone.phone import VERSION
from cmphone.phone.calls import Telephone
from cmphone.phone.popup_text import clean, make_text
from cmphone.phone.server import Refused, TryLater
from cmphone.phone.session import Backoff, Session, SessionEnded
from cmphone.phone.templates import Templates

CONFIG = "/api/v1/client-config"
# The version of the configuration says nothing of new releases.
CONFIG_SECONDS = 3600
END_OF_INPUT = None


class Mistake(Exception):
    """A command that was typed wrongly, or at the wrong moment; the message says what is wrong."""


class Console:
    """One client: `say` takes each line that it shows, which holds nothing that controls a terminal."""

    def __init__(self, session: Session, *, folder: Path, say: Callable[[str], None]) -> None:
        self.session = session
        self.telephone = Telephone(session)
        self.templates = Templates(folder, session)
        self.config: dict[str, Any] = {}
        self.has_failed = False
        self._config_etag = ""
        self._config_asked_at = 0.0
        self._missed: list[dict[str, Any]] = []
        self._say_line = say
        self._inbox: SimpleQueue[object] = SimpleQueue()
        self._commands: dict[str, Callable[[str], None]] = {
            "ring": self._ring,
            "answer": self._answer,
            "hang up": self._hang_up,
            "miss": self._miss,
            "missed": self._show_missed,
            "call back": self._call_back,
            "done": self._mark_done,
            "find": self._find,
            "status": self._show_status,
            "help": self._help,
        }

    # --- the life of a client ---

    def log_in(self, *, patiently: bool) -> None:
        """Take a seat and load what a client needs; `patiently`: wait for a seat, and for a server that is away.

        Raises Refused, SessionEnded and, where it is not patient, TryLater.
        """
        backoff = Backoff()
        while True:
            try:
                told = self.session.log_in()
                translation.activate(self.session.user["language"])
                self._catch_up(told)
            except TryLater as later:
                if not patiently:
                    raise
                seconds = backoff.next(later)
                self._say(f"{later} " + _("Trying again in %d seconds.") % round(seconds))
                time.sleep(seconds)
            else:
                break
        name = self.session.user["display_name"]
        self._say(_("%(user)s is logged in at %(server)s.") % {"user": name, "server": self.session.server.url})

    def run(self, lines: Iterable[str], *, echo: bool) -> bool:
        """Do what the lines say until they end, one says quit, or the session is over; return whether all went well.

        `echo`: show each line first, where nobody sees himself type.
        """
        threading.Thread(target=self.session.keep_alive, args=(self._inbox.put,), daemon=True).start()
        threading.Thread(target=self._read, args=(lines,), daemon=True).start()
        try:
            # Ctrl-C says quit, too.
            with contextlib.suppress(KeyboardInterrupt):
                self._work(echo=echo)
            self._leave()
        except SessionEnded as ended:
            self.has_failed = True
            self._say(str(ended))
        finally:
            self.session.stop()
        if count := len(self.telephone.outbox):
            self.has_failed = True
            self._say(ngettext("%d report was not delivered.", "%d reports were not delivered.", count) % count)
        return not self.has_failed

    def _work(self, *, echo: bool) -> None:
        while (news := self._inbox.get()) is not END_OF_INPUT and news != "quit":
            if not isinstance(news, str):
                self._take_in(news)
                continue
            if echo:
                self._say(f"> {news}")
            self._do(news)

    def _read(self, lines: Iterable[str]) -> None:
        for line in lines:
            if words := line.split():
                self._inbox.put(" ".join(words))
        self._inbox.put(END_OF_INPUT)

    def _do(self, line: str) -> None:
        try:
            command = self._find_command(line)
            self._commands[command](line.removeprefix(command).strip())
        except (Mistake, Refused, TryLater) as error:
            self.has_failed = True
            self._say(str(error))

    def _find_command(self, line: str) -> str:
        for command in self._commands:
            if f"{line} ".startswith(f"{command} "):
                return command
        raise Mistake(_("There is no such command; help lists them."))

    def _take_in(self, news: object) -> None:
        """Act on what came of a heartbeat."""
        match news:
            case dict():
                try:
                    self._catch_up(news)
                    self._deliver()
                except (Refused, TryLater) as error:
                    # The next heartbeat finds the same differences.
                    self._say(str(error))
            case SessionEnded():
                raise news
            case TryLater():
                self._say(str(news))

    def _catch_up(self, told: dict[str, Any]) -> None:
        """Load what has changed, by what a log-in or a heartbeat tells."""
        is_due = time.monotonic() - self._config_asked_at > CONFIG_SECONDS
        if is_due or told["config_version"] != self.config.get("config_version"):
            self._load_config()
        if told["templates_version"] != self.templates.version:
            count = self.templates.load()
            version = self.templates.version
            self._say(
                ngettext(
                    "Popup templates: version %(version)s, %(count)d file loaded.",
                    "Popup templates: version %(version)s, %(count)d files loaded.",
                    count,
                )
                % {"version": version, "count": count}
            )

    def _load_config(self) -> None:
        answer = self.session.request("GET", CONFIG, etag=self._config_etag)
        self._config_asked_at = time.monotonic()
        if answer.status == 304:
            return
        if self.config:
            self._say(_("The configuration has changed."))
        told_before = self.config.get("latest_release")
        self.config, self._config_etag = answer.json, answer.etag
        self.session.heartbeat_seconds = self.config["heartbeat_seconds"]
        release = self.config["latest_release"]
        if release and release != told_before and _order(release["version"]) > _order(VERSION):
            self._say(_("There is a newer release, %(version)s: %(url)s") % release)

    def _leave(self) -> None:
        """Leave no call ringing, and give the seat back."""
        if self.telephone.call is not None:
            self.telephone.end(self.telephone.call)
        try:
            self._deliver()
            self.session.log_out()
        except (Refused, TryLater) as error:
            self.has_failed = True
            self._say(str(error))

    # --- commands ---

    def _ring(self, text: str) -> None:
        if self.telephone.call is not None:
            raise Mistake(_("There is a call already: hang up first."))
        number, _space, line = text.partition(" ")
        self.telephone.ring("" if number == "withheld" else number, line)
        self._deliver_or_keep()

    def _answer(self, _text: str) -> None:
        self.telephone.answer(self._need_call())
        self._deliver_or_keep()

    def _hang_up(self, _text: str) -> None:
        self.telephone.end(self._need_call())
        self._deliver_or_keep()

    def _miss(self, _text: str) -> None:
        call = self._need_call()
        if call.is_answered:
            raise Mistake(_("The call has been answered: hang up."))
        self.telephone.end(call)
        self._deliver_or_keep()

    def _show_missed(self, _text: str) -> None:
        self._missed = self.telephone.list_missed()
        if not self._missed:
            self._say(_("No missed calls."))
        for position, call in enumerate(self._missed, start=1):
            self._say(f"{position}. {call['started_at']}  {_describe_caller(call)}")

    def _call_back(self, text: str) -> None:
        self._say(_("Dial: %s") % self.telephone.call_back(self._find_missed(text)["call_id"]))

    def _mark_done(self, text: str) -> None:
        call = self._find_missed(text)
        self.telephone.mark_done(call["call_id"])
        self._missed.remove(call)
        self._say(_("Done: %s") % _describe_caller(call))

    def _find(self, text: str) -> None:
        contacts = self.telephone.find_contacts(text)
        if not contacts:
            self._say(_("Nobody was found."))
        for contact in contacts:
            numbers = [number["canonical"] for number in contact["matched"]]
            self._say("  ".join([contact["name"], *numbers]))

    def _show_status(self, _text: str) -> None:
        user = self.session.user
        self._say(f"{user['display_name']} ({user['username']}), {self.session.server.url}")
        self._say(_("Configuration: version %s") % self.config["config_version"])
        self._say(_("Popup templates: version %s") % self.templates.version)
        self._say(_("Reports that wait: %d") % len(self.telephone.outbox))

    def _help(self, _text: str) -> None:
        self._say("ring NUMBER [LINE] · ring withheld · answer · hang up · miss")
        self._say("missed · call back [n] · done [n] · find TEXT · status · quit")

    def _need_call(self) -> Any:
        if self.telephone.call is None:
            raise Mistake(_("There is no call."))
        return self.telephone.call

    def _find_missed(self, text: str) -> dict[str, Any]:
        """Return the missed call with this position in the list; without one the newest."""
        if not self._missed:
            self._missed = self.telephone.list_missed()
        position = int(text or "1") if (text or "1").isdecimal() else 0
        if not 1 <= position <= len(self._missed):
            raise Mistake(_("There is no such missed call; missed lists them."))
        return self._missed[position - 1]

    # --- reports and popups ---

    def _deliver_or_keep(self) -> None:
        """Deliver the reports; a server that is away gets them when it is back."""
        try:
            self._deliver()
        except TryLater as later:
            self._say(f"{later} " + _("The report waits until that is over."))

    def _deliver(self) -> None:
        for report, outcome in self.telephone.deliver():
            if isinstance(outcome, Refused):
                self.has_failed = True
                self._say(str(outcome))
                continue
            call, current = outcome.json, self.telephone.call
            if report.state == "ringing" and current is not None and current.call_id == report.call_id:
                self._show_popup(call)
            else:
                self._show_state(call)

    def _show_state(self, call: dict[str, Any]) -> None:
        texts = {"ringing": _("Rings: %s"), "answered": _("Answered: %s"), "ended": _("Ended: %s")}
        self._say((_("Missed: %s") if call["missed"] else texts[call["state"]]) % _describe_caller(call))

    def _show_popup(self, call: dict[str, Any]) -> None:
        try:
            lines = make_text(self.telephone.render_popup(call))
        except (Refused, TryLater) as error:
            # Who calls is known all the same.
            lines = [_describe_caller(call), str(error)]
        for line in lines:
            self._say(f"| {line}")

    def _say(self, text: str) -> None:
        for line in clean(text).split("\n"):
            self._say_line(line)


def _describe_caller(call: dict[str, Any]) -> str:
    names = [contact["name"] for contact in call["lookup"]["contacts"]]
    number = call["number"]["display"] or call["number"]["raw"] or _("Number withheld")
    return f"{number} – {' / '.join(names)}" if names else str(number)


def _order(version: str) -> list[int]:
    """Return what orders versions: 1.10 comes after 1.9."""
    parts = [int(part) for part in re.findall(r"[0-9]+", version)]
    return parts + [0] * (4 - len(parts))
