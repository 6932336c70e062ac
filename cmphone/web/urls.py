"""Addresses of the pages for people."""

from django.urls import path
from django.views.generic import RedirectView

from cmphone.web.problems import describe_problem

urlpatterns = [
    path("", RedirectView.as_view(pattern_name="admin:index")),
    # Where the answer of a look-up points: the contact's page, and the form for a new one.
    path("contacts/<int:object_id>/", RedirectView.as_view(pattern_name="admin:contacts_contact_change")),
    path("contacts/new/", RedirectView.as_view(pattern_name="admin:contacts_contact_add", query_string=True)),
    path("problems/<slug:slug>", describe_problem),
]
