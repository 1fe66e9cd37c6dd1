"""The types that messages of several profiles share.

Names follow the simple and complex types of the official WSDL. Enumerations hold the values of
the wire. Lengths count characters. Times carry a zone; decimals are exact, never floats.
"""

import enum
from datetime import datetime
from decimal import Decimal
from typing import Annotated, cast

import msgspec
from msgspec import UNSET, Meta, UnsetType

from csms.ocpp.base import Opt, Payload

CiString20 = Annotated[str, Meta(max_length=20)]
CiString25 = Annotated[str, Meta(max_length=25)]
CiString50 = Annotated[str, Meta(max_length=50)]
CiString255 = Annotated[str, Meta(max_length=255)]
CiString500 = Annotated[str, Meta(max_length=500)]
IdToken = CiString20
"""An idTag or parentIdTag; compared without regard to case (7.28)."""

AnyUri = Annotated[str, Meta(extra_json_schema={"format": "uri"}, extra={"xsd": "anyURI"})]

Int32 = Annotated[int, Meta(ge=-(2**31), le=2**31 - 1)]
"""The WSDL's int. JSON's integer is unbounded; both are held to 32 bits."""

DateTime = Annotated[datetime, Meta(tz=True)]
"""A moment with a zone, in the years 2 to 9998 (see `check_moment`)."""

DecimalOne = Annotated[
    Decimal, Meta(extra_json_schema={"multipleOf": 0.1}, extra={"xsd": "decimal"})
]
"""A decimal with at most one digit after the point (see `one_decimal`)."""


def check_moment(*moments: datetime | UnsetType) -> None:
    """Refuse the years 1 and 9999, where the conversion to UTC may overflow (ValueError)."""
    for moment in moments:
        if moment is not UNSET and not 1 < moment.year < 9999:
            raise ValueError("the year is out of range")


def one_decimal(value: Decimal) -> Decimal:
    """The value in plain notation, or ValueError when it has more than one decimal.

    `16`, `16.0`, `16.00` and `1.6E+1` are one value; NaN, infinities and everything of more
    than twelve digits before the point are refused before any arithmetic is done on them.
    """
    if not value.is_finite():
        raise ValueError("the number is not finite")
    exponent = cast(int, value.as_tuple().exponent)  # a letter when not finite
    if value.adjusted() >= 12 or exponent < -15:
        raise ValueError("the number is out of range")
    plain = value.quantize(Decimal("1") if exponent > 0 else Decimal("0.1"))
    if plain != value:
        raise ValueError("the number has more than one decimal")
    return value if exponent in (0, -1) else plain


class AuthorizationStatus(enum.StrEnum):
    ACCEPTED = "Accepted"
    BLOCKED = "Blocked"
    EXPIRED = "Expired"
    INVALID = "Invalid"
    CONCURRENT_TX = "ConcurrentTx"


