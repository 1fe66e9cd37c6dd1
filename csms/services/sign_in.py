"""What happens when somebody gives the right password, and then the second factor."""

from typing import Any

from django.contrib.auth.models import User

from csms.models import AuditAction
from csms.services import audit
from csms.services.sessions import session_begin
from csms.services.two_factor import OWED, is_owed


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
