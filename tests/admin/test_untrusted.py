"""What a charge point sends is text on every page: never markup, never a reversed line."""

import json

import pytest
from django.test import Client

from csms.admin import show
from csms.admin.pretty import LIMIT, pretty
from tests import factories

EVIL = "<script>alert(1)</script>\"'><img src=x onerror=alert(2)>"
REVERSED = "CP-\u202egnp.exe"


def test_bdi_controls_are_written_out() -> None:
    assert show.visible(REVERSED) == "CP-\\u{202e}gnp.exe"
    assert show.visible("Zürich 東京 שלום") == "Zürich 東京 שלום"
    assert show.visible("a\x00b\x1bc") == "a\\u{0}b\\u{1b}c"


def test_long_texts_are_cut_and_kept_for_the_hover() -> None:
    cut = show.clip("x" * 300, 20)
    assert "x" * 19 + "…" in cut
    assert f'title="{"x" * 300}"' in cut
    assert len(show.clip("y" * 100_000, 20)) < 700


@pytest.mark.django_db
@pytest.mark.parametrize("text", [EVIL, REVERSED, EVIL * 3])
def test_no_page_repeats_it_as_markup(text: str, admin_client: Client) -> None:
    short = text[:50]
    charger = factories.charge_point(
        identity=text, name=text, vendor=text, model=text, serial_number=text,
        firmware_version=text, firmware_status=short, callback_url=text, callback_proposed=text,
        callback_error=text, transport="soap",
    )  # fmt: skip
    tag = factories.id_tag(text, name=text)
    connector = factories.connector(
        charger, status="Faulted", error_code=short, info=text, vendor_error_code=text
    )
    factories.deviation(charger, example=text)
    row = factories.transaction(charger, id_tag=text, flags=[text], stop_reason=short)
    value = factories.meter_value(
        charger, transaction=row, flags=[text], samples=[{"value": text, "measurand": text}, text]
    )
    frame = json.dumps([2, "1", "Heartbeat", {"a": text}])
    pages = [
        ("chargepoint", charger),
        ("connector", connector),
        ("idtag", tag),
        ("transaction", row),
        ("metervalue", value),
        ("message", factories.message(
            charger, action=text[:64], message_id=text, request=frame, answer=text, error=text,
            notes=[text], remote_address=short,
        )),
        ("quarantinedmessage", factories.quarantined(charger, reason=text, raw=text, action=short)),
        ("securityevent", factories.security_event(charger, kind=text, tech_info=text)),
        ("certificatesigningrequest", factories.signing_request(charger, csr=text)),
        ("transferstatus", factories.transfer(charger, status=short)),
        ("command", factories.command(
            charger, payload={"a": text}, answer={"a": text}, raw_answer=text, error=text
        )),
        ("unknownchargepoint", factories.unknown(text, vendor=text, model=text)),
    ]  # fmt: skip
    urls = ["/admin/"]
    for model, instance in pages:
        urls += [show.list_url(model), show.change_url(model, instance.pk)]
    for url in urls:
        response = admin_client.get(url)
        assert response.status_code == 200
        html = response.content.decode()
        assert "<script>alert" not in html, url
        assert "<img src=x" not in html, url


def test_json_is_indented_and_otherwise_as_sent() -> None:
    frame = '[2,"1","A",{"a":1.10,"a":1e400,"b":"\\u00e9 [x]","c":[],"d":{}}]'
    assert pretty(frame).splitlines() == [
        "[",
        "  2,",
        '  "1",',
        '  "A",',
        "  {",
        '    "a": 1.10,',
        '    "a": 1e400,',
        '    "b": "\\u00e9 [x]",',
        '    "c": [],',
        '    "d": {}',
        "  }",
        "]",
    ]


def test_xml_is_indented() -> None:
    text = '<?xml version="1.0" encoding="utf-16"?><a><b>ü &lt;</b></a>'
    assert pretty(text) == "<a>\n  <b>ü &lt;</b>\n</a>\n"


@pytest.mark.parametrize(
    "odd",
    [
        "",
        "hello",
        "[2,",
        "[" * 100_000,
        "<a><b></a>",
        '<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]><a>&x;</a>',
        "<a>\x00</a>",
    ],
)
def test_what_cannot_be_indented_stays_as_it_came(odd: str) -> None:
    assert pretty(odd) == odd


def test_a_huge_frame_is_cut_with_a_remark() -> None:
    assert pretty("[" + " " * LIMIT + "]").endswith("2 more characters are in the log")
