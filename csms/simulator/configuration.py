"""The configuration keys of a simulated charge point (OCPP 1.6 §9, and the security extension)."""

import re
from collections.abc import Iterable
from dataclasses import dataclass

from csms.ocpp.core import ConfigurationStatus, KeyValue

SAMPLES = "Energy.Active.Import.Register,Power.Active.Import,Current.Import,Voltage,SoC,Temperature"
_WHOLE = re.compile(r"[0-9]{1,9}")
_HEX_KEY = re.compile(r"[0-9A-Fa-f]{32,40}")


@dataclass
class Key:
    """One key: how its value is checked, and what a change needs."""

    name: str
    value: str
    kind: str = "int"  # int, bool, text, or password (written, never read)
    readonly: bool = False
    reboot: bool = False

    def accepts(self, value: str) -> bool:
        """Whether the value is one for this key."""
        if self.kind == "int":
            return _WHOLE.fullmatch(value) is not None
        if self.kind == "bool":
            return value.casefold() in ("true", "false")
        if self.kind == "password":
            return _HEX_KEY.fullmatch(value) is not None
        return True


def _standard(connectors: int, security: bool) -> Iterable[Key]:
    yield Key("AllowOfflineTxForUnknownId", "true", "bool")
    yield Key("AuthorizationCacheEnabled", "true", "bool")
    yield Key("AuthorizeRemoteTxRequests", "false", "bool")
    yield Key("ClockAlignedDataInterval", "0")
    yield Key("ConnectionTimeOut", "60")
    yield Key("ConnectorPhaseRotation", "NotApplicable", "text")
    yield Key("ConnectorPhaseRotationMaxLength", "10", readonly=True)
    yield Key("GetConfigurationMaxKeys", "50", readonly=True)
    yield Key("HeartbeatInterval", "300")
    yield Key("LocalAuthorizeOffline", "true", "bool")
    yield Key("LocalPreAuthorize", "false", "bool")
    yield Key("MeterValuesAlignedData", "Energy.Active.Import.Register", "text")
    yield Key("MeterValuesAlignedDataMaxLength", "8", readonly=True)
    yield Key("MeterValuesSampledData", SAMPLES, "text")
    yield Key("MeterValuesSampledDataMaxLength", "8", readonly=True)
    yield Key("MeterValueSampleInterval", "60")
    yield Key("NumberOfConnectors", str(connectors), readonly=True)
    yield Key("ResetRetries", "1")
    yield Key("StopTransactionOnEVSideDisconnect", "true", "bool")
    yield Key("StopTransactionOnInvalidId", "true", "bool")
    yield Key("StopTxnAlignedData", "", "text")
    yield Key("StopTxnSampledData", "", "text")
    yield Key("SupportedFeatureProfiles", _PROFILES, "text", readonly=True)
    yield Key("TransactionMessageAttempts", "3")
    yield Key("TransactionMessageRetryInterval", "10")
    yield Key("UnlockConnectorOnEVSideDisconnect", "true", "bool")
    yield Key("WebSocketPingInterval", "30", reboot=True)
    yield Key("SupportedFileTransferProtocols", "FTP,HTTP", "text", readonly=True)
    yield Key("LocalAuthListEnabled", "true", "bool")
    yield Key("LocalAuthListMaxLength", "1000", readonly=True)
    yield Key("SendLocalListMaxLength", "100", readonly=True)
    yield Key("ReserveConnectorZeroSupported", "true", "bool", readonly=True)
    yield Key("ChargeProfileMaxStackLevel", "10", readonly=True)
    yield Key("ChargingScheduleAllowedChargingRateUnit", "Current,Power", "text", readonly=True)
    yield Key("ChargingScheduleMaxPeriods", "24", readonly=True)
    yield Key("MaxChargingProfilesInstalled", "20", readonly=True)
    if security:
        yield Key("AuthorizationKey", "", "password")
        yield Key("CertificateStoreMaxLength", "10", readonly=True)
        yield Key("CpoName", "", "text")
        yield Key("SecurityProfile", "1", readonly=True)


_PROFILES = (
    "Core,FirmwareManagement,LocalAuthListManagement,RemoteTrigger,Reservation,SmartCharging"
)


class Configuration:
    """All keys; their names are compared without regard to case (7.28, errata 3.74)."""

    tells_all = True
    """Whether it can answer a question for all keys; some charge points cannot."""
    holds_after_reboot = False
    """Whether what needs a reboot is told as before until then; else it is told at once."""

    def __init__(self, *, connectors: int, security: bool) -> None:
        self._keys = {key.name.casefold(): key for key in _standard(connectors, security)}
        self._waiting: dict[str, str] = {}

    def add(self, name: str, value: str) -> None:
        """Be a charge point that has this key of its vendor's."""
        self._keys[name.casefold()] = Key(name, value, "text")

    def remove(self, name: str) -> None:
        """Be a charge point that does not have this key."""
        del self._keys[name.casefold()]

    def __getitem__(self, name: str) -> str:
        return self._keys[name.casefold()].value

    def __setitem__(self, name: str, value: str) -> None:
        self._keys[name.casefold()].value = value

    def whole(self, name: str) -> int:
        """The value of a whole number."""
        return int(self[name])

    def flag(self, name: str) -> bool:
        """The value of a switch."""
        return self[name].casefold() == "true"

    @property
    def most_keys(self) -> int:
        """The keys that it tells in one answer to a question by name."""
        name = "GetConfigurationMaxKeys"
        return self.whole(name) if name.casefold() in self._keys else len(self._keys)

    def listed(self, name: str) -> list[str]:
        """The items of a comma-separated list."""
        return [item.strip() for item in self[name].split(",") if item.strip()]

    def change(self, name: str, value: str) -> ConfigurationStatus:
        """Set a key, if it may be set to this (5.3)."""
        key = self._keys.get(name.casefold())
        if key is None:
            return ConfigurationStatus.NOT_SUPPORTED
        if key.readonly or not key.accepts(value):
            return ConfigurationStatus.REJECTED
        if key.reboot and self.holds_after_reboot:
            self._waiting[name] = value
        else:
            key.value = value
        return ConfigurationStatus.REBOOT_REQUIRED if key.reboot else ConfigurationStatus.ACCEPTED

    def rebooted(self) -> None:
        """What waited for a reboot holds now."""
        while self._waiting:
            name, value = self._waiting.popitem()
            self[name] = value

    def read(self, names: Iterable[str] = ()) -> tuple[list[KeyValue], list[str]]:
        """These keys, or all; and the names that are unknown (5.8)."""
        wanted = list(names)
        unknown = [name for name in wanted if name.casefold() not in self._keys]
        keys = [self._keys[n.casefold()] for n in wanted if n.casefold() in self._keys]
        return [_shown(key) for key in keys or ([] if wanted else self._keys.values())], unknown


def _shown(key: Key) -> KeyValue:
    if key.kind == "password":  # WP A01: "AuthorizationKey is write-only"
        return KeyValue(key=key.name, readonly=False)
    return KeyValue(key=key.name, readonly=key.readonly, value=key.value)
