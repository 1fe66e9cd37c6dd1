"""Send a command: the charge points were chosen, the operation is, its form is filled in, sent."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from itertools import pairwise
from typing import Any

from django.contrib import admin, messages
from django.core.exceptions import BadRequest, PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, JsonResponse, QueryDict
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils import timezone
from django.utils.safestring import SafeString
from unfold.widgets import SELECT_CLASSES

from csms.admin import show
from csms.admin.base import plain_term
from csms.admin.data_transfer import vendor_picks
from csms.admin.online import is_online
from csms.admin.sending_form import SendingForm, described
from csms.admin.sending_once import page_token, sent_once
from csms.admin.sending_profile import filled_in, profiles_offered
from csms.models import (
    ChargePoint,
    Command,
    Connector,
    IdTag,
    Reservation,
    Transaction,
)
from csms.models.authorization import fold
from csms.models.commands import permission_of
from csms.models.reservations import HELD_STATES
from csms.models.transactions import TransactionState
from csms.ocpp import registry
from csms.ocpp.base import Request, Role, action
from csms.services.commands import (
    PayloadRefused,
    batch_send,
    callback_problem,
    obstacle,
    operation_obstacle,
)
from csms.services.configuration_rules import configuration_known

MOST = 10_000
"""Charge points of one command."""
LONGEST_QUERY = 1_500
"""Characters of a choice that still goes into a URL; a longer one is posted."""
NAMED = 50
"""Charge points that a page names; of the others it says how many they are."""
EXPLAINED = 500
"""The same of those that cannot take a command, or must wait for it, each with its reason."""
REASON = 400
"""Characters of a reason that a page shows."""
PICKED = 200
"""Values that a field offers to pick from."""

AnyRequest = type[Request[Any]]
_RUN = re.compile(r"([0-9]{1,18})(?:-([0-9]{1,18}))?")


def by(request: HttpRequest) -> str:
    """Who asks, as commands keep it."""
    return f"admin: {request.user.get_username()}"[:150]


def may_send(request: HttpRequest, name: str) -> bool:
    """Whether the account may send this operation."""
    return request.user.has_perm(f"csms.{permission_of(name)}")


def offered(request: HttpRequest) -> dict[str, AnyRequest]:
    """The operations that the account may send, by name, profile by profile."""
    return {
        name: declaration
        for name, declaration in registry.ACTIONS.items()
        if Role.CENTRAL_SYSTEM in declaration.senders and may_send(request, name)
    }


# --------------------------------------------------------------- which charge points


def choice_text(keys: Iterable[int]) -> str:
    """Keys of rows as one text, runs of them together: `3,12-511`."""
    ordered = sorted(set(keys))
    if not ordered:
        return ""
    breaks = [i for i, (a, b) in enumerate(pairwise(ordered), 1) if b != a + 1]
    runs = [
        ordered[start:end] for start, end in zip([0, *breaks], [*breaks, len(ordered)], strict=True)
    ]
    return ",".join(str(run[0]) if len(run) == 1 else f"{run[0]}-{run[-1]}" for run in runs)


def choice_keys(text: str) -> list[int]:
    """What `choice_text` was made from. Raises BadRequest."""
    keys: list[int] = []
    for part in text.split(",") if text else ():
        found = _RUN.fullmatch(part)
        if found is None:
            raise BadRequest("These are no charge points.")
        run = range(int(found[1]), int(found[2] or found[1]) + 1)
        if len(keys) + len(run) > MOST:
            raise BadRequest(f"A command goes to at most {MOST:,} charge points.")
        keys += run
    return keys


def page_of(request: HttpRequest, keys: Sequence[int]) -> HttpResponse:
    """Leads to the choice of the operation for these charge points."""
    if len(keys) > MOST:
        messages.error(
            request, f"A command goes to at most {MOST:,} charge points: filter the list further."
        )
        return HttpResponseRedirect(request.get_full_path())
    text = choice_text(keys)
    if len(text) <= LONGEST_QUERY:
        return HttpResponseRedirect(send_url(text))
    entered = QueryDict(mutable=True)
    entered["send_to"] = text
    return _page(request, entered)


def send_url(text: str = "", name: str = "") -> str:
    """The page for this choice of charge points, and this operation."""
    query = {"send_to": text} | ({"operation_name": name} if name else {})
    return reverse("admin:csms_command_send", query=query if text else None)


@dataclass(frozen=True, slots=True)
class Outlook:
    """Which of the chosen charge points can take a command, and which must wait."""

    able: list[ChargePoint]
    refused: list[tuple[SafeString | str, SafeString | str]]
    """Identity and reason."""
    failing: list[tuple[SafeString | str, SafeString | str]]
    """Those whose callback address could not be called: identity and reason."""
    offline: list[SafeString | str]


def outlook(chosen: list[ChargePoint], asked: AnyRequest | Request[Any]) -> Outlook:
    """What is known before anything is sent; `asked` is an operation, or the request itself."""
    able: list[ChargePoint] = []
    refused: list[tuple[SafeString | str, SafeString | str]] = []
    known = None if isinstance(asked, type) else configuration_known(chosen, asked)
    for charge_point in chosen:
        if isinstance(asked, type):
            reason = operation_obstacle(charge_point, asked)
        else:
            reason = obstacle(charge_point, asked, known)
        if reason:
            refused.append((show.clip(charge_point.identity, 40), show.clip(reason, REASON)))
        else:
            able.append(charge_point)
    failing = [
        (show.clip(row.identity, 40), show.clip(problem, REASON))
        for row in able
        if (problem := callback_problem(row))
    ]
    offline = [
        show.clip(row.identity, 40)
        for row in able
        if not is_online(row) and not callback_problem(row)
    ]
    return Outlook(able, refused, failing, offline)


# ------------------------------------------------------------------------ what to pick

Picks = list[tuple[Any, str]]
"""Values to pick from, each with what is said of it."""


def choices(request: HttpRequest, chosen: list[ChargePoint]) -> dict[str, Picks]:
    """What fields offer to pick, by their wire name; only what the account may see."""
    keys = [row.pk for row in chosen]
    allowed = request.user.has_perm
    offers: dict[str, Picks] = {
        "connectorId": _connectors(keys),
        **vendor_picks(),
    }
    if allowed("csms.view_reservation"):
        held = Reservation.objects.filter(charge_point__in=keys, state__in=HELD_STATES)
        offers["reservationId"] = [
            (row.reservation_id, f"{row.charge_point}, {row.id_tag}")
            for row in held.select_related("charge_point").order_by("-id")[:PICKED]
        ]
    if allowed("csms.view_transaction"):
        running = Transaction.objects.filter(charge_point__in=keys, state=TransactionState.OPEN)
        offers["transactionId"] = [
            (row.transaction_id, f"{row.charge_point}/{row.connector_id}, {row.id_tag}")
            for row in running.select_related("charge_point").order_by("-id")[:PICKED]
        ]
    if allowed("csms.view_idtag"):
        offers["idTag"] = tags("")
    return {
        name: [(value, show.visible(label)) for value, label in picks]
        for name, picks in offers.items()
    }


def _connectors(keys: list[int]) -> Picks:
    """Those of the charge points; with its status where there is but one charge point."""
    rows = Connector.objects.filter(charge_point__in=keys).order_by("connector_id")
    found = rows.values_list("connector_id", "status").distinct()
    labels = {number: status if len(keys) == 1 else "" for number, status in found}
    return [(0, "the whole charge point"), *((n, label) for n, label in labels.items() if n)]


def tags(beginning: str) -> Picks:
    """The first idTags that begin so, with their names; none that cannot be typed."""
    rows = IdTag.objects.filter(key__startswith=fold(beginning)).order_by("key")
    found = rows.values_list("id_tag", "name")[:PICKED]
    return [(tag, show.visible(name)) for tag, name in found if show.visible(tag) == tag]


def id_tags(request: HttpRequest) -> HttpResponse:
    """What the field of an idTag offers while somebody types."""
    if not (offered(request) and request.user.has_perm("csms.view_idtag")):
        raise PermissionDenied
    return JsonResponse({"picks": tags(plain_term(request.GET.get("q")))})


def suggestions(name: str, offers: dict[str, Picks], chosen: list[ChargePoint]) -> dict[str, Any]:
    """What stands in required fields at first, by their wire name."""
    latest = Command.objects.order_by("-id").values_list("pk", flat=True).first() or 0
    now = timezone.now().replace(microsecond=0)
    known: dict[str, Any] = {
        "requestId": latest + 1,
        "chargingProfileId": latest + 1,
        "stackLevel": 0,
        "retrieveDate": now,
        "retrieveDateTime": now,
        "expiryDate": now + timedelta(hours=1),
    }
    reserved, running = offers.get("reservationId", []), offers.get("transactionId", [])
    if name == "ReserveNow":
        known["reservationId"] = latest + 1
    elif len(reserved) == 1:
        known["reservationId"] = reserved[0][0]
    if len(running) == 1:
        known["transactionId"] = running[0][0]
    connectors = [number for number, _ in offers["connectorId"] if number]
    if len(connectors) == 1 and len(chosen) == 1:
        known["connectorId"] = connectors[0]
    return known


# ---------------------------------------------------------------------------- the page


def send(request: HttpRequest) -> HttpResponse:
    """Choose an operation, fill in its form, send. Only a POST with `send_now` sends."""
    return _page(request, request.POST if request.method == "POST" else request.GET)


def _page(request: HttpRequest, entered: QueryDict) -> HttpResponse:
    operations = offered(request)
    may_see = request.user.has_perm("csms.view_chargepoint") or request.user.has_perm(
        "csms.change_chargepoint"
    )
    if not operations or not may_see:
        raise PermissionDenied
    text = entered.get("send_to", "")
    keys = choice_keys(text)
    chosen = list(ChargePoint.objects.filter(pk__in=keys).order_by("identity")) if keys else []
    context = {
        **admin.site.each_context(request),
        "title": "Send a command",
        "chosen": chosen,
        "names": [show.clip(row.identity, 40) for row in chosen[:NAMED]],
        "unnamed": max(len(chosen) - NAMED, 0),
        "send_to": text,
        "send_url": reverse("admin:csms_command_send"),
        "method": "get" if len(text) <= LONGEST_QUERY else "post",
        "list_url": show.list_url("chargepoint"),
    }
    name = entered.get("operation_name", "")
    if not chosen or not name:
        context["groups"] = _groups(operations)
        return TemplateResponse(request, "csms/command_choose.html", context)
    declaration = operations.get(name)
    if declaration is None:
        raise PermissionDenied
    return _form_page(request, entered, declaration, chosen, context)


def _groups(operations: dict[str, AnyRequest]) -> list[tuple[str, list[tuple[str, str]]]]:
    """The operations with what they do, by profile."""
    groups: dict[str, list[tuple[str, str]]] = {}
    for name, declaration in operations.items():
        groups.setdefault(declaration.profile.value, []).append((name, described(declaration)))
    return list(groups.items())


def _form_page(
    request: HttpRequest,
    entered: QueryDict,
    declaration: AnyRequest,
    chosen: list[ChargePoint],
    context: dict[str, Any],
) -> HttpResponse:
    name = action(declaration)
    offers = choices(request, chosen)
    sending = request.method == "POST" and "send_now" in entered
    added = entered.get("add_row", "")
    profiles = profiles_offered(request, name)
    filling = "fill_in" in entered
    if filling:
        entered = filled_in(entered, profiles)
    form = SendingForm(
        declaration,
        entered if sending or added or filling else None,
        added=added,
        unchecked=filling,
        choices=offers,
        suggested=suggestions(name, offers, chosen),
    )
    prospect = outlook(chosen, declaration)
    if sending and form.is_valid():
        assert form.request is not None
        prospect = outlook(chosen, form.request)
        batch = _sent(request, form, prospect, chosen)
        if batch:
            return HttpResponseRedirect(show.change_url("commandbatch", batch))
    context |= {
        "title": name,
        "operation_name": name,
        "once": page_token(),
        "form": form,
        "profiles": profiles,
        "select_class": " ".join(SELECT_CLASSES),
        "prospect": prospect,
        "refused": prospect.refused[:EXPLAINED],
        "refused_more": max(len(prospect.refused) - EXPLAINED, 0),
        "failing": prospect.failing[:EXPLAINED],
        "failing_more": max(len(prospect.failing) - EXPLAINED, 0),
        "offline": prospect.offline[:EXPLAINED],
        "offline_more": max(len(prospect.offline) - EXPLAINED, 0),
        "tags_url": reverse("admin:csms_command_id_tags"),
        "other_url": send_url(context["send_to"]) if context["method"] == "get" else "",
    }
    return TemplateResponse(request, "csms/command_send.html", context)


def _sent(
    request: HttpRequest, form: SendingForm, prospect: Outlook, chosen: list[ChargePoint]
) -> int:
    """The key of the batch that was sent; 0 when it was refused, which the form then says."""
    if not prospect.able:
        form.refuse("", "None of the chosen charge points can take this command.")
        return 0

    def act() -> int:
        assert form.request is not None
        batch = batch_send(
            charge_points=chosen,
            request=form.request,
            by=by(request),
            expires_in=60 * form.cleaned_data["expires_minutes"],
        )
        return batch.pk

    try:
        batch, first = sent_once(request, act)
    except PayloadRefused as refusal:
        form.refuse(refusal.path, str(refusal))
        return 0
    if not first:
        messages.info(request, "This form was sent already: here is what became of it.")
    return batch
