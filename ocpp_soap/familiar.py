"""Parsing that forgets: names that strangers invent do not stay in memory.

libxml2 keeps every element, attribute and prefix name it has ever seen in a dictionary that lxml
holds for each thread, for as long as the thread lives (measured: 135 MB of invented names left
135 MB behind, for ever). Tags that were seen before are parsed in the calling thread; a document
with others is parsed in a thread of its own, whose dictionary goes with the document. Some are
learnt, so that the tags of each firmware become familiar; when no more fit, new ones only cost
the thread (about 0.2 ms).
"""

import re
import threading

from lxml import etree

MOST_TAGS = 8_192
LONGEST_TAG = 512
"""Limits of what is learnt: at most 4 MiB."""

# Whole tags, from < to >, whose quoted values hold neither.
_TAG = re.compile(r"""<([^<>"']*+(?:"[^"<>]*+"[^<>"']*+|'[^'<>]*+'[^<>"']*+)*+)>""")

_learnt: set[str] = set()


class _OfThread(threading.local):
    """A parser for each thread that lives on: making one anew costs as much as half a parse."""

    def __init__(self) -> None:
        self.parser = _new_parser()


def fromstring(text: str) -> etree._Element:
    """The root of a document. Raises lxml.etree.XMLSyntaxError, UnicodeError."""
    tags = _TAG.findall(text)
    if len(tags) != text.count("<"):  # something is between them that is more than text
        return _apart(text)
    if _learnt.issuperset(tags):
        return _parse(text, _of_thread.parser)
    new = {tag for tag in tags if not tag.startswith("!")} - _learnt  # CDATA has no names
    if not new:
        return _parse(text, _of_thread.parser)
    root = _apart(text)
    if len(_learnt) + len(new) <= MOST_TAGS and max(map(len, new)) <= LONGEST_TAG:
        _learnt.update(new)
    return root


def _apart(text: str) -> etree._Element:
    """Parse in a thread that ends with it."""
    result: list[etree._Element | Exception] = []

    def run() -> None:
        try:
            result.append(_parse(text, _new_parser()))
        except (etree.XMLSyntaxError, UnicodeError) as error:
            result.append(error)

    thread = threading.Thread(target=run, name="soap-parse")
    thread.start()
    thread.join()
    if isinstance(result[0], Exception):
        raise result[0]
    return result[0]


def _parse(text: str, parser: etree.XMLParser) -> etree._Element:
    return etree.fromstring(text.encode(), parser)


def _new_parser() -> etree.XMLParser:
    return etree.XMLParser(
        encoding="utf-8",  # of the text, whatever its XML declaration says
        resolve_entities=False,
        no_network=True,
        load_dtd=False,
        huge_tree=False,
        remove_comments=True,
        remove_pis=True,
    )


_of_thread = _OfThread()
