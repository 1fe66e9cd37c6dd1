"""How long the admin's pages take inside the server: `python -m bench.pages [--session]`.

Says the median of several renderings in ms, by page; with `--session` only the cookie of an
administrator's session, for those who ask a running server.
"""

import argparse
import os
import statistics
import time

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "csms.settings")

import django

django.setup()

from django.contrib.auth.models import User  # noqa: E402  after setup
from django.test import Client  # noqa: E402

from bench.load.tally import say  # noqa: E402
from csms.models import ChargePoint, Transaction  # noqa: E402

TIMES = 9


def administrator() -> Client:
    """A browser in which an administrator is signed in."""
    user, _ = User.objects.get_or_create(username="bench", is_superuser=True, is_staff=True)
    client = Client(HTTP_HOST="127.0.0.1")
    client.force_login(user)
    return client


def pages() -> dict[str, str]:
    """The pages that are timed."""
    charge_point, transaction = ChargePoint.objects.first(), Transaction.objects.first()
    assert charge_point is not None
    assert transaction is not None
    return {
        "list of charge points": "/admin/csms/chargepoint/",
        "a charge point": f"/admin/csms/chargepoint/{charge_point.pk}/change/",
        "list of transactions": "/admin/csms/transaction/",
        "a transaction": f"/admin/csms/transaction/{transaction.pk}/change/",
    }


def rendered(client: Client, path: str) -> float:
    """ms to render a page."""
    started = time.perf_counter()
    response = client.get(path)
    taken = time.perf_counter() - started
    assert response.status_code == 200, (path, response.status_code)
    return taken * 1000


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--session", action="store_true")
    client = administrator()
    if parser.parse_args().session:
        say(session=client.cookies["sessionid"].value)
        return
    say(
        **{
            name: statistics.median([rendered(client, path) for _ in range(TIMES + 1)][1:])
            for name, path in pages().items()
        }
    )


if __name__ == "__main__":
    main()
