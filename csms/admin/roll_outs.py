"""Roll-outs of firmware: the list, the page that begins one, the page that follows one."""

from collections import Counter
from collections.abc import Callable
from typing import Any

from django.contrib import admin, messages
from django.contrib.admin import display
from django.core.exceptions import PermissionDenied
from django.core.paginator import Paginator
from django.db.models import Case, Count, Q, QuerySet, When
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.template.response import TemplateResponse
from django.urls import path, reverse
from django.utils import timezone
from django.utils.safestring import SafeString
from django.views.decorators.http import require_POST

from csms.admin import sending, show
from csms.admin.base import ChoiceFilter, ReadOnlyAdmin
from csms.admin.batches import clock
from csms.admin.commands import state_badge
from csms.admin.files import status_badge, version_told
from csms.admin.roll_out_form import RollOutForm
from csms.models import ChargePoint, Command, RollOut, RollOutItem
from csms.models.commands import CommandState
from csms.models.roll_outs import ItemState, Method, RollOutState
from csms.services.commands import CommandRefused, waiting_reason, with_outstanding
from csms.services.roll_outs import (
    MOST,
    OPERATIONS,
    RollOutRefused,
    roll_out_cancel,
    roll_out_create,
    roll_out_pause,
    roll_out_plan,
    roll_out_repeat,
    roll_out_resume,
    statuses_told,
)

PAGE = 100
"""Charge points of one page."""
IN_A_WAVE = Q(items__wave__gt=0)
"""Who took part, however it ended; the others were left out from the start."""
LEFT_OUT_LAST = Case(When(wave=0, then=1), default=0)

KINDS: dict[str, str] = {
    RollOutState.RUNNING: "info",
    RollOutState.PAUSED: "warn",
    RollOutState.STOPPED: "bad",
    RollOutState.FINISHED: "good",
    RollOutState.CANCELLED: "plain",
}
ITEM_KINDS: dict[str, str] = {
    ItemState.WAITING: "plain",
    ItemState.OPEN: "info",
    ItemState.DONE: "good",
    ItemState.FAILED: "bad",
    ItemState.LEFT_OUT: "warn",
}
DONE_SO = {
    "pause": ("Paused: nothing more is sent.", roll_out_pause),
    "resume": ("It goes on.", roll_out_resume),
    "cancel": ("Cancelled: nothing more is sent, ever.", roll_out_cancel),
    "repeat": ("What failed is tried again.", roll_out_repeat),
}
"""What can be done with a roll-out."""


def may_roll_out(request: HttpRequest) -> bool:
    """Whether the account may begin and steer roll-outs."""
    allowed = request.user.has_perm("csms.add_rollout") and request.user.has_perm(
        "csms.view_firmwareimage"
    )
    return allowed and all(sending.may_send(request, name) for name in OPERATIONS)


def begin_url(**query: Any) -> str:
    """The page that begins a roll-out."""
    return reverse("admin:csms_rollout_begin", query=query or None)


def _badge(state: str) -> SafeString:
    return show.badge(RollOutState(state).label, KINDS[state])


def _item_badge(state: str) -> SafeString:
    return show.badge(ItemState(state).label, ITEM_KINDS[state])


class StateFilter(ChoiceFilter):
    title = "state"
    parameter_name = "state"
    options = {value: (label, {"state": value}) for value, label in RollOutState.choices}


def _counted(state: ItemState) -> Count:
    return Count("items", filter=Q(items__state=state))


