"""The page of use over time: how many seats were in use, and who was refused, as a picture, a table and a file."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any
from zoneinfo import ZoneInfo

from django import forms
from django.conf import settings
from django.contrib import admin
from django.contrib.admin.views.main import ChangeList
from django.core.exceptions import PermissionDenied
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.functional import Promise
from django.utils.http import content_disposition_header, urlencode
from django.utils.text import capfirst
from django.utils.translation import get_language, gettext
from django.utils.translation import gettext_lazy as _

from cmphone.csv_cells import choose_delimiter, write_csv
from license.charting import Chart, Point, draw_chart
from license.files import REST_POOL
from license.models import HourlyUsage
from license.periods import Period, Unit, between, last_days, last_hours, last_year
from license.selectors import find_pool_state, site_day
from license.usage import find_summary, list_pool_names, list_usage, read_hours

DEFAULT_PERIOD = "7-days"
PERIODS: Mapping[str, tuple[str | Promise, Callable[[datetime, ZoneInfo], Period]]] = {
    "24-hours": (_("Last 24 hours"), lambda now, zone: last_hours(24, now=now, zone=zone)),
    "7-days": (_("7 days"), lambda now, zone: last_days(7, today=site_day(now), zone=zone)),
    "31-days": (_("31 days"), lambda now, zone: last_days(31, today=site_day(now), zone=zone)),
    "12-months": (_("12 months"), lambda now, zone: last_year(today=site_day(now), zone=zone)),
}
YEARS_AT_MOST = 10
# What the addresses of this page say; the rest of them is the list's own.
PARAMETERS = {"pool", "period", "first_day", "last_day"}


_DAY: Mapping[str, Any] = {
    "required": False,
    "widget": forms.DateInput(format="%Y-%m-%d", attrs={"type": "date"}),
    # Whatever lies further away is a slip, and years end at 9999.
    "validators": [MinValueValidator(date(2000, 1, 1)), MaxValueValidator(date(2099, 12, 31))],
}


class DaysForm(forms.Form):
    """The days of a period of one's own.  Both are given, or none."""

    first_day = forms.DateField(label=_("From"), **_DAY)
    last_day = forms.DateField(label=_("To"), **_DAY)

    def clean(self) -> dict[str, Any]:
        first, last = self.cleaned_data.get("first_day"), self.cleaned_data.get("last_day")
        if not self.errors and (first is None) != (last is None):
            raise forms.ValidationError(gettext("Enter both days, or none for one of the periods above."))
        if first and last and last < first:
            raise forms.ValidationError(gettext("The first day is after the last: exchange them."))
        if first and last and (last - first).days > YEARS_AT_MOST * 365.25:
            raise forms.ValidationError(gettext("At most %d years can be shown at once.") % YEARS_AT_MOST)
        return self.cleaned_data


@dataclass(frozen=True)
class Choice:
    """What the page shows.  `preset`: the key of PERIODS that the period is of, or empty."""

    pool: str
    preset: str
    period: Period

    def query(self) -> str:
        """Return it as a part of an address."""
        days = {"first_day": f"{self.period.first_day}", "last_day": f"{self.period.last_day}"}
        return urlencode({"pool": self.pool, **({"period": self.preset} if self.preset else days)})


def read_pool(request: HttpRequest, pools: Sequence[str]) -> str:
    """Return which of the pools the address asks for; one that is not there counts as not asked for."""
    pool = request.GET.get("pool", "")
    return pool if pool in pools else next(iter(pools), REST_POOL)


def read_choice(request: HttpRequest, pool: str) -> tuple[Choice | None, DaysForm]:
    """Return what the address asks for, or None and a form that says what is wrong with its days."""
    zone = ZoneInfo(settings.TIME_ZONE)
    form = DaysForm(request.GET)
    if not form.is_valid():
        return None, form
    if form.cleaned_data["first_day"]:
        return Choice(pool, "", between(form.cleaned_data["first_day"], form.cleaned_data["last_day"], zone)), form
    preset = request.GET.get("period", "")
    preset = preset if preset in PERIODS else DEFAULT_PERIOD
    _label, make_period = PERIODS[preset]
    return Choice(pool, preset, make_period(timezone.now(), zone)), form


class UsageList(ChangeList):
    """The list of the hours that were chosen."""

    def get_filters_params(self, params: dict[str, Any] | None = None) -> dict[str, Any]:
        lookups = super().get_filters_params(params)
        return {name: value for name, value in lookups.items() if name not in PARAMETERS}

    def get_queryset(self, request: HttpRequest, exclude_parameters: Any = None) -> QuerySet[Any]:
        choice: Choice | None = request.usage_choice  # type: ignore[attr-defined]
        self.root_queryset = list_usage(choice.pool, choice.period) if choice else HourlyUsage.objects.none()
        return super().get_queryset(request, exclude_parameters)


