"""Charge points, their connectors, how far they deviate, and who knocked without being known."""

from datetime import datetime, timedelta

from django.db import models
from django.db.models.functions import Now
from django.utils import timezone

ONLINE_INTERVALS = 2.5
"""A charge point without a socket is online while it spoke within this many heartbeat intervals."""


class Transport(models.TextChoices):
    JSON = "json", "OCPP-J (WebSocket)"
    SOAP = "soap", "OCPP-S (SOAP)"


class Registration(models.TextChoices):
    """RegistrationStatus (OCPP 1.6 §4.2)."""

    ACCEPTED = "Accepted", "Accepted"
    PENDING = "Pending", "Pending"
    REJECTED = "Rejected", "Rejected"


class Strictness(models.TextChoices):
    TOLERANT = "tolerant", "Tolerant: known deviations are read and noted"
    STRICT = "strict", "Strict: deviations are refused (for certification)"


class SecurityProfile(models.IntegerChoices):
    """How a charge point proves who it is (OCPP 1.6 security whitepaper §3; 0 is outside it)."""

    NONE = 0, "0: no proof, from trusted networks only"
    BASIC = 1, "1: password, unencrypted"
    TLS = 2, "2: password, over TLS"
    CLIENT_CERTIFICATE = 3, "3: client certificate, over TLS"


class SoapProof(models.TextChoices):
    """Where a SOAP charge point of profile 1 or 2 carries its password."""

    BASIC = "basic", "HTTP Basic"
    PATH = "path", "Last segment of the URL's path"


class ChargePoint(models.Model):
    """A charge point of either transport; the identity is what it calls itself."""

    identity = models.CharField(
        max_length=255,
        unique=True,
        help_text="Last part of the WebSocket URL, or chargeBoxIdentity over SOAP. Case counts.",
    )
    name = models.CharField(max_length=255, blank=True, help_text="For people; free text.")
    site = models.CharField(max_length=100, blank=True, db_index=True)
    transport = models.CharField(max_length=4, choices=Transport, default=Transport.JSON)
    version = models.CharField("OCPP version", max_length=8, default="1.6")
    registration = models.CharField(
        max_length=8, choices=Registration, default=Registration.ACCEPTED, db_index=True
    )
    ever_accepted = models.BooleanField(default=False, editable=False)
    strictness = models.CharField(max_length=8, choices=Strictness, default=Strictness.TOLERANT)
    security_profile = models.PositiveSmallIntegerField(
        choices=SecurityProfile,
        default=SecurityProfile.BASIC,
        help_text="The only one with which it may connect; raise it when the charge point can.",
    )
    pending_security_profile = models.PositiveSmallIntegerField(
        choices=SecurityProfile,
        null=True,
        blank=True,
        editable=False,
        help_text="A higher one that it accepted: valid beside the other until its first login.",
    )
    soap_proof = models.CharField(
        "SOAP password in",
        max_length=5,
        choices=SoapProof,
        default=SoapProof.BASIC,
        help_text="A charge point that knows no HTTP Basic can carry it in its URL.",
    )
    certificate_name = models.CharField(
        max_length=255,
        blank=True,
        help_text="Profile 3: the common name (CN) of its certificate, usually its serial number.",
    )
    password = models.CharField(max_length=255, blank=True, editable=False)
    pending_password = models.CharField(
        max_length=255,
        blank=True,
        editable=False,
        help_text="Of a key that was sent: valid beside the old one until one of them logs in.",
    )
    time_zone = models.CharField(
        max_length=64,
        default="UTC",
        help_text="Read into timestamps that the charge point sends without a zone.",
    )
    heartbeat_interval = models.PositiveIntegerField(
        null=True, blank=True, help_text="Seconds; empty: the setting CSMS_HEARTBEAT_INTERVAL."
    )
    boot_retry_interval = models.PositiveIntegerField(
        null=True, blank=True, help_text="Seconds; empty: the setting CSMS_BOOT_RETRY_INTERVAL."
    )

    vendor = models.CharField(max_length=255, blank=True, db_index=True)
    model = models.CharField(max_length=255, blank=True)
    serial_number = models.CharField(max_length=255, blank=True)
    box_serial_number = models.CharField(max_length=255, blank=True)
    firmware_version = models.CharField(max_length=255, blank=True, db_index=True)
    iccid = models.CharField("ICCID", max_length=255, blank=True)
    imsi = models.CharField("IMSI", max_length=255, blank=True)
    meter_type = models.CharField(max_length=255, blank=True)
    meter_serial_number = models.CharField(max_length=255, blank=True)
    feature_profiles = models.CharField(
        max_length=255,
        blank=True,
        editable=False,
        help_text="SupportedFeatureProfiles as read from it; empty: not known.",
    )
    configuration_by_name = models.BooleanField(
        default=False,
        help_text="Its configuration is read key by key: it cannot tell all keys at once.",
    )
    firmware_status = models.CharField(max_length=50, blank=True)
    diagnostics_status = models.CharField(max_length=50, blank=True)

    booted_at = models.DateTimeField(null=True, blank=True, editable=False)
    last_seen = models.DateTimeField(null=True, blank=True, editable=False)
    connected = models.BooleanField(default=False, editable=False)
    connected_at = models.DateTimeField(null=True, blank=True, editable=False)
    remote_address = models.CharField(max_length=64, blank=True, editable=False)
    owner = models.CharField(max_length=64, blank=True, editable=False)
    epoch = models.PositiveIntegerField(default=0, editable=False)

    callback_url = models.CharField(
        max_length=500,
        blank=True,
        help_text="Where a SOAP charge point is called; learned from its first message.",
    )
    callback_proposed = models.CharField(max_length=500, blank=True, editable=False)
    callback_pinned = models.BooleanField(
        default=False, help_text="Keep the callback address whatever the charge point says."
    )
    callback_error = models.CharField(max_length=255, blank=True, editable=False)
    callback_failed_at = models.DateTimeField(null=True, blank=True, editable=False)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        verbose_name = "charge point"
        ordering = ["identity"]
        constraints = [
            models.CheckConstraint(
                condition=~models.Q(identity=""), name="charge_point_has_identity"
            ),
        ]
        indexes = [
            models.Index(
                fields=["identity"],
                name="charge_point_connected",
                condition=models.Q(connected=True),
            ),
        ]

    def __str__(self) -> str:
        return self.identity

    def effective_heartbeat_interval(self, default: int) -> int:
        """Seconds between heartbeats."""
        return self.heartbeat_interval or default

    def is_online(self, *, now: datetime, heartbeat_interval: int) -> bool:
        """JSON: a socket is open. SOAP: any request within 2.5 heartbeat intervals (s)."""
        if self.transport == Transport.JSON:
            return self.connected
        if self.last_seen is None:
            return False
        seconds = ONLINE_INTERVALS * self.effective_heartbeat_interval(heartbeat_interval)
        return now - self.last_seen <= timedelta(seconds=seconds)


