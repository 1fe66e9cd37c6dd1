"""Security profiles: what a login counts as, what a certificate proves, how a profile is raised.

"Improved security for OCPP 1.6-J" (WP) §3 knows three; 0 stands for what came before it:

    0  no proof, from CSMS_TRUSTED_NETWORKS only
    1  password, unencrypted
    2  password, over TLS
    3  client certificate, over TLS

Only the one that is configured connects (N1); a password that is given makes a login one of profile
1 or 2, so that a charge point of profile 0 that gives one is refused: nobody would check it, and
who entered it would believe that it protects.
"""

from datetime import datetime
from typing import Any

from django.db import transaction

from csms.conf import Settings, settings
from csms.models import AuditAction, ChargePoint, Command
from csms.models.charge_points import SecurityProfile, Transport
from csms.models.commands import CommandState
from csms.ocpp.base import Request
from csms.ocpp.core import ChangeConfiguration
from csms.services import audit, bus
from csms.services.peers import ClientCertificate, Peer, listed

KEY_NAME = "securityprofile"
"""The configuration key that holds it, folded (WP A05)."""

WITH_PASSWORD = (SecurityProfile.BASIC, SecurityProfile.TLS)


def offered(peer: Peer, password: bytes | None) -> frozenset[SecurityProfile]:
    """The profiles that a login can be of: over TLS it may bring a password and a certificate."""
    profiles = set()
    if password:
        profiles.add(SecurityProfile.TLS if peer.tls else SecurityProfile.BASIC)
    if peer.certificate is not None:
        profiles.add(SecurityProfile.CLIENT_CERTIFICATE)
    return frozenset(profiles or {SecurityProfile.NONE})


def allowed(charge_point: ChargePoint) -> tuple[SecurityProfile, ...]:
    """The profiles with which a charge point may connect now; the one it is raised to first."""
    pending = charge_point.pending_security_profile
    configured = SecurityProfile(charge_point.security_profile)
    return (configured,) if pending is None else (SecurityProfile(pending), configured)


def trusted(peer: Peer) -> bool:
    """Whether a peer is in a network from which charge points may come without a proof.

    Behind a proxy that is not listed anybody could be: never then.
    """
    return peer.trustworthy and listed(peer.address, settings().trusted_networks)


def certificate_name(charge_point: ChargePoint) -> str:
    """The common name (CN) of its certificate."""
    return charge_point.certificate_name or charge_point.identity


def certificate_problem(
    charge_point: ChargePoint, certificate: ClientCertificate, *, now: datetime, config: Settings
) -> str:
    """Why a client certificate does not prove this charge point; empty when it does.

    Its path and revocation were verified with TLS (WP A00.FR.404, 704). The names are held to what
    we know beforehand: O is the operator (A00.FR.405), CN what the certificate's owner is called.
    """
    if certificate.not_after <= now:
        return "The certificate has expired."
    if config.operator_name and certificate.organization != config.operator_name:
        return "The certificate's organization (O) is not the operator's."
    if certificate.common_name != certificate_name(charge_point):
        return "The certificate's common name (CN) is not this charge point's."
    return ""


# ------------------------------------------------------------------- raising it over OCPP


def raise_obstacle(charge_point: ChargePoint, request: Request[Any]) -> str:
    """Why this charge point may not be told this SecurityProfile; empty when it may, or when the
    request is about something else.

    WP A05.FR.09: it is never lowered over OCPP; that takes somebody who changes both sides by hand.
    """
    if not isinstance(request, ChangeConfiguration) or request.key.casefold() != KEY_NAME:
        return ""
    wanted = _profile_of(request.value)
    if charge_point.transport == Transport.SOAP:
        return "SecurityProfile belongs to the security extension, which is not over SOAP."
    if wanted is None:
        return "SecurityProfile is 1, 2 or 3."
    if wanted < max(allowed(charge_point)):
        return "A security profile is never lowered over OCPP."
    if wanted in WITH_PASSWORD and not charge_point.password:
        return f"Security profile {wanted.value} needs a key: set or rotate one first."
    return ""


def _profile_of(text: str) -> SecurityProfile | None:
    """The profile of a configuration value; None when there is no such."""
    return SecurityProfile(int(text)) if text in ("0", "1", "2", "3") else None


def raise_answered(command: Command) -> None:
    """Note what a charge point said to a new SecurityProfile (N1, N6).

    From Accepted until its first login with the higher one both are valid, since it falls back when
    it cannot connect. The same when no answer came: it may have taken it.
    """
    if command.action != "ChangeConfiguration":
        return
    if str(command.payload.get("key", "")).casefold() != KEY_NAME:
        return
    wanted = _profile_of(str(command.payload.get("value", "")))
    if wanted is None:
        return
    rows = ChargePoint.objects.filter(pk=command.charge_point_id)
    if command.state in (CommandState.ACCEPTED, CommandState.TIMED_OUT):
        changed = rows.filter(security_profile__lt=wanted).update(pending_security_profile=wanted)
    else:
        changed = rows.filter(pending_security_profile=wanted).update(pending_security_profile=None)
    if changed:
        transaction.on_commit(lambda: bus.publish("charge_points"))


def raise_reached(charge_point: ChargePoint) -> None:
    """The first login with the higher profile: the lower one is refused from now on."""
    reached = charge_point.pending_security_profile
    rows = ChargePoint.objects.filter(pk=charge_point.pk, pending_security_profile=reached)
    with transaction.atomic():
        if reached is None or not rows.update(
            security_profile=reached, pending_security_profile=None
        ):
            return
        changes = {"security_profile": [str(charge_point.security_profile), str(reached)]}
        charge_point.security_profile, charge_point.pending_security_profile = reached, None
        audit.entry_add(action=AuditAction.CHANGED, subject=charge_point, changes=changes)
        transaction.on_commit(lambda: bus.publish("charge_points"))
