"""What is refused before it is parsed, and that hostile input costs little."""

import gzip
import time
import zlib
from collections.abc import Callable

import pytest

from ocpp_soap import guard
from ocpp_soap.errors import Refused

MIB = 1024 * 1024


def _refused(status: int):
    return pytest.raises(Refused, check=lambda error: error.status == status)


@pytest.mark.parametrize("value", ["-1", "1e3", "abc", "", "0x10", "²", "9" * 5000, "1, 1"])
def test_nonsense_content_length(value: str) -> None:
    with _refused(400):
        guard.declared_size(value, MIB)


def test_declared_size() -> None:
    assert guard.declared_size(None, 10) is None
    assert guard.declared_size(" 10 ", 10) == 10
    with _refused(413):
        guard.declared_size("11", 10)


def _raw_deflate(data: bytes) -> bytes:
    engine = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return engine.compress(data) + engine.flush()


CODINGS: dict[str, Callable[[bytes], bytes]] = {
    "gzip": lambda data: gzip.compress(data),
    "x-gzip": lambda data: gzip.compress(data),
    "Deflate": lambda data: zlib.compress(data),
}


@pytest.mark.parametrize("coding", CODINGS)
def test_n24_round_trip(coding: str) -> None:
    data = b"<a>" + b"x" * 50_000 + b"</a>"
    assert guard.unfold(CODINGS[coding](data), coding, MIB) == data


def test_n24_raw_deflate() -> None:
    for data in (b"<a/>", b"<?xml version='1.0'?><a>%s</a>" % bytes(range(65, 91)) * 99):
        assert guard.unfold(_raw_deflate(data), "deflate", MIB) == data
    assert guard.unfold(b"<a/>", "", MIB) == guard.unfold(b"<a/>", "identity", MIB) == b"<a/>"


@pytest.mark.parametrize("compress", [gzip.compress, zlib.compress, _raw_deflate])
def test_n24_bombs(compress) -> None:
    coding = "gzip" if compress is gzip.compress else "deflate"
    with _refused(413):
        guard.unfold(compress(b"\0" * 50 * MIB), coding, MIB)
    with _refused(413):  # below the size limit, above the ratio
        guard.unfold(compress(b"\0" * 900_000), coding, MIB)


@pytest.mark.parametrize(
    "body",
    [b"", b"no gzip", gzip.compress(b"x" * 999)[:-9], gzip.compress(b"x") + b"tail"],
    ids=["empty", "other", "cut", "tail"],
)
def test_n24_broken_gzip(body: bytes) -> None:
    with _refused(400):
        guard.unfold(body, "gzip", MIB)


@pytest.mark.parametrize("coding", ["br", "gzip, gzip", "zstd"])
def test_n24_other_codings(coding: str) -> None:
    with _refused(415):
        guard.unfold(b"x", coding, MIB)


@pytest.mark.parametrize("body", [b"", b" \r\n"])
def test_empty_body(body: bytes) -> None:
    with _refused(400):
        guard.decode(body, "")


@pytest.mark.parametrize(
    ("encoding", "content_type"),
    [
        ("utf-8", ""),
        ("utf-8-sig", "text/xml"),
        ("utf-16", ""),
        ("utf-16-le", ""),
        ("utf-16-be", ""),
        ("utf-16-be", "text/xml; charset=UTF-16BE"),
        ("iso8859-1", 'application/soap+xml; charset="ISO-8859-1"; action="/Heartbeat"'),
        ("cp1252", "text/xml;charset=windows-1252"),
        ("utf-8", "text/xml; CHARSET=us-ascii"),
    ],
)
def test_encodings(encoding: str, content_type: str) -> None:
    assert guard.decode("<a>Zähler</a>".encode(encoding), content_type) == "<a>Zähler</a>"


def test_declared_encoding() -> None:
    body = '<?xml version="1.0" encoding="ISO-8859-1"?><a>Zähler</a>'
    root = guard.parse(guard.decode(body.encode("iso8859-1"), "text/xml"))
    assert root.text == "Zähler"


