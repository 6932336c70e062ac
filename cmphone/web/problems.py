"""The page that a problem's `type` points at."""

from collections.abc import Iterator

from django.http import Http404, HttpRequest, HttpResponse
from django.utils.html import format_html
from django.views.decorators.http import require_safe

from cmphone.problems import Problem


@require_safe
def describe_problem(request: HttpRequest, slug: str) -> HttpResponse:
    """Say what the problem of this slug means."""
    problem = next((each for each in list_problems(Problem) if each.slug == slug), None)
    if problem is None:
        raise Http404
    page = "<!doctype html><title>{0}</title><h1>{0}</h1><p><code>{1}</code>, HTTP {2}</p><p>{3}</p>"
    return HttpResponse(format_html(page, problem.title, slug, problem.status, problem.__doc__ or ""))


def list_problems(base: type[Problem]) -> Iterator[type[Problem]]:
    """Yield every kind of problem there is; one that only narrows another has the same slug and comes after it."""
    for each in base.__subclasses__():
        yield each
        yield from list_problems(each)
