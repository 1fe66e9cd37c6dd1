"""Names that strangers invent do not stay in memory."""

import subprocess
import sys

import pytest
from lxml import etree

from ocpp_soap import familiar

INVENTED = """
from lxml import etree
from ocpp_soap import familiar

def resident():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * 4096

def flood(turn):
    names = (f'<n{"x" * 500}{turn}y{i} a{i}{"y" * 400}{turn}="&gt;"/>' for i in range(900))
    familiar.fromstring("<a>" + "".join(names) + "</a>")

flood(0)
before = resident()
for turn in range(1, 41):
    flood(turn)
assert resident() - before < 20_000_000, resident() - before
"""


def test_invented_names_are_forgotten() -> None:
    """40 MB of them; lxml alone keeps them all."""
    subprocess.run([sys.executable, "-c", INVENTED], check=True, timeout=60)


@pytest.fixture(autouse=True)
def learnt(monkeypatch: pytest.MonkeyPatch) -> set[str]:
    fresh: set[str] = set()
    monkeypatch.setattr(familiar, "_learnt", fresh)
    return fresh


@pytest.fixture
def apart(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The documents that were parsed in a thread of their own."""
    seen: list[str] = []
    real = familiar._apart

    def spy(text: str) -> etree._Element:
        seen.append(text)
        return real(text)

    monkeypatch.setattr(familiar, "_apart", spy)
    return seen


def test_tags_become_familiar(apart: list[str]) -> None:
    document = "<a:b xmlns:a='urn:a' c=\"1\"><d>{}</d></a:b>"
    for text in ("x", "y", "<![CDATA[<e>]]>", "<![CDATA[f]]>"):
        assert familiar.fromstring(document.format(text))[0].text
    assert [document.format("x"), document.format("<![CDATA[<e>]]>")] == apart


@pytest.mark.parametrize(
    "hidden",
    [
        "<b c='>' unknown='1'/>",
        '<b c=">" unknown="1"/>',
        "<!-- ' --><unknown/><!-- ' -->",
        '<![CDATA["]]><unknown/><![CDATA["]]>',
        "<?p ' ?><unknown/><?p ' ?>",
        "<!-- > --><unknown/>",
    ],
)
def test_no_name_hides(apart: list[str], hidden: str) -> None:
    familiar.fromstring("<a><b/><b c='1'/></a>")
    familiar.fromstring(f"<a>{hidden}</a>")
    assert len(apart) == 2


def test_learning_has_an_end(apart: list[str], learnt: set[str], monkeypatch) -> None:
    monkeypatch.setattr(familiar, "MOST_TAGS", 3)
    for name in ("a", "b", "c", "a"):
        familiar.fromstring(f"<{name}/>")
    familiar.fromstring("<d></d>")
    assert learnt == {"a/", "b/", "c/"}
    assert len(apart) == 4
    monkeypatch.setattr(familiar, "MOST_TAGS", 9)
    familiar.fromstring(f"<{'x' * 600}/>")
    assert len(learnt) == 3


def test_errors_come_through(apart: list[str]) -> None:
    with pytest.raises(etree.XMLSyntaxError):
        familiar.fromstring("<a>")
    assert apart
