"""Local authorization list management."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tests.certification.case import Case

ACCEPTED = {"status": "Accepted"}


def _entries(*id_tags: str) -> list[dict[str, Any]]:
    return [{"idTag": id_tag, "idTagInfo": ACCEPTED} for id_tag in id_tags]


def _version(case: "Case") -> int:
    return int(case.answer("GetLocalListVersion")["listVersion"])


def test_tc_042_1_get_local_list_version_not_supported(case: "Case") -> None:
    case.charge_point.configuration["LocalAuthListEnabled"] = "false"
    assert _version(case) == -1


def test_tc_042_2_get_local_list_version_empty(case: "Case") -> None:
    case.configure("LocalAuthListEnabled", "true")
    assert _version(case) == 0


def test_tc_043_1_send_local_list_not_supported(case: "Case") -> None:
    case.charge_point.configuration["LocalAuthListEnabled"] = "false"
    command = case.send("SendLocalList", listVersion=1, updateType="Full")
    assert (command.state, command.answer) == ("rejected", {"status": "NotSupported"})


def test_tc_043_3_send_local_list_failed(case: "Case") -> None:
    case.charge_point.configuration["LocalAuthListMaxLength"] = "1"
    tags = _entries("TAG", "OTHER")
    command = case.send(
        "SendLocalList", listVersion=1, updateType="Full", localAuthorizationList=tags
    )
    assert (command.state, command.answer) == ("rejected", {"status": "Failed"})
    assert _version(case) == 0


def test_tc_043_4_send_local_list_full(case: "Case") -> None:
    tags = _entries("TAG", "OTHER")
    sent = {"listVersion": 1, "updateType": "Full", "localAuthorizationList": tags}
    assert case.asked("SendLocalList", **sent) == "Accepted"
    command = case.effect("SendLocalList")
    assert (command.effect, command.effect_text) == ("seen", "The list has version 1.")
    assert set(case.charge_point.local_list.entries) == {"tag", "other"}


def test_tc_043_5_send_local_list_differential(case: "Case") -> None:
    test_tc_043_4_send_local_list_full(case)
    tags = [*_entries("THIRD"), {"idTag": "OTHER"}]  # without idTagInfo: to be removed
    sent = {"listVersion": 2, "updateType": "Differential", "localAuthorizationList": tags}
    assert case.asked("SendLocalList", **sent) == "Accepted"
    command = case.effect("SendLocalList")
    assert (command.effect, command.effect_text) == ("seen", "The list has version 2.")
    assert set(case.charge_point.local_list.entries) == {"tag", "third"}
