"""The Django application that holds the shared models."""

from django.apps import AppConfig


class CsmsConfig(AppConfig):
    name = "csms"
    verbose_name = "Charging"
    default_auto_field = "django.db.models.BigAutoField"
