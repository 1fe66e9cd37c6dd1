"""The Django application that holds the shared models."""

from typing import Any

from django.apps import AppConfig


class CsmsConfig(AppConfig):
    name = "csms"
    verbose_name = "Charging"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from django.contrib.auth.signals import user_logged_in
        from django.db.models.signals import post_migrate, pre_migrate

        from csms import checks  # noqa: F401  registers them
        from csms.services import audit, sign_in

        audit.listen()
        user_logged_in.connect(sign_in.password_given, dispatch_uid="csms: sign in")
        # The last of INSTALLED_APPS: when it was migrated, the permissions of all are there.
        pre_migrate.connect(_patiently, sender=self, dispatch_uid="csms: patience")
        post_migrate.connect(_migrated, sender=self, dispatch_uid="csms: roles")


LIMITS = ("idle_in_transaction_session_timeout", "lock_timeout")


def _patiently(*, using: str, **_: Any) -> None:
    """A migration may take its time, in which others wait for it and it for others."""
    _each_limit(using, "SET {} = 0")


def _migrated(*, using: str, **_: Any) -> None:
    from django.db import connections

    from csms.services.roles import roles_update

    _each_limit(using, "RESET {}")
    if (
        "auth_group" in connections[using].introspection.table_names()
    ):  # not after `migrate csms zero`
        roles_update()


def _each_limit(using: str, statement: str) -> None:
    from django.db import connections

    if connections[using].vendor == "postgresql":
        with connections[using].cursor() as cursor:
            for name in LIMITS:
                cursor.execute(statement.format(name))
