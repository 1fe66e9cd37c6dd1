"""What a request of ours must say beyond its types, by the specification's own words: pure.

A charge point would refuse it, or do something else than was meant; a person gets one sentence
before anything is stored.
"""

from collections import Counter
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

from msgspec import UNSET

from csms.models.authorization import fold
from csms.ocpp import core, firmware_management, security
from csms.ocpp.base import Opt, Request, value_or
from csms.ocpp.configuration_keys import value_problem
from csms.ocpp.local_auth_list_management import SendLocalList, UpdateType
from csms.ocpp.remote_trigger import TriggerMessage
from csms.ocpp.reservation import ReserveNow
from csms.ocpp.smart_charging import ClearChargingProfile, GetCompositeSchedule, SetChargingProfile
from csms.ocpp.types import ChargingProfilePurposeType
from csms.services.profile_rules import connector_problem, profile_problems

Problem = tuple[str, str]
"""A sentence, and the path of the field that it is about; both "" when there is none."""

NONE: Problem = ("", "")


def request_problem(request: Request[Any], *, now: datetime) -> Problem:
    """What is wrong with a request before it is stored."""
    match request:
        case core.RemoteStartTransaction():
            return _of_start(request)
        case core.UnlockConnector():
            return _above_0(request.connector_id)
        case TriggerMessage() | security.ExtendedTriggerMessage():
            return _above_0(request.connector_id)
        case core.ChangeAvailability() | ClearChargingProfile():
            return _not_negative("connectorId", request.connector_id)
        case core.ChangeConfiguration(key=""):
            return "A configuration key has a name.", "key"
        case core.ChangeConfiguration():
            return _of_configuration(request)
        case ReserveNow():
            if request.expiry_date <= now:
                return "It must lie in the future.", "expiryDate"
            return _not_negative("connectorId", request.connector_id)
        case GetCompositeSchedule():
            if request.duration <= 0:
                return "It must be 1 or more seconds.", "duration"
            return _not_negative("connectorId", request.connector_id)
        case SetChargingProfile():
            return _of_profile(request)
        case SendLocalList():
            return _of_list(request)
        case firmware_management.GetDiagnostics() | firmware_management.UpdateFirmware():
            return _of_transfer(request)
    return NONE


def _of_configuration(request: core.ChangeConfiguration) -> Problem:
    problem = value_problem(request.key, request.value)
    return (problem, "value") if problem else NONE


def _above_0(connector_id: Opt[int]) -> Problem:
    if connector_id is not UNSET and connector_id <= 0:
        return "It must be 1 or more: 0 is the whole charge point.", "connectorId"
    return NONE


def _not_negative(path: str, number: Opt[int]) -> Problem:
    if number is not UNSET and number < 0:
        return "It must be 0 or more.", path
    return NONE


def _of_start(request: core.RemoteStartTransaction) -> Problem:
    problem = _above_0(request.connector_id)
    profile = value_or(request.charging_profile)
    if problem != NONE or profile is None:
        return problem
    # 5.11: "the Central System … MUST set the ChargingProfilePurpose to TxProfile".
    if profile.charging_profile_purpose is not ChargingProfilePurposeType.TX_PROFILE:
        return (
            "It must be TxProfile: the profile is for this transaction.",
            "chargingProfile.chargingProfilePurpose",
        )
    if profile.transaction_id is not UNSET:
        return "Leave it out: the transaction does not exist yet.", "chargingProfile.transactionId"
    problems = profile_problems(profile)
    return (problems[0].text, f"chargingProfile.{problems[0].path}") if problems else NONE


def _of_profile(request: SetChargingProfile) -> Problem:
    profile = request.cs_charging_profiles
    problem = connector_problem(profile.charging_profile_purpose, request.connector_id)
    if problem:
        return problem, "connectorId"
    problems = profile_problems(profile)
    if problems:
        return problems[0].text, f"csChargingProfiles.{problems[0].path}"
    return _not_negative("connectorId", request.connector_id)


def _of_list(request: SendLocalList) -> Problem:
    """§5.15, and N34: 0 stands for an empty list and -1 for no support at all."""
    if request.list_version <= 0:
        return "It must be 1 or more.", "listVersion"
    entries = value_or(request.local_authorization_list, ())
    seen = Counter(fold(entry.id_tag) for entry in entries)
    for place, entry in enumerate(entries):
        where = f"localAuthorizationList[{place}]"
        if seen[fold(entry.id_tag)] > 1:
            return f"{entry.id_tag} is in the list more than once.", f"{where}.idTag"
        if request.update_type is UpdateType.FULL and entry.id_tag_info is UNSET:
            return "A Full list needs it for each idTag.", f"{where}.idTagInfo"
    return NONE


def _of_transfer(
    request: firmware_management.GetDiagnostics | firmware_management.UpdateFirmware,
) -> Problem:
    try:
        parts = urlsplit(request.location)
    except ValueError:
        parts = urlsplit("")
    if not parts.scheme or not parts.netloc:
        return "Write an address such as ftp://host/folder or https://host/file.", "location"
    for path, number in (("retries", request.retries), ("retryInterval", request.retry_interval)):
        sentence, where = _not_negative(path, number)
        if sentence:
            return sentence, where
    return NONE
