"""Every address of the service."""

from django.contrib import admin
from django.urls import include, path

urlpatterns = [
    path("", include("cmphone.api.urls")),
    path("", include("cmphone.web.urls")),
    path("admin/", admin.site.urls),
]

handler400 = "cmphone.problems.answer_400"
handler403 = "cmphone.problems.answer_403"
handler404 = "cmphone.problems.answer_404"
handler500 = "cmphone.problems.answer_500"
