"""All declared actions: the 28 of OCPP 1.6 and the 11 of the security extension."""

from collections.abc import Iterator
from typing import Any

from csms.ocpp import (
    core,
    firmware_management,
    local_auth_list_management,
    remote_trigger,
    reservation,
    security,
    smart_charging,
)
from csms.ocpp.base import Request, Role, action

AnyRequest = type[Request[Any]]

_PROFILES = (
    core,
    firmware_management,
    local_auth_list_management,
    remote_trigger,
    reservation,
    smart_charging,
    security,
)


def _declared() -> Iterator[AnyRequest]:
    for module in _PROFILES:
        for member in vars(module).values():
            if isinstance(member, type) and issubclass(member, Request) and member is not Request:
                yield member


ACTIONS: dict[str, AnyRequest] = {action(request): request for request in _declared()}
"""`{"BootNotification": BootNotification, …}`, profile by profile."""


def actions() -> Iterator[AnyRequest]:
    """Every declared request."""
    return iter(ACTIONS.values())


def from_charge_point(name: str) -> AnyRequest | None:
    """The declaration of an action that a charge point may send, else None."""
    return _sent_by(Role.CHARGE_POINT, name)


def from_central_system(name: str) -> AnyRequest | None:
    """The declaration of an action that the central system may send, else None."""
    return _sent_by(Role.CENTRAL_SYSTEM, name)


def _sent_by(role: Role, name: str) -> AnyRequest | None:
    request = ACTIONS.get(name)
    return request if request is not None and role in request.senders else None
