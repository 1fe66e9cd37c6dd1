"""What the security extension tells us: security events and certificate signing requests."""

from django.db import models

from csms.models.charge_points import ChargePoint


class SecurityEvent(models.Model):
    """A security event, sent by a charge point (WP A04) or seen by ourselves."""

    charge_point = models.ForeignKey(
        ChargePoint, on_delete=models.CASCADE, null=True, related_name="security_events"
    )
    identity = models.CharField(max_length=255)
    kind = models.CharField(
        "type", max_length=255, db_index=True, help_text="Unknown types are kept and shown as well."
    )
    tech_info = models.CharField("techInfo", max_length=255, blank=True)
    ours = models.BooleanField(
        default=False, help_text="Seen by the central system, not sent by the charge point."
    )
    remote_address = models.CharField(max_length=64, blank=True)
    happened_at = models.DateTimeField(help_text="The charge point's time, or ours.")
    received_at = models.DateTimeField(db_index=True)

    class Meta:
        ordering = ["-id"]

    def __str__(self) -> str:
        return f"{self.identity}: {self.kind}"


class CertificateSigningRequest(models.Model):
    """A CSR (PKCS#10, PEM) that a charge point sent with SignCertificate (WP A02, A03)."""

    charge_point = models.ForeignKey(
        ChargePoint, on_delete=models.CASCADE, related_name="signing_requests"
    )
    csr = models.TextField("CSR")
    received_at = models.DateTimeField(db_index=True)

    class Meta:
        ordering = ["-id"]

    def __str__(self) -> str:
        return f"{self.charge_point} {self.received_at:%Y-%m-%d %H:%M}"