class ChargePointStatus(models.TextChoices):
    """ChargePointStatus (OCPP 1.6 §7.7)."""

    AVAILABLE = "Available"
    PREPARING = "Preparing"
    CHARGING = "Charging"
    SUSPENDED_EVSE = "SuspendedEVSE"
    SUSPENDED_EV = "SuspendedEV"
    FINISHING = "Finishing"
    RESERVED = "Reserved"
    UNAVAILABLE = "Unavailable"
    FAULTED = "Faulted"


class Connector(models.Model):
    """A connector as last reported; connectorId 0 is the charge point's main controller."""

    charge_point = models.ForeignKey(
        ChargePoint, on_delete=models.CASCADE, related_name="connectors"
    )
    connector_id = models.PositiveIntegerField("connectorId")
    status = models.CharField(max_length=13, choices=ChargePointStatus, blank=True, db_index=True)
    error_code = models.CharField("errorCode", max_length=50, blank=True)
    info = models.CharField(max_length=255, blank=True)
    vendor_id = models.CharField("vendorId", max_length=255, blank=True)
    vendor_error_code = models.CharField("vendorErrorCode", max_length=255, blank=True)
    reported_at = models.DateTimeField(
        null=True, blank=True, help_text="The charge point's own time of this status."
    )
    received_at = models.DateTimeField(null=True, blank=True, help_text="When we received it.")
    list_conflict_at = models.DateTimeField(
        null=True, blank=True, editable=False, help_text="When it last told a LocalListConflict."
    )

    class Meta:
        ordering = ["charge_point", "connector_id"]
        indexes = [
            models.Index(
                fields=["list_conflict_at"],
                name="connector_list_conflict",
                condition=models.Q(list_conflict_at__isnull=False),
            ),
        ]
        constraints = [
            models.UniqueConstraint(
                fields=["charge_point", "connector_id"], name="connector_once_per_charge_point"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.charge_point}/{self.connector_id}"


class Deviation(models.Model):
    """How often a charge point needed a named tolerance: its compliance card."""

    charge_point = models.ForeignKey(
        ChargePoint, on_delete=models.CASCADE, related_name="deviations"
    )
    name = models.CharField(max_length=100)
    count = models.PositiveBigIntegerField(default=0)
    first_at = models.DateTimeField(default=timezone.now)
    last_at = models.DateTimeField(default=timezone.now)
    example = models.CharField(max_length=500, blank=True)

    class Meta:
        ordering = ["charge_point", "name"]
        constraints = [
            models.UniqueConstraint(
                fields=["charge_point", "name"], name="deviation_once_per_charge_point"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.name} × {self.count}"


class UnknownChargePoint(models.Model):
    """An identity that knocked without being known; one row for each identity and transport."""

    identity = models.CharField(max_length=255)
    transport = models.CharField(max_length=4, choices=Transport)
    remote_address = models.CharField(max_length=64, blank=True)
    vendor = models.CharField(max_length=255, blank=True)
    model = models.CharField(max_length=255, blank=True)
    count = models.PositiveBigIntegerField(default=1)
    first_at = models.DateTimeField(db_default=Now())
    last_at = models.DateTimeField(db_index=True)

    class Meta:
        verbose_name = "unknown charge point"
        ordering = ["-last_at"]
        constraints = [
            models.UniqueConstraint(
                fields=["identity", "transport"], name="unknown_charge_point_once"
            ),
        ]

    def __str__(self) -> str:
        return self.identity
