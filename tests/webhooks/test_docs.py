"""The example of the documentation, as it stands there, checks what is really sent."""

import re
from pathlib import Path
from typing import Any

from csms.models.webhooks import WebhookKind
from tests.webhooks.receiver import Receiver
from tests.webhooks.test_targets import HERE, post

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "webhooks.md").read_text("utf-8")


def test_the_example_tells_genuine_events_from_others(receiver: Receiver) -> None:
    (example,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    names: dict[str, Any] = {}
    exec(compile(example, "docs/webhooks.md", "exec"), names)
    is_genuine = names["is_genuine"]
    assert post(receiver.url, secret="whsec_mine", **HERE) == ""
    (received,) = receiver.received
    headers = {name.title(): value for name, value in received.headers.items()}
    assert is_genuine(headers, received.body, "whsec_mine")
    assert not is_genuine(headers, received.body, "whsec_other")
    assert not is_genuine(headers, received.body + b" ", "whsec_mine")
    for name, value in (
        ("Csms-Timestamp", str(int(headers["Csms-Timestamp"]) + 1)),
        ("Csms-Timestamp", str(int(headers["Csms-Timestamp"]) - 301)),
        ("Csms-Signature", "v1=" + "0" * 64),
    ):
        assert not is_genuine(headers | {name: value}, received.body, "whsec_mine")


def test_the_page_has_every_kind() -> None:
    assert [kind for kind in WebhookKind.values if f"`{kind}`" not in PAGE] == []
