"""The standard configuration keys (OCPP 1.6 §9, and the security whitepaper's §5): what each means,
and which values it takes. Names are compared without regard to case (§7.28)."""

import enum
import re
from dataclasses import dataclass

from csms.ocpp.base import Profile
from csms.ocpp.types import Measurand, Phase

LARGEST = 2**31 - 1


class Kind(enum.StrEnum):
    """The type of a value; all travel as text (§5.3)."""

    BOOLEAN = "boolean"
    INTEGER = "integer"
    LIST = "list"
    """A comma-separated list."""
    TEXT = "text"


class Access(enum.StrEnum):
    """R, RW or W of §9; vendors may make more of a key writable, or less."""

    READ = "R"
    READ_WRITE = "RW"
    WRITE = "W"


@dataclass(frozen=True, slots=True, kw_only=True)
class StandardKey:
    """One key, as the specification has it."""

    name: str
    kind: Kind
    profile: Profile
    meaning: str
    access: Access = Access.READ_WRITE
    unit: str = ""
    """s, Wh, %; empty: a number of something."""
    least: int = 0
    most: int = LARGEST
    values: tuple[str, ...] = ()
    """What a list may hold; empty: anything."""

    @property
    def length_key(self) -> str:
        """The key that tells how many items this list takes; empty when there is none."""
        name = f"{self.name}MaxLength"
        return STANDARD[name.casefold()].name if name.casefold() in STANDARD else ""


_MEASURANDS = tuple(measurand.value for measurand in Measurand)
_PHASES = frozenset(phase.value.casefold() for phase in Phase)
_FOLDED = frozenset(name.casefold() for name in _MEASURANDS)
_ROTATIONS = ("NotApplicable", "Unknown", "RST", "RTS", "SRT", "STR", "TRS", "TSR")
_ROTATION = re.compile(rf"(\d{{1,4}}\.)?({'|'.join(_ROTATIONS)})", re.IGNORECASE)
_NUMBER = re.compile(r"-?[0-9]{1,10}")


def _declared() -> list[StandardKey]:
    found: list[StandardKey] = []

    def key(profile: Profile, kind: Kind, name: str, meaning: str, **more: object) -> None:
        found.append(
            StandardKey(name=name, kind=kind, profile=profile, meaning=meaning, **more)  # type: ignore[arg-type]
        )

    core, lists = Profile.CORE, Profile.LOCAL_AUTH_LIST_MANAGEMENT
    smart, security = Profile.SMART_CHARGING, Profile.SECURITY
    flag, number, items, text = Kind.BOOLEAN, Kind.INTEGER, Kind.LIST, Kind.TEXT
    read = Access.READ
    samples = {"values": _MEASURANDS}

    # 9.1 Core
    key(core, flag, "AllowOfflineTxForUnknownId", "Offline, unknown idTags may charge.")
    key(core, flag, "AuthorizationCacheEnabled", "It remembers idTags that were accepted.")
    key(core, flag, "AuthorizeRemoteTxRequests", "It authorizes the idTag of a remote start first.")
    key(core, number, "BlinkRepeat", "How often its lights blink when signalling.")
    key(
        core,
        number,
        "ClockAlignedDataInterval",
        "Between clock-aligned samples; 0: none.",
        unit="s",
    )
    key(
        core,
        number,
        "ConnectionTimeOut",
        "How long it waits for the cable after an idTag.",
        unit="s",
    )
    key(core, items, "ConnectorPhaseRotation", "Phase rotation by connector, as 0.RST, 1.RST.")
    key(core, number, "ConnectorPhaseRotationMaxLength", "Items of that list.", access=read)
    key(core, number, "GetConfigurationMaxKeys", "Keys of one GetConfiguration.", access=read)
    key(core, number, "HeartbeatInterval", "Between heartbeats, after a boot too.", unit="s")
    key(core, number, "LightIntensity", "Of its illumination.", unit="%", most=100)
    key(core, flag, "LocalAuthorizeOffline", "Offline, idTags that it knows may charge.")
    key(core, flag, "LocalPreAuthorize", "Online, too, idTags that it knows start at once.")
    key(core, number, "MaxEnergyOnInvalidId", "Delivered at most to an invalid idTag.", unit="Wh")
    key(core, items, "MeterValuesAlignedData", "Measurands of clock-aligned samples.", **samples)
    key(core, number, "MeterValuesAlignedDataMaxLength", "Items of that list.", access=read)
    key(core, items, "MeterValuesSampledData", "Measurands of samples while charging.", **samples)
    key(core, number, "MeterValuesSampledDataMaxLength", "Items of that list.", access=read)
    key(core, number, "MeterValueSampleInterval", "Between samples; 0: none.", unit="s")
    key(core, number, "MinimumStatusDuration", "A status is told when it lasts so long.", unit="s")
    key(core, number, "NumberOfConnectors", "Of the charge point.", access=read)
    key(core, number, "ResetRetries", "How often it tries a reset that failed.")
    key(core, flag, "StopTransactionOnEVSideDisconnect", "Unplugging the vehicle ends charging.")
    key(core, flag, "StopTransactionOnInvalidId", "An idTag that turns out invalid ends charging.")
    key(
        core, items, "StopTxnAlignedData", "Clock-aligned measurands in StopTransaction.", **samples
    )
    key(core, number, "StopTxnAlignedDataMaxLength", "Items of that list.", access=read)
    key(core, items, "StopTxnSampledData", "Sampled measurands in StopTransaction.", **samples)
    key(core, number, "StopTxnSampledDataMaxLength", "Items of that list.", access=read)
    key(core, items, "SupportedFeatureProfiles", "The profiles that it has.", access=read)
    key(core, number, "SupportedFeatureProfilesMaxLength", "Items of that list.", access=read)
    key(core, number, "TransactionMessageAttempts", "How often it sends a message that failed.")
    key(
        core,
        number,
        "TransactionMessageRetryInterval",
        "Before it sends such a message again, times the attempts so far.",
        unit="s",
    )
    key(core, flag, "UnlockConnectorOnEVSideDisconnect", "Unplugging the vehicle frees the cable.")
    key(core, number, "WebSocketPingInterval", "Between its pings; 0: none. OCPP-J only.", unit="s")
    # 9.2 Local Auth List Management
    key(lists, flag, "LocalAuthListEnabled", "The local authorization list is used.")
    key(lists, number, "LocalAuthListMaxLength", "idTags that the list holds.", access=read)
    key(lists, number, "SendLocalListMaxLength", "idTags of one SendLocalList.", access=read)
    # 9.3 Reservation
    key(
        Profile.RESERVATION,
        flag,
        "ReserveConnectorZeroSupported",
        "It takes reservations without a connector.",
        access=read,
    )
    # 9.4 Smart Charging
    key(smart, number, "ChargeProfileMaxStackLevel", "Highest stackLevel.", access=read)
    key(
        smart,
        items,
        "ChargingScheduleAllowedChargingRateUnit",
        "Units of its schedules: Current, Power.",
        access=read,
        values=("Current", "Power"),
    )
    key(smart, number, "ChargingScheduleMaxPeriods", "Periods of a schedule.", access=read)
    key(smart, flag, "ConnectorSwitch3to1PhaseSupported", "It switches phases.", access=read)
    key(smart, number, "MaxChargingProfilesInstalled", "Profiles at one time.", access=read)
    # Security whitepaper §5, and its file transfers
    key(
        security,
        flag,
        "AdditionalRootCertificateCheck",
        "One root certificate, and a new one only when signed by it.",
        access=read,
    )
    key(security, text, "AuthorizationKey", "Its password; only written.", access=Access.WRITE)
    key(security, number, "CertificateSignedMaxChainSize", "Bytes of a chain.", access=read)
    key(security, number, "CertificateStoreMaxLength", "Certificates that it keeps.", access=read)
    key(security, text, "CpoName", "The operator's name, in its certificate's O.")
    key(security, number, "SecurityProfile", "How it connects; only ever raised.", most=3)
    key(
        security,
        items,
        "SupportedFileTransferProtocols",
        "How it fetches and brings files: FTP, FTPS, HTTP, HTTPS, SFTP.",
        access=read,
    )
    return found


