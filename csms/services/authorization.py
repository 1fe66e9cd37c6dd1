"""idTags: who may charge (OCPP 1.6 §4.1, §7.28–7.29)."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from django.core.exceptions import ValidationError
from django.db import transaction
from msgspec import UNSET

from csms.models import ChargePoint, IdTag
from csms.models.authorization import fold
from csms.ocpp.core import Authorize, AuthorizeResponse
from csms.ocpp.types import AuthorizationStatus, IdTagInfo
from csms.services.dispatch import Context, handles
from csms.services.world import Needs, World


class IdTagTaken(ValueError):
    """There is such an idTag already; upper and lower case are the same."""


def id_tag_info(
    world: World,
    *,
    id_tag: str,
    charge_point: ChargePoint,
    now: datetime,
    starting: bool = False,
    ending: frozenset[int] = frozenset(),
) -> IdTagInfo:
    """What is known of a presented idTag.

    ConcurrentTx exists only when a transaction is `starting` (§7.2): in Authorize or
    StopTransaction it would keep a second card from stopping. `ending` holds the transactionIds
    that this start ends.
    """
    row = world.id_tags.get(fold(id_tag))
    if row is None:
        return IdTagInfo(status=AuthorizationStatus.INVALID)
    allowed = world.allowed[row.pk]
    if row.blocked:
        status = AuthorizationStatus.BLOCKED
    elif row.expires_at is not None and row.expires_at <= now:
        status = AuthorizationStatus.EXPIRED
    elif allowed and charge_point.pk not in allowed:
        status = AuthorizationStatus.INVALID
    elif starting and 0 < row.max_transactions <= len(
        [t for t in world.running(row.key) if t.transaction_id not in ending]
    ):
        status = AuthorizationStatus.CONCURRENT_TX
    else:
        status = AuthorizationStatus.ACCEPTED
    return IdTagInfo(
        status=status,
        expiry_date=row.expires_at or UNSET,
        parent_id_tag=row.parent_id_tag or UNSET,
    )


def same_group(world: World, first: str, second: str) -> bool:
    """Whether two idTags are the same or of one parent; a parent is only compared with a parent."""
    if fold(first) == fold(second):
        return True
    one, other = world.id_tags.get(fold(first)), world.id_tags.get(fold(second))
    return bool(
        one and other and one.parent_id_tag and fold(one.parent_id_tag) == fold(other.parent_id_tag)
    )


@handles(Authorize, needs=lambda request, notes: Needs(id_tags=(request.id_tag,)))
def authorize(request: Authorize, context: Context) -> AuthorizeResponse:
    """§4.1: is this idTag known, and may it charge here?"""
    return AuthorizeResponse(
        id_tag_info=id_tag_info(
            context.world,
            id_tag=request.id_tag,
            charge_point=context.charge_point,
            now=context.now,
        )
    )


def id_tag_add(*, id_tag: str, **columns: Any) -> IdTag:
    """Make an idTag; `columns` as in the model. Raises IdTagTaken."""
    row = IdTag(id_tag=id_tag.strip(), **columns)
    try:
        row.clean()
    except ValidationError as error:
        raise IdTagTaken(error.messages[0]) from None
    row.save()
    return row


def id_tag_change(
    *, row: IdTag, charge_points: Iterable[ChargePoint] | None = None, **columns: Any
) -> IdTag:
    """Change an idTag; `columns` as in the model, `charge_points` where it may charge from now on.

    Raises IdTagTaken.
    """
    for name, value in columns.items():
        setattr(row, name, value)
    row.id_tag = row.id_tag.strip()
    try:
        row.clean()
    except ValidationError as error:
        raise IdTagTaken(error.messages[0]) from None
    with transaction.atomic():
        if columns:
            row.save(update_fields=[*columns, "key"])
        if charge_points is not None:
            row.charge_points.set(charge_points)
    return row


def id_tag_block(*, id_tag: str, blocked: bool = True) -> IdTag:
    """Block or unblock an idTag. Raises IdTag.DoesNotExist."""
    row = IdTag.objects.get(key=fold(id_tag))
    row.blocked = blocked
    row.save(update_fields=["blocked"])
    return row
