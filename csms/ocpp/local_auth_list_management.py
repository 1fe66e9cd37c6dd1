"""The Local Auth List Management profile: idTags that a charge point knows by itself."""

import enum

from msgspec import UNSET

from csms.ocpp.base import CENTRAL_SYSTEM, Opt, Payload, Profile, Request
from csms.ocpp.types import IdTagInfo, IdToken, Int32


class GetLocalListVersionResponse(Payload, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """5.10: 0 is an empty list, -1 means that there is none."""

    list_version: Int32


class GetLocalListVersion(
    Request[GetLocalListVersionResponse], frozen=True, kw_only=True, forbid_unknown_fields=True
):
    """Which version of the list do you have? (5.10)"""

    senders = CENTRAL_SYSTEM
    profile = Profile.LOCAL_AUTH_LIST_MANAGEMENT


class AuthorizationData(Payload, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An entry of the list; in a Differential one without `id_tag_info` is deleted (7.1)."""

    id_tag: IdToken
    id_tag_info: Opt[IdTagInfo] = UNSET


class UpdateType(enum.StrEnum):
    DIFFERENTIAL = "Differential"
    FULL = "Full"


class UpdateStatus(enum.StrEnum):
    ACCEPTED = "Accepted"
    FAILED = "Failed"
    NOT_SUPPORTED = "NotSupported"
    VERSION_MISMATCH = "VersionMismatch"


class SendLocalListResponse(Payload, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What became of the list."""

    status: UpdateStatus


class SendLocalList(
    Request[SendLocalListResponse], frozen=True, kw_only=True, forbid_unknown_fields=True
):
    """Replace the list or change it (5.15)."""

    senders = CENTRAL_SYSTEM
    profile = Profile.LOCAL_AUTH_LIST_MANAGEMENT

    list_version: Int32
    local_authorization_list: Opt[tuple[AuthorizationData, ...]] = UNSET
    update_type: UpdateType
