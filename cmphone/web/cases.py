"""Addresses that popups and other programs know of cases, and which pages they lead to."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.views.decorators.http import require_safe


@require_safe
def lead_to_new_case(request: HttpRequest, contact_id: int) -> HttpResponse:
    """Lead to the form of a new case for the contact; whether there is one is for that page to say."""
    return redirect(f"{reverse('admin:calls_case_add')}?contact={contact_id}")