@admin.register(RollOut)
class RollOutAdmin(ReadOnlyAdmin):
    """All roll-outs, the latest first."""

    list_display = ("what", "how", "done", "under_way", "failed", "begun", "who")
    list_filter = (StateFilter,)
    list_select_related = ("image",)

    def get_queryset(self, request: HttpRequest) -> "QuerySet[RollOut]":
        rows: QuerySet[RollOut] = super().get_queryset(request)
        return rows.annotate(
            done_count=_counted(ItemState.DONE),
            open_count=_counted(ItemState.OPEN),
            failed_count=_counted(ItemState.FAILED),
            total=Count("items", filter=IN_A_WAVE),
        )

    def lookup_allowed(self, lookup: str, value: Any, request: Any = None) -> bool:
        return lookup == "image" or bool(super().lookup_allowed(lookup, value, request))

    @display(description="Image")
    def what(self, row: RollOut) -> SafeString | str:
        return show.clip(row.image, 40)

    @display(description="State")
    def how(self, row: RollOut) -> SafeString | str:
        return _badge(row.state)

    @display(description="Installed")
    def done(self, row: Any) -> str:
        return f"{row.done_count:,} of {row.total:,}"

    @display(description="Under way")
    def under_way(self, row: Any) -> SafeString | str:
        return show.badge(f"{row.open_count:,}", "info") if row.open_count else show.EMPTY

    @display(description="Failed")
    def failed(self, row: Any) -> SafeString | str:
        return show.badge(f"{row.failed_count:,}", "bad") if row.failed_count else show.EMPTY

    @display(description="Begun (UTC)")
    def begun(self, row: RollOut) -> SafeString | str:
        return show.moment(row.created_at)

    @display(description="By")
    def who(self, row: RollOut) -> SafeString | str:
        return show.clip(row.created_by, 30)

    # Beginning one

    def get_urls(self) -> list[Any]:
        view = self.admin_site.admin_view
        steps = [
            path(f"<int:pk>/{name}/", view(require_POST(self._step(name))), name=_url_name(name))
            for name in DONE_SO
        ]
        return [
            path("begin/", view(self.begin), name="csms_rollout_begin"),
            path("<int:pk>/progress/", view(self.progress), name="csms_rollout_progress"),
            *steps,
            *super().get_urls(),
        ]

    def begin(self, request: HttpRequest) -> HttpResponse:
        """Choose image, charge points and pace; a POST with `begin_now` begins."""
        if not (may_roll_out(request) and request.user.has_perm("csms.view_chargepoint")):
            raise PermissionDenied
        posted = request.method == "POST"
        entered = request.POST if posted else request.GET
        text = entered.get("send_to", "")
        keys = sending.choice_keys(text)
        chosen = list(ChargePoint.objects.filter(pk__in=keys).order_by("identity"))
        begins = posted and ("begin_now" in entered or "look" in entered)
        form = RollOutForm(
            entered if begins else None, chosen=chosen, initial={"image": entered.get("image")}
        )
        plan = None
        if begins and form.is_valid():
            if "begin_now" in entered:
                row = self._begun(request, form)
                if row is not None:
                    return HttpResponseRedirect(show.change_url("rollout", row.pk))
            plan = _plan(form)
        context = {
            **self.admin_site.each_context(request),
            "title": "Roll out firmware",
            "form": form,
            "plan": plan,
            "send_to": text if chosen else "",
            "chosen": chosen,
            "names": [show.clip(row.identity, 40) for row in chosen[: sending.NAMED]],
            "unnamed": max(len(chosen) - sending.NAMED, 0),
            "begin_url": begin_url(),
            "add_url": reverse("admin:csms_firmwareimage_add"),
        }
        return TemplateResponse(request, "csms/roll_out_begin.html", context)

    def _begun(self, request: HttpRequest, form: RollOutForm) -> RollOut | None:
        """The new roll-out; None when it was refused, which the form then says."""
        try:
            return roll_out_create(
                image=form.cleaned_data["image"],
                charge_points=form.chosen,
                by=sending.by(request),
                **form.options,
            )
        except CommandRefused as refusal:
            form.add_error(None, str(refusal))
        return None

    # Following one

    def change_view(
        self,
        request: HttpRequest,
        object_id: str,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        """How far it is; it follows by itself while anything can change."""
        if not object_id.isdecimal() or len(object_id) > 18:
            return HttpResponseRedirect(show.list_url("rollout"))
        row = self._row(request, int(object_id))
        context = {
            **self.admin_site.each_context(request),
            "title": f"Roll-out of {show.visible(str(row.image))}",
            "row": row,
            "image": show.link(
                show.change_url("firmwareimage", row.image_id), show.clip(row.image, 80)
            ),
            "when": show.moment(row.created_at),
            "who": show.clip(row.created_by, 40),
            **self._progress(request, row),
        }
        return TemplateResponse(request, "csms/roll_out.html", context)

    def progress(self, request: HttpRequest, pk: int) -> HttpResponse:
        """The part of the page that changes."""
        context = self._progress(request, self._row(request, pk))
        return TemplateResponse(request, "csms/roll_out_progress.html", context)

    def _row(self, request: HttpRequest, pk: int) -> RollOut:
        row = get_object_or_404(RollOut.objects.select_related("image"), pk=pk)
        if not self.has_view_permission(request, row):
            raise PermissionDenied
        return row

    def _progress(self, request: HttpRequest, row: RollOut) -> dict[str, Any]:
        counts: Counter[str] = Counter()
        waves: dict[int, Counter[str]] = {}
        grouped = row.items.order_by("wave").values("wave", "state").annotate(n=Count("pk"))
        for group in grouped:
            counts[group["state"]] += group["n"]
            if group["wave"]:
                waves.setdefault(group["wave"], Counter())[group["state"]] += group["n"]
        state = request.GET.get("state", "")
        items = row.items.filter(state=state) if state in ItemState.values else row.items.all()
        ordered = items.select_related("charge_point").order_by(LEFT_OUT_LAST, "wave", "id")
        pages = Paginator(ordered, PAGE)
        page = pages.get_page(request.GET.get("p"))
        steers = may_roll_out(request)
        running = row.state == RollOutState.RUNNING
        over = row.state in (RollOutState.FINISHED, RollOutState.CANCELLED)
        return {
            "row": row,
            "badge": _badge(row.state),
            "reason": row.reason,
            "total": sum(wave.total() for wave in waves.values()),
            "done": counts[ItemState.DONE],
            "counts": [
                (f"?state={s.value}", _item_badge(s), counts[s]) for s in ItemState if counts[s]
            ],
            "waves": [_wave(row, number, waves[number]) for number in sorted(waves)],
            "next_at": show.when(row.next_at) if row.next_at else "",
            "open": int(running or counts[ItemState.OPEN] > 0),
            "may": {
                "pause": steers and running,
                "resume": steers and row.state in (RollOutState.PAUSED, RollOutState.STOPPED),
                "cancel": steers and not over,
                "repeat": steers
                and counts[ItemState.FAILED] > 0
                and not running
                and row.state != RollOutState.CANCELLED,
                "signed": bool(row.image.signature) and row.method != Method.SIGNED,
            },
            "failed": counts[ItemState.FAILED],
            "items": _lines(list(page)),
            "page": page,
            "state": state,
            "progress_url": reverse("admin:csms_rollout_progress", args=(row.pk,)),
        }

    def _step(self, name: str) -> Callable[..., HttpResponse]:
        said, act = DONE_SO[name]

        def step(request: HttpRequest, pk: int) -> HttpResponse:
            """Pause, resume, cancel or repeat."""
            row = self._row(request, pk)
            if not may_roll_out(request):
                raise PermissionDenied
            more: dict[str, Any] = {}
            if name == "repeat" and request.POST.get("method") == Method.SIGNED:
                more["method"] = Method.SIGNED
            try:
                act(roll_out_id=row.pk, **more)
            except RollOutRefused as refusal:
                messages.error(request, str(refusal))
            else:
                messages.success(request, said)
            return HttpResponseRedirect(show.change_url("rollout", pk))

        return step


def _url_name(name: str) -> str:
    return f"csms_rollout_{name}"


def _plan(form: RollOutForm) -> dict[str, Any]:
    """Who would take part, in which waves, and who not."""
    options = form.options
    takers, left_out = roll_out_plan(
        image=form.cleaned_data["image"],
        charge_points=form.chosen,
        scheme=options["scheme"],
        method=options["method"],
    )
    further = max(len(takers) - options["first_wave"], 0)
    return {
        "takers": len(takers),
        "too_many": MOST if len(takers) > MOST else 0,
        "waves": (1 if takers else 0) + -(-further // options["wave_size"]),
        "left_out": [
            (show.clip(row.identity, 40), show.clip(reason, sending.REASON))
            for row, reason in left_out[: sending.NAMED]
        ],
        "left_out_count": len(left_out),
        "left_out_more": max(len(left_out) - sending.NAMED, 0),
    }


def _wave(row: RollOut, number: int, counts: Counter[str]) -> dict[str, Any]:
    """One wave as its bar shows it: parts in percent."""
    total = counts.total() or 1
    parts = [
        (ITEM_KINDS[state], f"{100 * counts[state] / total:.2f}", counts[state], state.label)
        for state in (ItemState.DONE, ItemState.OPEN, ItemState.FAILED, ItemState.LEFT_OUT)
        if counts[state]
    ]
    current = number == row.wave and row.state == RollOutState.RUNNING
    return {"number": number, "total": counts.total(), "parts": parts, "current": current}


def _lines(items: list[RollOutItem]) -> list[dict[str, Any]]:
    """Charge points as their rows show them."""
    keys = [item.command_id for item in items if item.command_id]
    rows = with_outstanding(Command.objects.filter(pk__in=keys)).select_related("charge_point")
    commands = {row.pk: row for row in rows}
    for item in items:
        item.command = commands.get(item.command_id or 0)
    told, now = statuses_told(items), timezone.now()
    return [_line(item, told.get(item.pk, ""), now) for item in items]


def _line(item: RollOutItem, status: str, now: Any) -> dict[str, Any]:
    said, command = item.reason, item.command
    if command is not None and not said and command.state == CommandState.QUEUED:
        said = waiting_reason(command, now=now)
    return {
        "charger": show.charge_point_link(item.charge_point_id, item.charge_point.identity, 30),
        "version": version_told(item),
        "wave": item.wave or show.EMPTY,
        "state": _item_badge(item.state),
        "said": show.clip(said, 200) if said else "",
        "command": state_badge(command.state) if command is not None else show.EMPTY,
        "status": status_badge(status) if status else show.EMPTY,
        "sent": clock(command.sent_at) if command is not None else show.EMPTY,
        "ended": clock(item.ended_at),
        "url": show.change_url("command", command.pk) if command is not None else "",
    }
