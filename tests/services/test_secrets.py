"""Secrets in configuration keys: which keys, and how their values leave what is stored."""

import json

import pytest

from csms.services.secrets import MASK, is_secret, masked, masked_text

CANARY = "canary"


@pytest.mark.parametrize(
    "key", ["AuthorizationKey", "StationPassword", "SimPIN", "wifi_psk", "ApiKey", "pin", "PinCode"]
)
def test_keys_of_secrets(key: str) -> None:
    assert is_secret(key)


@pytest.mark.parametrize(
    "key",
    [
        "CertificateSignedMaxChainSize",
        "GetConfigurationMaxKeys",
        "HeartbeatInterval",
        "MappingTable",
        "StoppingMode",
        "SupportedFeatureProfiles",
        "",
    ],
)
def test_keys_of_other_things(key: str) -> None:
    assert not is_secret(key)


def test_plain_values() -> None:
    request = {"key": "AuthorizationKey", "value": CANARY}
    assert masked(request) == {"key": "AuthorizationKey", "value": MASK}
    keys = [{"key": "Password", "readonly": True}, {"key": "Model", "value": "Password"}]
    assert masked({"configurationKey": keys}) == {"configurationKey": keys}


@pytest.mark.parametrize(
    "text",
    [
        '[2,"1","ChangeConfiguration",{"key":"ApiKey","value":"canary"}]',
        '[3,"1",{"configurationKey":[{"value":"c\\u0061nary","key":"ApiKey"}]}]',
        '[3,"1",{"configurationKey":[{"key":"ApiKey","value":"canary"',
        '[3,"1",{"configurationKey":[{"key":"ApiKey","value":"canary \\" canary',
        '[3,"1",{"configurationKey":[{"key":"ApiKey","value":"canary \\ud800"}]}]',
        "<e><key>ApiKey</key><value>canary</value></e>",
        "<c:configurationKey><c:value>canary</c:value><c:key>ApiKey</c:key></c:configurationKey>",
        "<configurationKey><key>ApiKey</key><value><![CDATA[canary<]]></value></configurationKey>",
    ],
)
def test_texts(text: str) -> None:
    cleaned = masked_text(text)
    assert CANARY not in cleaned
    assert "c\\u0061nary" not in cleaned
    assert MASK in cleaned
    assert "ApiKey" in cleaned
    cleaned.encode()


def test_texts_without_secrets_stay_as_they_are() -> None:
    keys = [{"key": "HeartbeatInterval", "readonly": False, "value": "300"}]
    for text in (
        json.dumps([3, "1", {"configurationKey": keys}]),
        "<configurationKey><key>A</key><value>1</value></configurationKey>"
        "<configurationKey><key>B</key></configurationKey>",
        '[2,"1","Reset",{"type":"Soft"}]',
    ):
        assert masked_text(text) == text


def test_long_texts_take_no_long_time() -> None:
    """One pass, whatever is sent."""
    for part in ("<configurationKey>", "<key", '{"key":"', '"value":"\\', "<value>"):
        masked_text('<x>key value Key"' + part * 50_000)
        masked_text('[key value Key"' + part * 50_000)
