"""What belongs on local authorization lists (§3.5.2): the idTags that may charge at a charge point,
and those that are blocked.

A content follows from the idTags alone and is known by its digest, so that a list is out of date
exactly when the digest of what it should hold is another one: a change of an idTag writes nothing
to any list. Time is no part of it: an entry has its expiry, and expires at the charge point.
"""

import copy
import hashlib
import json
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from django.db.models import Exists, OuterRef, Q
from msgspec import UNSET

from csms.models import IdTag, LocalList, LocalListContent
from csms.ocpp.local_auth_list_management import AuthorizationData
from csms.ocpp.types import AuthorizationStatus, IdTagInfo

LONGEST_ID_TAG = 20
"""Characters of an IdToken (§7.28); a longer one can be on no list."""

Entry = list[Any]
"""[idTag, blocked, expiry (ISO 8601, UTC) or "", parentIdTag], as JSON keeps it; among changes also
[idTag]: it goes from the list."""

_COLUMNS = ("id_tag", "blocked", "expires_at", "parent_id_tag")
_links = IdTag.charge_points.through.objects


class Wanted:
    """What belongs on the lists of some charge points. Two queries, whatever their number."""

    def __init__(self, charge_points: Iterable[int]) -> None:
        self.common = _common()
        self._digest = _digest(self.common)
        self._shared = _digest_of(_digest([]), self._digest)
        self.own = _own(charge_points)

    def of(self, charge_points: Iterable[int]) -> "Wanted":
        """The same for other charge points, without reading again what holds everywhere."""
        other = copy.copy(self)
        other.own = _own(charge_points)
        return other

    def digest(self, charge_point: int) -> str:
        """Of what belongs on the list of a charge point."""
        own = self.own.get(charge_point)
        return _digest_of(_digest(own), self._digest) if own else self._shared

    def size(self, charge_point: int) -> int:
        return len(self.common) + len(self.own.get(charge_point, ()))

    def contents(self, charge_points: Iterable[int]) -> dict[int, LocalListContent]:
        """The kept content of each list, without its entries; those of new ones are kept now."""
        by_digest: dict[str, list[int]] = {}
        for pk in charge_points:
            by_digest.setdefault(self.digest(pk), []).append(pk)
        if not by_digest:
            return {}
        common, _ = LocalListContent.objects.defer("entries").get_or_create(
            digest=self._digest, defaults={"entries": self.common, "size": len(self.common)}
        )
        kept = LocalListContent.objects.filter(digest__in=by_digest)
        there = set(kept.values_list("digest", flat=True))
        LocalListContent.objects.bulk_create(
            (
                LocalListContent(
                    digest=digest,
                    entries=self.own.get(some[0], []),
                    common=common,
                    size=self.size(some[0]),
                )
                for digest, some in by_digest.items()
                if digest not in there
            ),
            ignore_conflicts=True,
        )
        return {pk: row for row in kept.defer("entries") for pk in by_digest[row.digest]}


def _common() -> list[Entry]:
    """The idTags that hold everywhere, in one order."""
    anywhere = ~Exists(_links.filter(idtag=OuterRef("pk")))
    rows = IdTag.objects.filter(anywhere).order_by("key").values_list(*_COLUMNS)
    return [_entry(row) for row in rows.iterator(2_000) if _fits(row)]


def _own(charge_points: Iterable[int]) -> dict[int, list[Entry]]:
    """The idTags that hold at some charge points only, by charge point."""
    found: dict[int, list[Entry]] = {}
    rows = _links.filter(chargepoint__in=list(charge_points)).order_by("idtag__key")
    names = (f"idtag__{name}" for name in _COLUMNS)
    for pk, *row in rows.values_list("chargepoint_id", *names):
        if _fits(row):
            found.setdefault(pk, []).append(_entry(row))
    return found


def _fits(row: Any) -> bool:
    return len(row[0]) <= LONGEST_ID_TAG


def _entry(row: Any) -> Entry:
    id_tag, blocked, expires_at, parent = row
    expiry = f"{expires_at.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}" if expires_at else ""
    return [id_tag, bool(blocked), expiry, parent]


def _digest(entries: list[Entry] | None) -> str:
    text = json.dumps(entries or [], separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def _digest_of(own: str, common: str) -> str:
    return hashlib.sha256(f"{own}{common}".encode()).hexdigest()


def contents_trim() -> None:
    """Forget the contents that no list has and none is to get."""
    lists = LocalList.objects.filter(Q(content=OuterRef("pk")) | Q(target=OuterRef("pk")))
    unused = LocalListContent.objects.filter(~Exists(lists))
    unused.exclude(common=None).delete()
    others = LocalListContent.objects.filter(common=OuterRef("pk"))
    unused.filter(~Exists(others), common=None).delete()


# -------------------------------------------------------------------------------- the wire


def authorization_data(entry: Entry, *, now: datetime) -> AuthorizationData:
    """An entry as SendLocalList carries it: with what Authorize would answer, but for
    ConcurrentTx, which is of one moment. §7.1: an idTag without idTagInfo is removed."""
    if len(entry) == 1:
        return AuthorizationData(id_tag=entry[0])
    id_tag, blocked, expiry, parent = entry
    expires_at = datetime.fromisoformat(expiry) if expiry else None
    if blocked:
        status = AuthorizationStatus.BLOCKED
    elif expires_at is not None and expires_at <= now:
        status = AuthorizationStatus.EXPIRED
    else:
        status = AuthorizationStatus.ACCEPTED
    return AuthorizationData(
        id_tag=id_tag,
        id_tag_info=IdTagInfo(
            status=status, expiry_date=expires_at or UNSET, parent_id_tag=parent or UNSET
        ),
    )


def changes_between(old: Iterable[Entry], new: Iterable[Entry]) -> list[Entry]:
    """What makes of one list another; removals first, so that the list is never longer than
    both."""
    before, after = _by_tag(old), _by_tag(new)
    gone = [entry[:1] for key, entry in before.items() if key not in after]
    return gone + [entry for key, entry in after.items() if before.get(key) != entry]


def _by_tag(entries: Iterable[Entry]) -> Mapping[str, Entry]:
    return {str(entry[0]).casefold(): entry for entry in entries}
