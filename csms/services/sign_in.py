"""What happens when somebody gives the right password, and then the second factor; and who may not
try any more.

django-axes lets a pair of user and address wait after a few wrong passwords. `logins_exhausted` is
for who tries one password for many users from one address.
"""

from datetime import UTC, datetime, timedelta
from typing import Any

from axes.models import AccessAttempt
from django.contrib.auth.models import User
from django.db.models import Sum

from csms.conf import settings
from csms.models import AuditAction
from csms.services import audit
from csms.services.peers import network_of
from csms.services.security_events import event_keep
from csms.services.sessions import session_begin
from csms.services.two_factor import OWED, is_owed

USERS_TRIED = 10
"""How many times as many wrong passwords as for one user are taken from one address for all."""
REMEMBERED = 50
"""The latest logins of a user that are looked at."""


def password_given(*, request: Any, user: User, **_: Any) -> None:
    """The session begins; what it may do depends on the second factor (Django's signal
    `user_logged_in`)."""
    session_begin(request.session)
    request.session[OWED] = is_owed(user)
    if not request.session[OWED]:
        audit.entry_add(action=AuditAction.SIGNED_IN, subject=user)


def second_factor_given(*, request: Any, user: User) -> None:
    """Everything is given. The session gets a new key, since it may do more than before."""
    request.session.cycle_key()
    request.session[OWED] = False
    audit.entry_add(
        action=AuditAction.SIGNED_IN, subject=user, changes={"second factor": ["", "given"]}
    )


def logins_exhausted(*, address: str, username: str) -> bool:
    """Whether so many wrong passwords came from an address that no further one of it is looked at.

    It does not concern who has signed in from there before: an office shares its address.
    """
    config = settings()
    since = datetime.now(UTC) - timedelta(minutes=config.login_wait_minutes)
    failures = AccessAttempt.objects.filter(
        ip_address=counted_as(address) or None, attempt_time__gt=since
    )
    count = failures.order_by().aggregate(n=Sum("failures_since_start"))["n"] or 0
    if count < USERS_TRIED * config.login_failures:
        return False
    user = User.objects.filter(username=username).first()
    return user is None or not _was_here(user, address)


def counted_as(address: str) -> str:
    """The address for which wrong passwords from another one count: who has one IPv6 address has
    its whole /64, which counts as its first one."""
    return network_of(address).partition("/")[0]


def _was_here(user: User, address: str) -> bool:
    entries = audit.entries_of(user).filter(action=AuditAction.SIGNED_IN)
    latest = entries.values_list("remote_address", flat=True)[:REMEMBERED]
    return network_of(address) in map(network_of, latest)


def login_refused(*, address: str) -> None:
    """Keep it as a security event that a login to the admin was refused unseen. The user name is
    not repeated: people type passwords there."""
    event_keep(
        identity="",
        kind="AdminLoginRefused",
        info="too many wrong passwords: see Failed logins",
        remote_address=address,
        now=datetime.now(UTC),
    )