class IdTagInfo(Payload, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the central system knows of an idTag (7.27)."""

    status: AuthorizationStatus
    expiry_date: Opt[DateTime] = UNSET
    parent_id_tag: Opt[IdToken] = UNSET


class ReadingContext(enum.StrEnum):
    INTERRUPTION_BEGIN = "Interruption.Begin"
    INTERRUPTION_END = "Interruption.End"
    OTHER = "Other"
    SAMPLE_CLOCK = "Sample.Clock"
    SAMPLE_PERIODIC = "Sample.Periodic"
    TRANSACTION_BEGIN = "Transaction.Begin"
    TRANSACTION_END = "Transaction.End"
    TRIGGER = "Trigger"


class Measurand(enum.StrEnum):
    CURRENT_EXPORT = "Current.Export"
    CURRENT_IMPORT = "Current.Import"
    CURRENT_OFFERED = "Current.Offered"
    ENERGY_ACTIVE_EXPORT_REGISTER = "Energy.Active.Export.Register"
    ENERGY_ACTIVE_IMPORT_REGISTER = "Energy.Active.Import.Register"
    ENERGY_REACTIVE_EXPORT_REGISTER = "Energy.Reactive.Export.Register"
    ENERGY_REACTIVE_IMPORT_REGISTER = "Energy.Reactive.Import.Register"
    ENERGY_ACTIVE_EXPORT_INTERVAL = "Energy.Active.Export.Interval"
    ENERGY_ACTIVE_IMPORT_INTERVAL = "Energy.Active.Import.Interval"
    ENERGY_REACTIVE_EXPORT_INTERVAL = "Energy.Reactive.Export.Interval"
    ENERGY_REACTIVE_IMPORT_INTERVAL = "Energy.Reactive.Import.Interval"
    FREQUENCY = "Frequency"
    POWER_ACTIVE_EXPORT = "Power.Active.Export"
    POWER_ACTIVE_IMPORT = "Power.Active.Import"
    POWER_FACTOR = "Power.Factor"
    POWER_OFFERED = "Power.Offered"
    POWER_REACTIVE_EXPORT = "Power.Reactive.Export"
    POWER_REACTIVE_IMPORT = "Power.Reactive.Import"
    RPM = "RPM"
    SOC = "SoC"
    TEMPERATURE = "Temperature"
    VOLTAGE = "Voltage"


class ValueFormat(enum.StrEnum):
    RAW = "Raw"
    SIGNED_DATA = "SignedData"


class UnitOfMeasure(enum.StrEnum):
    CELSIUS = "Celsius"
    FAHRENHEIT = "Fahrenheit"
    WH = "Wh"
    KWH = "kWh"
    VARH = "varh"
    KVARH = "kvarh"
    W = "W"
    KW = "kW"
    VA = "VA"
    KVA = "kVA"
    VAR = "var"
    KVAR = "kvar"
    A = "A"
    V = "V"
    K = "K"
    PERCENT = "Percent"

    @classmethod
    def _missing_(cls, value: object) -> "UnitOfMeasure | None":
        """`Celcius` is valid too: the JSON schemas hold both spellings, the WSDL one."""
        return cls.CELSIUS if value == "Celcius" else None


class Phase(enum.StrEnum):
    L1 = "L1"
    L2 = "L2"
    L3 = "L3"
    N = "N"
    L1_N = "L1-N"
    L2_N = "L2-N"
    L3_N = "L3-N"
    L1_L2 = "L1-L2"
    L2_L3 = "L2-L3"
    L3_L1 = "L3-L1"


class Location(enum.StrEnum):
    BODY = "Body"
    CABLE = "Cable"
    EV = "EV"
    INLET = "Inlet"
    OUTLET = "Outlet"


class SampledValue(Payload, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One reading, as text (7.43). Absent fields mean Energy.Active.Import.Register in Wh,
    Sample.Periodic, Raw, Outlet; who reads the value applies them."""

    value: str
    context: Opt[ReadingContext] = UNSET
    format: Opt[ValueFormat] = UNSET
    measurand: Opt[Measurand] = UNSET
    phase: Opt[Phase] = UNSET
    location: Opt[Location] = UNSET
    unit: Opt[UnitOfMeasure] = UNSET

    def __post_init__(self) -> None:
        if not self.value.strip():
            raise ValueError("the value is empty")


class MeterValue(Payload, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The readings of one moment (7.33)."""

    timestamp: DateTime
    sampled_value: Annotated[tuple[SampledValue, ...], Meta(min_length=1)]

    def __post_init__(self) -> None:
        check_moment(self.timestamp)


class ChargingProfilePurposeType(enum.StrEnum):
    CHARGE_POINT_MAX_PROFILE = "ChargePointMaxProfile"
    TX_DEFAULT_PROFILE = "TxDefaultProfile"
    TX_PROFILE = "TxProfile"


class ChargingProfileKindType(enum.StrEnum):
    ABSOLUTE = "Absolute"
    RECURRING = "Recurring"
    RELATIVE = "Relative"


class RecurrencyKindType(enum.StrEnum):
    DAILY = "Daily"
    WEEKLY = "Weekly"


class ChargingRateUnitType(enum.StrEnum):
    W = "W"
    A = "A"


class ChargingSchedulePeriod(Payload, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """From `start_period` seconds after the schedule's start: `limit` in A for each phase, or W
    in total (7.14)."""

    start_period: Int32
    limit: DecimalOne
    number_phases: Opt[Int32] = UNSET

    def __post_init__(self) -> None:
        msgspec.structs.force_setattr(self, "limit", one_decimal(self.limit))


class ChargingSchedule(Payload, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Limits over time (7.13); `duration` in seconds."""

    duration: Opt[Int32] = UNSET
    start_schedule: Opt[DateTime] = UNSET
    charging_rate_unit: ChargingRateUnitType
    charging_schedule_period: Annotated[tuple[ChargingSchedulePeriod, ...], Meta(min_length=1)]
    min_charging_rate: Opt[DecimalOne] = UNSET

    def __post_init__(self) -> None:
        check_moment(self.start_schedule)
        if self.min_charging_rate is not UNSET:
            rate = one_decimal(self.min_charging_rate)
            msgspec.structs.force_setattr(self, "min_charging_rate", rate)


class ChargingProfile(Payload, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A schedule with its purpose, validity and precedence (7.8)."""

    charging_profile_id: Int32
    transaction_id: Opt[Int32] = UNSET
    stack_level: Int32
    charging_profile_purpose: ChargingProfilePurposeType
    charging_profile_kind: ChargingProfileKindType
    recurrency_kind: Opt[RecurrencyKindType] = UNSET
    valid_from: Opt[DateTime] = UNSET
    valid_to: Opt[DateTime] = UNSET
    charging_schedule: ChargingSchedule


class TriggerMessageStatus(enum.StrEnum):
    ACCEPTED = "Accepted"
    REJECTED = "Rejected"
    NOT_IMPLEMENTED = "NotImplemented"


class RegistrationStatus(enum.StrEnum):
    ACCEPTED = "Accepted"
    PENDING = "Pending"
    REJECTED = "Rejected"


class ChargePointErrorCode(enum.StrEnum):
    CONNECTOR_LOCK_FAILURE = "ConnectorLockFailure"
    EV_COMMUNICATION_ERROR = "EVCommunicationError"
    GROUND_FAILURE = "GroundFailure"
    HIGH_TEMPERATURE = "HighTemperature"
    INTERNAL_ERROR = "InternalError"
    LOCAL_LIST_CONFLICT = "LocalListConflict"
    NO_ERROR = "NoError"
    OTHER_ERROR = "OtherError"
    OVER_CURRENT_FAILURE = "OverCurrentFailure"
    OVER_VOLTAGE = "OverVoltage"
    POWER_METER_FAILURE = "PowerMeterFailure"
    POWER_SWITCH_FAILURE = "PowerSwitchFailure"
    READER_FAILURE = "ReaderFailure"
    RESET_FAILURE = "ResetFailure"
    UNDER_VOLTAGE = "UnderVoltage"
    WEAK_SIGNAL = "WeakSignal"


class ChargePointStatus(enum.StrEnum):
    AVAILABLE = "Available"
    PREPARING = "Preparing"
    CHARGING = "Charging"
    SUSPENDED_EV = "SuspendedEV"
    SUSPENDED_EVSE = "SuspendedEVSE"
    FINISHING = "Finishing"
    RESERVED = "Reserved"
    FAULTED = "Faulted"
    UNAVAILABLE = "Unavailable"


class Reason(enum.StrEnum):
    EMERGENCY_STOP = "EmergencyStop"
    EV_DISCONNECTED = "EVDisconnected"
    HARD_RESET = "HardReset"
    LOCAL = "Local"
    OTHER = "Other"
    POWER_LOSS = "PowerLoss"
    REBOOT = "Reboot"
    REMOTE = "Remote"
    SOFT_RESET = "SoftReset"
    UNLOCK_COMMAND = "UnlockCommand"
    DE_AUTHORIZED = "DeAuthorized"