@admin.register(HourlyUsage)
class HourlyUsageAdmin(admin.ModelAdmin):
    list_display = ["local_hour", "licensed", "peak", "claims", "refused"]
    # There is no more to say about one.
    list_display_links = None
    list_per_page = 168
    show_full_result_count = False
    change_list_template = "admin/license/hourlyusage/change_list.html"

    class Media:
        css = {"all": ["cmphone/admin.css"]}

    @admin.display(description=_("hour"), ordering="hour")
    def local_hour(self, usage: HourlyUsage) -> str:
        return name_hour(usage.hour)

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        return UsageList

    def get_urls(self) -> list[URLPattern]:
        csv_view = self.admin_site.admin_view(self.csv_view)
        return [path("csv/", csv_view, name="license_hourlyusage_csv"), *super().get_urls()]

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        """Show the period that was chosen: figures and a picture of it above the list of its hours."""
        pools = list_pool_names()
        pool = read_pool(request, pools)
        choice, form = read_choice(request, pool)
        # For the list: another reading may fall into the next hour.
        request.usage_choice = choice  # type: ignore[attr-defined]
        context = {
            "title": capfirst(self.opts.verbose_name_plural),
            "choice": choice,
            "form": form,
            "pool": pool,
            "pools": pools,
            "tabs": [
                {
                    "label": label,
                    "query": urlencode({"pool": pool, "period": preset}),
                    "is_current": choice and choice.preset == preset,
                }
                for preset, (label, _make_period) in PERIODS.items()
            ],
            **(_describe(choice) if choice else {}),
            **(extra_context or {}),
        }
        return super().changelist_view(request, context)

    def csv_view(self, request: HttpRequest) -> HttpResponse:
        """Send every hour of the period that was chosen as a file for a spreadsheet."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        choice, _form = read_choice(request, read_pool(request, list_pool_names()))
        if choice is None:
            # The page says what is wrong.
            return HttpResponseRedirect(f"{reverse('admin:license_hourlyusage_changelist')}?{request.GET.urlencode()}")
        lines = [_csv_header(), *(_csv_line(row) for row in list_usage(choice.pool, choice.period))]
        text = "".join(write_csv([lines], delimiter=choose_delimiter(get_language() or "en")))
        response = HttpResponse(text, content_type="text/csv; charset=utf-8")
        name = f"use-{choice.pool}-{choice.period.first_day}-{choice.period.last_day}.csv"
        response["Content-Disposition"] = content_disposition_header(as_attachment=True, filename=name)
        return response

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: HourlyUsage | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: HourlyUsage | None = None) -> bool:
        return False


def _describe(choice: Choice) -> dict[str, Any]:
    summary = find_summary(choice.pool, choice.period)
    chart = draw_chart(read_hours(choice.pool, choice.period), choice.period)
    return {
        "state": find_pool_state(choice.pool),
        "summary": summary,
        "highest_at": name_hour(summary.highest.hour) if summary else "",
        "chart": chart,
        "points": [(point, name_stretch(point, chart)) for point in chart.points] if chart else [],
        "csv_query": choice.query(),
    }


def name_hour(hour: datetime) -> str:
    """Return when an hour begins where the site is; with the zone where its clocks show that twice."""
    local = timezone.localtime(hour)
    is_twice = local.utcoffset() != local.replace(fold=1 - local.fold).utcoffset()
    return date_format(local, gettext("D j M Y, H:i")) + (f" {local:%Z}" if is_twice else "")


def name_stretch(point: Point, chart: Chart) -> str:
    """Return the hour, the day or the month that a point of the chart stands for."""
    if chart.unit is Unit.HOUR:
        return name_hour(point.usage.begins_at)
    local = timezone.localtime(point.usage.begins_at)
    return date_format(local, gettext("D j M Y") if chart.unit is Unit.DAY else "F Y")


# --- the file ---


def _csv_header() -> list[object]:
    return [
        gettext("pool"),
        gettext("hour"),
        gettext("licences"),
        gettext("peak"),
        gettext("claims"),
        gettext("refused"),
    ]


def _csv_line(row: HourlyUsage) -> list[object]:
    hour = timezone.localtime(row.hour).isoformat()
    return [row.pool_name, hour, row.licensed, row.peak, row.claims, row.refused]
