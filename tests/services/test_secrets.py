"""Secrets in configuration keys: which keys, and how their values leave what is stored."""

import json

import pytest

from csms.services.secrets import (
    MASK,
    holds_mask,
    is_secret,
    masked,
    masked_text,
    masked_urls,
    secrets_of,
    without,
)

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
    parts = ("<configurationKey>", "<key", '{"key":"', '"value":"\\', "<value>", "://a:", "://a:1/")
    for part in parts:
        masked_text('<x>@ key value Key"' + part * 50_000)
        masked_text('[@ key value Key"' + part * 50_000)
        masked({"location": part * 50_000})


# ------------------------------------------------------------------------------- in URLs

URLS = {
    "ftp://user:canary@host/dir/file": "ftp://user:•••@host/dir/file",
    "ftps://user:canary@host:990": "ftps://user:•••@host:990",
    "https://:canary@host/?q=1": "https://:•••@host/?q=1",
    "sftp://user:c:an@ary@host/a@b": "sftp://user:•••@host/a@b",
    "ftp://user:can/ary@host/": "ftp://user:•••@host/",
    "ftp://user:can#ary?@host/": "ftp://user:•••@host/",
    "http://user:can%40ary@[::1]:80/": "http://user:•••@[::1]:80/",
}
PUBLIC = [
    "ftp://host/file",
    "ftp://user@host/file",
    "http://host:8080/path@2x.png",
    "http://host:8080/a:b@c",
    "http://[2001:db8::1]:8080/x",
    "somebody@example.com",
    "",
]


@pytest.mark.parametrize("url", URLS)
def test_passwords_of_urls(url: str) -> None:
    for field in ("location", "remoteLocation", "value"):
        assert masked({field: url}) == {field: URLS[url]}
        assert masked({"firmware": {field: [url]}}) == {"firmware": {field: [URLS[url]]}}
        (secret,) = secrets_of({"deep": [{field: url}]})
        assert url.replace(secret, MASK) == URLS[url]
    for text in (f"Cannot open {url}.", f'["{url}"', f"<a>{url}</a>", json.dumps([2, {"x": url}])):
        cleaned = masked_urls(text)
        assert URLS[url] in cleaned
        assert masked_text(text) == cleaned
    escaped = json.dumps([url]).replace("/", "\\/").replace("@", "\\u0040")
    assert json.loads(masked_urls(escaped)) == [URLS[url]]


@pytest.mark.parametrize("url", PUBLIC)
def test_urls_without_passwords(url: str) -> None:
    assert masked({"location": url, "value": url}) == {"location": url, "value": url}
    assert not secrets_of({"location": url, "value": url})
    for text in (f"<a>{url}</a>", json.dumps([url]), f'broken ["{url}"'):
        assert masked_urls(text) == text


@pytest.mark.parametrize(
    ("location", "shown"),
    [
        ("user:canary@host/dir", "user:•••@host/dir"),
        ('ftp://user:can" <ary@host', "ftp://user:•••@host"),
        ("ftp://user:can\nary@host", "ftp://user:•••@host"),
    ],
)
def test_locations_that_are_no_urls(location: str, shown: str) -> None:
    """A charge point may take them; whoever wrote them meant a password."""
    assert masked({"location": location}) == {"location": shown}


def test_two_urls_in_one_text() -> None:
    text = "ftp://a:canary@b/c,ftp://d:canary@e/f ftp://g:canary@h"
    assert masked_urls(text) == "ftp://a:•••@b/c,ftp://d:•••@e/f ftp://g:•••@h"


# -------------------------------------------------------------------------- what is known


def test_known_secrets_in_any_form() -> None:
    secrets = frozenset({'can"<a&ry', "p%40ss word", "pin"})
    text = json.dumps(['can"<a&ry', "p@ss word"]) + ' can&quot;&lt;a&amp;ry can"&lt;a&amp;ry'
    assert without(text, secrets) == '["•••", "•••"] ••• •••'
    assert without("spinning pin", secrets) == "spinning pin", "too short to be found again"
    assert without("canary canaryx", frozenset({"canary"})) == "••• canaryx"


def test_secrets_of_a_request() -> None:
    payload = {"key": "SimPIN", "value": "1234"}
    assert secrets_of(payload) == {"1234"}
    assert secrets_of({"key": "Model", "value": "1234"}) == frozenset()
    assert (holds_mask(payload), holds_mask({"a": [masked(payload)]})) == (False, True)
