"""Pages of the second factor: asking for it at the login, setting it up, new backup codes."""

from collections.abc import Callable
from functools import wraps
from typing import Any

import segno
from django import forms
from django.contrib import admin, messages
from django.contrib.auth.models import User
from django.contrib.auth.views import redirect_to_login
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.http import url_has_allowed_host_and_scheme
from django.utils.safestring import SafeString, mark_safe
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from django_otp.plugins.otp_totp.models import TOTPDevice
from unfold.widgets import UnfoldAdminTextInputWidget

from csms.conf import settings
from csms.services import two_factor
from csms.services.sign_in import second_factor_given
from csms.services.two_factor import OWED, CodeRefused

View = Callable[..., HttpResponse]
REPLACING = "csms_second_factor_replaced"
"""Key of a session: a code of the old app was given, so that another may take its place."""


class CodeForm(forms.Form):
    """One code; `check` says whether it is taken."""

    code = forms.CharField(
        max_length=32,
        widget=UnfoldAdminTextInputWidget(
            attrs={"autocomplete": "one-time-code", "autofocus": True, "spellcheck": "false"}
        ),
    )

    def __init__(self, request: HttpRequest, check: Callable[[str], Any], help_text: str) -> None:
        super().__init__(request.POST if request.method == "POST" else None)
        self._check = check
        self.result: Any = None
        self.fields["code"].help_text = help_text

    def clean_code(self) -> str:
        code: str = self.cleaned_data["code"]
        try:
            self.result = self._check(code)
        except CodeRefused as refusal:
            raise forms.ValidationError(str(refusal)) from None
        return code


def page(view: View) -> View:
    """For who has given the password; kept by no cache."""

    @wraps(view)
    def shown(request: HttpRequest) -> HttpResponse:
        if not request.user.is_authenticated:
            return redirect_to_login(request.get_full_path())
        return view(request)

    return never_cache(sensitive_post_parameters("code")(shown))


def _owed(request: HttpRequest) -> bool:
    return bool(request.session.get(OWED, True))


def _user(request: HttpRequest) -> User:
    assert isinstance(request.user, User)
    return request.user


def _next(request: HttpRequest) -> str:
    """Where somebody wanted to go; never to another site."""
    wanted = request.GET.get("next", "")
    safe = url_has_allowed_host_and_scheme(
        wanted, allowed_hosts={request.get_host()}, require_https=request.is_secure()
    )
    return wanted if safe else reverse("admin:index")


def _shown(request: HttpRequest, template: str, title: str, **context: Any) -> HttpResponse:
    everywhere = admin.site.each_context(request)
    return TemplateResponse(request, template, {**everywhere, "title": title, **context})


@page
def challenge(request: HttpRequest) -> HttpResponse:
    """The second step of a login."""
    user = _user(request)
    if not _owed(request):
        return HttpResponseRedirect(_next(request))
    if not two_factor.is_enrolled(user):
        if settings().two_factor == "required":
            return HttpResponseRedirect(reverse("two_factor_enrol", query={"next": _next(request)}))
        second_factor_given(request=request, user=user)  # it was reset meanwhile
        return HttpResponseRedirect(_next(request))
    form = CodeForm(
        request,
        lambda code: two_factor.code_check(user=user, code=code),
        "Six digits of your authenticator app, or one of your backup codes.",
    )
    if request.method == "POST" and form.is_valid():
        second_factor_given(request=request, user=user)
        left = two_factor.backup_codes_left(user)
        if left <= 3:
            messages.warning(request, f"Backup codes left: {left}. Make new ones soon.")
        return HttpResponseRedirect(_next(request))
    return _shown(request, "csms/two_factor_challenge.html", "Second factor", form=form)


@page
def enrol(request: HttpRequest) -> HttpResponse:
    """Set up an app, or another one in its place."""
    user = _user(request)
    if two_factor.is_enrolled(user) and REPLACING not in request.session:
        return HttpResponseRedirect(
            reverse("two_factor" if _owed(request) else "two_factor_account")
        )
    form = CodeForm(
        request,
        lambda code: two_factor.enrolment_end(
            user=user, code=code, session_key=request.session.session_key
        ),
        "The six digits that the app shows now.",
    )
    if request.method == "POST" and form.is_valid():
        request.session.pop(REPLACING, None)
        if _owed(request):
            second_factor_given(request=request, user=user)
        return _codes(request, form.result, _next(request))
    device = two_factor.enrolment_begin(user=user)
    return _shown(
        request,
        "csms/two_factor_enrol.html",
        "Set up the second factor",
        form=form,
        picture=_picture(device),
        key=two_factor.key_text(device),
        owed=_owed(request),
    )


@page
def account(request: HttpRequest) -> HttpResponse:
    """Whether one's own account has a second factor; new backup codes; an end to it."""
    user = _user(request)
    is_enrolled = two_factor.is_enrolled(user)
    form = CodeForm(
        request,
        lambda code: two_factor.code_check(user=user, code=code),
        "A code of your app, or a backup code, for any of these.",
    )
    required = settings().two_factor == "required"
    if request.method == "POST" and is_enrolled and form.is_valid():
        if "renew" in request.POST:
            codes = two_factor.backup_codes_new(user=user)
            return _codes(request, codes, reverse("two_factor_account"))
        if "replace" in request.POST:
            request.session[REPLACING] = True
            return HttpResponseRedirect(reverse("two_factor_enrol"))
        if "remove" in request.POST and not required:
            two_factor.two_factor_remove(user=user)
            messages.success(request, "Your account has no second factor any more.")
        return HttpResponseRedirect(reverse("two_factor_account"))
    return _shown(
        request,
        "csms/two_factor_account.html",
        "Second factor",
        form=form,
        is_enrolled=is_enrolled,
        required=required,
        left=two_factor.backup_codes_left(user),
    )


def _codes(request: HttpRequest, codes: list[str], onward: str) -> HttpResponse:
    """The backup codes, this once."""
    return _shown(
        request, "csms/two_factor_codes.html", "Your backup codes", codes=codes, onward=onward
    )


def _picture(device: TOTPDevice) -> SafeString:
    """The QR code, drawn here: nobody else is asked. White, since apps read no inverted ones."""
    drawn = segno.make(device.config_url, error="m").svg_inline(
        border=4, light="#fff", omitsize=True, svgclass=None, lineclass=None
    )
    return mark_safe(drawn)  # noqa: S308  made of squares only


def account_links(request: HttpRequest) -> list[dict[str, str]]:
    """What the menu of one's own account offers."""
    return [
        {"title": "Change password", "link": reverse("admin:password_change")},
        {"title": "Second factor", "link": reverse("two_factor_account")},
    ]