@pytest.mark.parametrize("charset", ["utf-7", "nonsense", "cp037", "rot13", "idna", "x" * 300])
def test_unknown_charset(charset: str) -> None:
    with _refused(415):
        guard.decode(b"<a/>", f"text/xml; charset={charset}")
    with pytest.raises(Refused):
        guard.parse(guard.decode(b'<?xml version="1.0" encoding="%s"?><' % charset.encode(), ""))


@pytest.mark.parametrize("body", [b"<a>\xff</a>", b"<a>\xed\xa0\x80</a>", b"\xff\xfe<"])
def test_invalid_bytes(body: bytes) -> None:
    with _refused(400):
        guard.decode(body, "")


BOMB = (
    '<!DOCTYPE a [<!ENTITY x "'
    + "x" * 1000
    + '">'
    + "".join(f'<!ENTITY x{i} "{"&x;" * 100}">' for i in range(10))
    + "]><a>&x9;</a>"
)
DOCTYPES = [
    "<!DOCTYPE a><a/>",
    BOMB,
    '<!DOCTYPE a SYSTEM "http://127.0.0.1/x.dtd"><a/>',
    '<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]><a>&x;</a>',
    '<?xml version="1.0"?>\n<!-- <a> -->\n<?pi <b> ?>\n<!DOCTYPE a><a/>',
]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-be", "utf-16-le"])
@pytest.mark.parametrize("document", DOCTYPES)
def test_doctype_is_refused_before_the_parse(document: str, encoding: str, monkeypatch) -> None:
    text = guard.decode(document.encode(encoding), "")
    monkeypatch.setattr("ocpp_soap.familiar.fromstring", lambda _: pytest.fail("it was parsed"))
    with _refused(400):
        guard.parse(text)


def test_doctype_as_text_is_only_text() -> None:
    assert guard.parse("<a><![CDATA[<!DOCTYPE html>]]></a>").text == "<!DOCTYPE html>"


@pytest.mark.parametrize(
    "text",
    [
        "<a",
        "<a>&x;</a>",
        "<a>&#0;</a>",
        "<a>\0</a>",
        "x",
        "<a/><a/>",
        "<a b:c='1'/>",
        "<a>\x01</a>",
    ],
)
def test_not_well_formed(text: str) -> None:
    with _refused(400):
        guard.parse(text)


LIMITS = {
    "attributes": "<a " + " ".join(f'a{i}="1"' for i in range(80_000)) + "/>",
    "namespaces": "<a " + " ".join(f'xmlns:a{i}="u:{i}"' for i in range(40_000)) + "/>",
    "elements": "<a>" + "<b/>" * 200_000 + "</a>",
    "depth": "<a>" * 40 + "</a>" * 40,
    "great depth": "<a>" * 100_000 + "</a>" * 100_000,
    "comments": "<!--" * 200_000,
    "instructions": "<?a " * 200_000,
    "blanks": " " * 900_000 + "<",
    "open prolog": "<!-- -->" * 100_000 + "<!",
}


@pytest.mark.parametrize("kind", LIMITS)
def test_hostile_documents_cost_little(kind: str) -> None:
    started = time.process_time()
    with _refused(400):
        guard.parse(LIMITS[kind])
    assert time.process_time() - started < 1.0


def test_many_attributes_on_one_element() -> None:
    fine = "<a " + " ".join(f'a{i}="1"' for i in range(64)) + "/>"
    guard.parse(fine)
    with _refused(400):
        guard.parse(fine.replace("/>", ' more="1"/>'))


def test_a_stop_transaction_of_eight_hours_is_fine() -> None:
    sample = "<v><t>2026-01-01T00:00:00Z</t>" + "<s><a>1</a><b>2</b><c>3</c></s>" * 6 + "</v>"
    guard.parse("<a>" + sample * 480 + "</a>")


def test_salvage() -> None:
    text = '<x:chargeBoxIdentity a="1"> CP1\n</x:chargeBoxIdentity><Action>/Heartbeat</Action><'
    assert guard.salvage(text) == {"chargeBoxIdentity": "CP1", "Action": "/Heartbeat"}
    assert guard.salvage("<Action>\0</Action>") == {}
