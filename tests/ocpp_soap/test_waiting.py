"""F4: a database that does not answer at all holds up nobody for ever."""

import asyncio
from typing import Any, NoReturn

import pytest

from tests.ocpp_soap.house import HEARTBEAT, House, message

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("action", ["Heartbeat", "StopTransaction"])
async def test_f4_what_is_not_answered_in_time_is_503(
    house: House, action: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No Fault, which would use up the charge point's attempts: it comes again."""

    async def never(incoming: Any) -> NoReturn:
        await asyncio.Event().wait()
        raise AssertionError

    house.application._answered_within = 0.1
    with monkeypatch.context() as patch:
        patch.setattr(house.inbox, "submit", never)
        response = await house.post(message(action))
        assert (response.status_code, response.content) == (503, b"")
        assert int(response.headers["retry-after"]) > 0
    assert (await house.post(HEARTBEAT)).status_code == 200