STANDARD: dict[str, StandardKey] = {key.name.casefold(): key for key in _declared()}
"""Case-folded name → key, in the order of the specification."""


def standard_key(name: str) -> StandardKey | None:
    """The standard key of this name, in any case; None: it is the vendor's own."""
    return STANDARD.get(name.casefold())


def items_of(value: str) -> list[str]:
    """The items of a comma-separated list."""
    return [item.strip() for item in value.split(",") if item.strip()]


def comparable(name: str, value: str) -> str:
    """What two values of a key have in common when they mean the same: charge points write them in
    a way of their own."""
    plain = ",".join(part.strip() for part in value.casefold().split(","))
    key = standard_key(name)
    if key is not None and key.kind is Kind.INTEGER and _NUMBER.fullmatch(plain):
        return str(int(plain))
    return plain


def value_problem(name: str, value: str) -> str:
    """Why a standard key cannot have this value, in one sentence; empty when it can, and for the
    keys of vendors. What a SecurityProfile may be depends on the charge point."""
    key = standard_key(name)
    if key is None or key.name == "SecurityProfile":
        return ""
    plain = value.strip()
    match key.kind:
        case Kind.BOOLEAN:
            fits = plain.casefold() in ("true", "false")
            return "" if fits else f"{key.name} is true or false."
        case Kind.INTEGER:
            fits = bool(_NUMBER.fullmatch(plain)) and key.least <= int(plain) <= key.most
            return "" if fits else _number_wanted(key)
        case Kind.LIST:
            return _list_problem(key, plain)
    return ""


def _number_wanted(key: StandardKey) -> str:
    unit = {"s": " of seconds", "Wh": " of Wh", "%": " of percent"}.get(key.unit, "")
    upto = f" to {key.most}" if key.most != LARGEST else " or more"
    return f"{key.name} is a whole number{unit}, {key.least}{upto}."


def _list_problem(key: StandardKey, value: str) -> str:
    parts = [part.strip() for part in value.split(",")] if value else []
    if not all(parts):
        return f"{key.name} is a list by comma: one item is empty."
    for part in parts:
        if key.name == "ConnectorPhaseRotation" and not _ROTATION.fullmatch(part):
            return (
                f"{key.name} has items such as 1.RST: a connector and one of "
                f"{', '.join(_ROTATIONS)}; {part[:50]} is none."
            )
        if key.values == _MEASURANDS and not _is_measurand(part):
            return f"{key.name} has measurands such as Energy.Active.Import.Register; " + (
                f"{part[:50]} is none."
            )
        if key.values and key.values != _MEASURANDS and part not in key.values:
            return f"{key.name} has items of {', '.join(key.values)}; {part[:50]} is none."
    folded = [part.casefold() for part in parts]
    twice = next((part for part in parts if folded.count(part.casefold()) > 1), "")
    return f"{key.name} has {twice[:50]} more than once." if twice else ""


def _is_measurand(item: str) -> bool:
    """Errata 3.4: a measurand may be followed by its phase: `Voltage.L1`."""
    plain = item.casefold()
    measurand, _, phase = plain.rpartition(".")
    return plain in _FOLDED or (measurand in _FOLDED and phase in _PHASES)
