"""What the security extension tells us: security events and signing requests (WP A02–A04)."""

from csms.models import CertificateSigningRequest, SecurityEvent
from csms.ocpp.base import value_or
from csms.ocpp.security import (
    GenericStatus,
    SecurityEventNotification,
    SecurityEventNotificationResponse,
    SignCertificate,
    SignCertificateResponse,
)
from csms.services.dispatch import Context, handles


@handles(SecurityEventNotification)
def security_event_notification(
    request: SecurityEventNotification, context: Context
) -> SecurityEventNotificationResponse:
    """WP A04.FR.03: every event is acknowledged, those of unknown types too."""
    context.world.add(
        SecurityEvent(
            charge_point=context.charge_point,
            identity=context.charge_point.identity,
            kind=request.type[:255],
            tech_info=str(value_or(request.tech_info, ""))[:255],
            remote_address=context.remote_address,
            happened_at=request.timestamp,
            received_at=context.now,
        )
    )
    return SecurityEventNotificationResponse()


@handles(SignCertificate)
def sign_certificate(request: SignCertificate, context: Context) -> SignCertificateResponse:
    """WP A02: the request is kept; the certificate follows later with CertificateSigned."""
    context.world.add(
        CertificateSigningRequest(
            charge_point=context.charge_point, csr=request.csr, received_at=context.now
        )
    )
    return SignCertificateResponse(status=GenericStatus.ACCEPTED)
