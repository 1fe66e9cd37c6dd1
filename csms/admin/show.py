"""How values are shown: what charge points sent is cut, escaped, and its controls made visible."""

import json
import unicodedata
from collections.abc import Iterable
from datetime import datetime
from typing import Any

from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

EMPTY = "—"
TITLE_LENGTH = 500
KEPT_CONTROLS = "\n\t"
JOINERS = "\u200c\u200d"


def visible(text: str) -> str:
    """The text with control and direction characters written out.

    A right-to-left override in an identity would otherwise turn around what stands beside it.
    """
    if text.isascii() and text.isprintable():
        return text
    return "".join(
        f"\\u{{{ord(char):x}}}"
        if unicodedata.category(char) in ("Cc", "Cf", "Cs", "Zl", "Zp")
        and char not in KEPT_CONTROLS + JOINERS
        else char
        for char in text
    )


def clip(text: Any, length: int = 32) -> SafeString | str:
    """At most `length` characters; the whole text (up to 500) on hover."""
    plain = visible(str(text))
    if not plain:
        return EMPTY
    if len(plain) <= length:
        return format_html('<bdi class="cs-text">{}</bdi>', plain)
    return format_html(
        '<bdi class="cs-text" title="{}">{}…</bdi>', plain[:TITLE_LENGTH], plain[: length - 1]
    )


def wrapped(text: Any, length: int) -> SafeString | str:
    """At most `length` characters over several lines, for a column of words."""
    cut = clip(text, length)
    return format_html('<span class="cs-wrapped">{}</span>', cut) if cut != EMPTY else EMPTY


def whole(text: Any) -> SafeString | str:
    """The whole text, breaking anywhere, for detail pages."""
    plain = visible(str(text or ""))
    return format_html('<bdi class="cs-whole">{}</bdi>', plain) if plain else EMPTY


def code(text: Any) -> SafeString | str:
    """An identifier in a fixed-width face."""
    plain = visible(str(text or ""))
    if not plain:
        return EMPTY
    shown = plain if len(plain) <= 14 else plain[:13] + "…"
    return format_html('<code class="cs-code" title="{}">{}</code>', plain[:TITLE_LENGTH], shown)


def badge(text: Any, kind: str = "plain", title: str = "") -> SafeString:
    """A small coloured label; kind: good, warn, bad, info or plain."""
    return format_html(
        '<span class="cs-badge cs-{}" title="{}"><bdi>{}</bdi></span>',
        kind,
        visible(title)[:TITLE_LENGTH],
        visible(str(text)),
    )


def badges(items: list[SafeString]) -> SafeString | str:
    """Labels beside each other, wrapping."""
    if not items:
        return EMPTY
    return format_html(
        '<span class="cs-badges">{}</span>', format_html_join("", "{}", ((i,) for i in items))
    )


def link(url: str, text: Any) -> SafeString:
    return format_html('<a class="cs-link" href="{}">{}</a>', url, text)


def change_url(model: str, pk: int) -> str:
    """The admin's page of one row; model as in `chargepoint`."""
    return reverse(f"admin:csms_{model}_change", args=(pk,))


def list_url(model: str, **query: Any) -> str:
    """The admin's list of a model, filtered."""
    return reverse(f"admin:csms_{model}_changelist", query=query or None)


def charge_point_link(pk: int | None, identity: str, length: int = 24) -> SafeString | str:
    """The identity, leading to the charge point where there is one."""
    text = clip(identity, length)
    return link(change_url("chargepoint", pk), text) if pk is not None else text


def span(seconds: float) -> str:
    """A length of time in its two largest units: `3 h 5 min`."""
    whole_seconds = int(seconds)
    units = (("d", 86_400), ("h", 3_600), ("min", 60), ("s", 1))
    for index, (name, size) in enumerate(units):
        if whole_seconds >= size or size == 1:
            count, rest = divmod(whole_seconds, size)
            if size == 1 or index + 1 == len(units):
                return f"{count} {name}"
            next_name, next_size = units[index + 1]
            smaller = rest // next_size
            return f"{count} {name} {smaller} {next_name}" if smaller else f"{count} {name}"
    return "0 s"


def exact(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M:%S} UTC"


def when(at: datetime | None) -> SafeString | str:
    """`5 min ago`; the exact time (UTC) on hover."""
    if at is None:
        return EMPTY
    seconds = (timezone.now() - at).total_seconds()
    if abs(seconds) < 5:
        text = "now"
    else:
        text = f"{span(seconds)} ago" if seconds > 0 else f"in {span(-seconds)}"
    return format_html(
        '<time class="cs-nowrap" datetime="{}" title="{}">{}</time>',
        at.isoformat(),
        exact(at),
        text,
    )


def moment(at: datetime | None) -> SafeString | str:
    """`2026-01-31 12:00:05` (UTC); how long ago on hover."""
    if at is None:
        return EMPTY
    seconds = (timezone.now() - at).total_seconds()
    ago = f"{span(seconds)} ago" if seconds >= 0 else f"in {span(-seconds)}"
    return format_html(
        '<time class="cs-nowrap" datetime="{}" title="UTC, {}">{}</time>',
        at.isoformat(),
        ago,
        f"{at:%Y-%m-%d %H:%M:%S}",
    )


def kilowatt_hours(watt_hours: float | None) -> str:
    """Wh as kWh with three decimals; a dash when not known."""
    return EMPTY if watt_hours is None else f"{watt_hours / 1000:,.3f}"


def two_lines(first: SafeString | str, second: SafeString | str) -> SafeString | str:
    """A value and, smaller below it, another."""
    if not second:
        return first
    return format_html('<span class="cs-two">{}<small>{}</small></span>', first, second)


def facts(rows: Iterable[tuple[str, Any]]) -> SafeString | str:
    """Names and values of what is known; a dash when nothing is."""
    known = [(name, whole(value)) for name, value in rows if value not in (None, "")]
    if not known:
        return EMPTY
    return format_html(
        '<dl class="cs-facts">{}</dl>', format_html_join("", "<dt>{}</dt><dd>{}</dd>", known)
    )


def links(pages: Iterable[tuple[str, str]]) -> SafeString:
    """Links beside each other, wrapping; pairs of URL and label."""
    return format_html(
        '<span class="cs-badges">{}</span>',
        format_html_join("", '<a class="cs-link" href="{}">{}</a>', pages),
    )


def block(text: str) -> SafeString | str:
    """A frame, an envelope or JSON, as it is, in a box that scrolls."""
    return format_html('<pre class="cs-pre">{}</pre>', visible(text)) if text else EMPTY


def json_block(value: Any) -> SafeString | str:
    """A JSON column, indented."""
    return block(json.dumps(value, indent=2, ensure_ascii=False)) if value is not None else EMPTY
