"""The roles viewer, operator, manager and admin: which permissions each has.

A role is one of Django's groups; it has what the role before it has, and more. `roles_update` makes
the groups and gives them exactly these permissions after each `manage.py migrate`: for another
selection there are groups of other names.
"""

from collections.abc import Iterator

from django.contrib.auth.models import Group, Permission
from django.db import transaction

from csms.models.commands import permission_of
from csms.ocpp.base import Role as Sender
from csms.ocpp.registry import ACTIONS

VIEWER, OPERATOR, MANAGER, ADMIN = ROLES = ("viewer", "operator", "manager", "admin")
"""From the least to the most."""

SHOWN = (
    "certificatesigningrequest",
    "chargepoint",
    "chargepointconfiguration",
    "chargepointlocallist",
    "chargingprofiletemplate",
    "command",
    "commandbatch",
    "commandevent",
    "configurationkey",
    "configurationstate",
    "configurationtemplate",
    "connector",
    "deviation",
    "firmwareimage",
    "gateway",
    "idtag",
    "installedprofile",
    "locallist",
    "locallistcontent",
    "message",
    "metervalue",
    "quarantinedmessage",
    "reservation",
    "rollout",
    "rolloutitem",
    "securityevent",
    "soappresence",
    "transaction",
    "transferstatus",
    "unknownchargepoint",
    "unknowntransfer",
    "upload",
    "webhookevent",
    "webhooklane",
)
"""What viewers see: everything that was recorded. Secrets are masked where it is stored."""

HELD_BACK = ("apitoken", "auditentry", "idempotencykey", "webhooksubscription")
"""What only admins see and change, beside users and groups."""

DAILY = frozenset(
    {
        "CancelReservation",
        "ChangeAvailability",
        "ClearCache",
        "ExtendedTriggerMessage",
        "GetCompositeSchedule",
        "GetConfiguration",
        "GetDiagnostics",
        "GetInstalledCertificateIds",
        "GetLocalListVersion",
        "GetLog",
        "RemoteStartTransaction",
        "RemoteStopTransaction",
        "ReserveNow",
        "Reset",
        "TriggerMessage",
        "UnlockConnector",
    }
)
"""The operations of everyday work; the others change what a charge point is or believes."""

MANAGED = {
    "idtag": OPERATOR,
    "quarantinedmessage": OPERATOR,
    "unknowntransfer": OPERATOR,
    "chargepoint": MANAGER,
    "chargingprofiletemplate": MANAGER,
    "configurationtemplate": MANAGER,
    "firmwareimage": MANAGER,
    "rollout": MANAGER,
    "webhookevent": MANAGER,
}
"""What people add, change and delete, and the least role for it. The rest was recorded: nobody
below an admin has a permission to change it, and no page does."""

COMMANDS = tuple(
    name for name, request in ACTIONS.items() if Sender.CENTRAL_SYSTEM in request.senders
)


def role_of_command(action: str) -> str:
    """The least role that may send an operation of the central system."""
    return OPERATOR if action in DAILY else MANAGER


def role_of_model(model: str, verb: str) -> str:
    """The least role that may `view`, `add`, `change` or `delete` rows of a model."""
    if verb == "view":
        return VIEWER if model in SHOWN else ADMIN
    return MANAGED.get(model, ADMIN)


def least_roles() -> dict[str, str]:
    """Permission of ours → the least role that has it."""
    verbs = ("view", "add", "change", "delete")
    least = {
        f"{verb}_{model}": role_of_model(model, verb)
        for model in (*SHOWN, *HELD_BACK)
        for verb in verbs
    }
    return least | {permission_of(name): role_of_command(name) for name in COMMANDS}


def permissions_of(role: str) -> frozenset[str]:
    """Our permissions that a role has, without the application's name. An admin has more: all that
    there are, of every application."""
    rank = ROLES.index(role)
    return frozenset(name for name, least in least_roles().items() if ROLES.index(least) <= rank)


def roles_update() -> None:
    """Make the groups of the roles, or give them again what belongs to them."""
    with transaction.atomic():
        Group.objects.bulk_create((Group(name=role) for role in ROLES), ignore_conflicts=True)
        groups = dict(Group.objects.filter(name__in=ROLES).values_list("name", "pk"))
        wanted = {
            (groups[role], permission) for role in ROLES for permission in _permission_keys(role)
        }
        links = Group.permissions.through.objects
        given = set(
            links.filter(group__in=groups.values()).values_list("group_id", "permission_id")
        )
        for group, permission in given - wanted:
            links.filter(group=group, permission=permission).delete()
        # Not `Group.permissions.set`: the audit notes what people change, not what we are.
        links.bulk_create(
            (
                Group.permissions.through(group_id=group, permission_id=permission)
                for group, permission in wanted - given
            ),
            ignore_conflicts=True,
        )


def _permission_keys(role: str) -> Iterator[int]:
    rows = Permission.objects.order_by()
    if role != ADMIN:
        rows = rows.filter(content_type__app_label="csms", codename__in=permissions_of(role))
    yield from rows.values_list("pk", flat=True)
