"""Addresses of the pages for people."""

from django.urls import path
from django.views.generic import RedirectView

from cmphone.web.cases import lead_to_new_case
from cmphone.web.log_in import LogInView, LogOutView, lead_home, lead_to_log_in
from cmphone.web.problems import describe_problem
from cmphone.web.profile import PasswordView, download_client, end_one, end_others, log_out_elsewhere, show_profile

urlpatterns = [
    path("", lead_home, name="home"),
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
    # Where the answer of a look-up points: the contact's page, and the form for a new one.
    path("contacts/<int:object_id>/", RedirectView.as_view(pattern_name="admin:contacts_contact_change")),
    path("contacts/new/", RedirectView.as_view(pattern_name="admin:contacts_contact_add", query_string=True)),
    # Where a popup's button points, and the answer that has a case.
    path("contacts/<int:contact_id>/cases/new/", lead_to_new_case),
    path("cases/<int:object_id>/", RedirectView.as_view(pattern_name="admin:calls_case_change")),
    path("problems/<slug:slug>", describe_problem),
]
