"""Pages served by Django; OCPP-S is mounted beside them in csms/asgi.py."""

from django.conf import settings
from django.contrib import admin
from django.urls import path
from django.views.generic import RedirectView

from csms.admin import two_factor
from csms.api.application import api

urlpatterns = [
    path("", RedirectView.as_view(pattern_name="admin:index"), name="home"),
    path("admin/two-factor/", two_factor.challenge, name="two_factor"),
    path("admin/two-factor/set-up/", two_factor.enrol, name="two_factor_enrol"),
    path("admin/two-factor/account/", two_factor.account, name="two_factor_account"),
    path("admin/", admin.site.urls),
    path("api/v1/", api.urls),
    path("favicon.ico", RedirectView.as_view(url=f"{settings.STATIC_URL}csms/favicon.svg")),
]
