"""Every address of the service."""

from django.contrib import admin
from django.urls import path

urlpatterns = [
    path("admin/", admin.site.urls),
]

handler400 = "cmphone.problems.answer_400"
handler403 = "cmphone.problems.answer_403"
handler404 = "cmphone.problems.answer_404"
handler500 = "cmphone.problems.answer_500"
