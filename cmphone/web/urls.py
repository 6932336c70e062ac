"""Addresses of the pages for people."""

from django.urls import path

from cmphone.web.cases import lead_to_new_case, make_case, show_case, show_cases
from cmphone.web.console import answer_calls, answer_contacts, mark_done, prepare_call_back, show_console
from cmphone.web.contact_editing import edit_contact, make_contact
from cmphone.web.contacts import search, show_contact
from cmphone.web.log_in import LogInView, LogOutView, lead_to_log_in
from cmphone.web.problems import describe_problem
from cmphone.web.profile import PasswordView, download_client, end_one, end_others, log_out_elsewhere, show_profile

urlpatterns = [
    path("", show_console, name="home"),
    # What its script asks for.
    path("console/calls/", answer_calls, name="console_calls"),
    path("console/contacts/", answer_contacts, name="console_contacts"),
    path("console/done/", mark_done, name="console_done"),
    path("console/call-back/", prepare_call_back, name="console_call_back"),
    path("login/", LogInView.as_view(), name="login"),
    path("logout/", LogOutView.as_view(), name="logout"),
    # In place of the administration's own: there is one way in and one out.
    path("admin/login/", lead_to_log_in),
    path("admin/logout/", LogOutView.as_view()),
    path("profile/", show_profile, name="profile"),
    path("profile/log-out-elsewhere/", log_out_elsewhere, name="log_out_elsewhere"),
    path("profile/client/<str:version>/", download_client, name="download_client"),
    path("profile/password/", PasswordView.as_view(), name="password"),
    path("profile/sessions/end/", end_others, name="end_own_sessions"),
    path("profile/sessions/<int:session_id>/end/", end_one, name="end_own_session"),
    # Where the answer of a look-up points, and the one that has a case (contacts/pages.py).
    path("contacts/", search, name="contacts"),
    path("contacts/new/", make_contact, name="new_contact"),
    path("contacts/<int:id>/", show_contact, name="contact"),
    path("contacts/<int:id>/edit/", edit_contact, name="edit_contact"),
    # Where the buttons of older popups point.
    path("contacts/<int:id>/cases/new/", lead_to_new_case),
    path("cases/", show_cases, name="cases"),
    path("cases/new/", make_case, name="new_case"),
    path("cases/<int:case_id>/", show_case, name="case"),
    path("problems/<slug:slug>", describe_problem),
]
