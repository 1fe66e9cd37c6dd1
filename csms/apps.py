"""The Django application that holds the shared models."""

from typing import Any

from django.apps import AppConfig


class CsmsConfig(AppConfig):
    name = "csms"
    verbose_name = "Charging"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from django.contrib.auth.signals import user_logged_in
        from django.db.models.signals import post_migrate

        from csms import checks  # noqa: F401  registers them
        from csms.services import audit, sign_in

        audit.listen()
        user_logged_in.connect(sign_in.password_given, dispatch_uid="csms: sign in")
        # The last of INSTALLED_APPS: when it was migrated, the permissions of all are there.
        post_migrate.connect(_migrated, sender=self, dispatch_uid="csms: roles")


def _migrated(*, using: str, **_: Any) -> None:
    from django.db import connections

    from csms.services.roles import roles_update

    if (
        "auth_group" in connections[using].introspection.table_names()
    ):  # not after `migrate csms zero`
        roles_update()
