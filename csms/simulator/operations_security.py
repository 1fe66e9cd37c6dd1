"""What a simulated charge point answers about certificates (the security extension)."""

from __future__ import annotations

import binascii
from typing import TYPE_CHECKING

from msgspec import UNSET

from csms.ocpp.security import (
    CertificateSigned,
    CertificateSignedResponse,
    CertificateSignedStatus,
    DeleteCertificate,
    DeleteCertificateResponse,
    DeleteCertificateStatus,
    GetInstalledCertificateIds,
    GetInstalledCertificateIdsResponse,
    GetInstalledCertificateStatus,
    InstallCertificate,
    InstallCertificateResponse,
    InstallCertificateStatus,
    SecurityEventNotification,
)
from csms.simulator import certificates
from csms.simulator.answering import answers
from csms.simulator.state import Certificate
from csms.simulator.transport import Answer

if TYPE_CHECKING:
    from csms.simulator.charge_point import SimulatedChargePoint


@answers(InstallCertificate)
def install_certificate(cp: SimulatedChargePoint, request: InstallCertificate) -> Answer:
    """WP M05: Failed when the store is full, Rejected when it is no certificate."""
    statuses = InstallCertificateStatus
    try:
        name = certificates.name_of(request.certificate)
    except (ValueError, binascii.Error):
        return Answer(InstallCertificateResponse(status=statuses.REJECTED))
    if len(cp.certificates) >= cp.configuration.whole("CertificateStoreMaxLength"):
        return Answer(InstallCertificateResponse(status=statuses.FAILED))
    use = request.certificate_type
    cp.certificates = [c for c in cp.certificates if (c.use, c.name) != (use, name)]
    cp.certificates.append(Certificate(use=use, pem=request.certificate, name=name))
    return Answer(InstallCertificateResponse(status=statuses.ACCEPTED))


@answers(DeleteCertificate)
def delete_certificate(cp: SimulatedChargePoint, request: DeleteCertificate) -> Answer:
    """WP M04."""
    left = [c for c in cp.certificates if c.name != request.certificate_hash_data]
    found = len(left) < len(cp.certificates)
    cp.certificates = left
    statuses = DeleteCertificateStatus
    status = statuses.ACCEPTED if found else statuses.NOT_FOUND
    return Answer(DeleteCertificateResponse(status=status))


@answers(GetInstalledCertificateIds)
def get_installed_certificate_ids(
    cp: SimulatedChargePoint, request: GetInstalledCertificateIds
) -> Answer:
    """WP M03."""
    names = tuple(c.name for c in cp.certificates if c.use is request.certificate_type)
    statuses = GetInstalledCertificateStatus
    return Answer(
        GetInstalledCertificateIdsResponse(
            certificate_hash_data=names or UNSET,
            status=statuses.ACCEPTED if names else statuses.NOT_FOUND,
        )
    )


@answers(CertificateSigned)
def certificate_signed(cp: SimulatedChargePoint, request: CertificateSigned) -> Answer:
    """WP A02: what is no certificate is refused and reported (A02.FR.07)."""
    statuses = CertificateSignedStatus
    if certificates.readable(request.certificate_chain):
        return Answer(CertificateSignedResponse(status=statuses.ACCEPTED))

    async def then() -> None:
        await cp.call(
            SecurityEventNotification(
                type="InvalidChargePointCertificate", timestamp=cp.clock.now()
            )
        )

    return Answer(CertificateSignedResponse(status=statuses.REJECTED), then)
