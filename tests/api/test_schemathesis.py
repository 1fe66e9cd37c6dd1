"""The REST API is called with whatever its own description allows, and with what it does not:
never a 5xx, and every answer is as described. Every other call is about what exists, so that each
operation is also seen to succeed."""

from collections import Counter
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest
import schemathesis
from django.core.wsgi import get_wsgi_application
from hypothesis import HealthCheck, given, settings
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from csms import conf
from csms.api.application import api as described
from tests.api.existing import Existing

if TYPE_CHECKING:
    from tests.api.caller import Caller

CHECKS = [
    not_a_server_error,
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
]
OPERATIONS = [
    (method.upper(), path)
    for path, methods in described.get_openapi_schema()["paths"].items()
    for method in methods
]


@pytest.fixture
def existing(transactional_db: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[Existing]:
    """Charge points reach files under an address of ours."""
    monkeypatch.setattr(conf, "_changed", {"file_urls": ("http://files.test",)})
    conf.settings.cache_clear()
    yield Existing()
    monkeypatch.undo()
    conf.settings.cache_clear()


@pytest.mark.filterwarnings("ignore:StreamingHttpResponse must consume async")  # as WSGI, here
@pytest.mark.parametrize("mode", list(GenerationMode), ids=lambda mode: mode.value)
@pytest.mark.parametrize(("method", "path"), OPERATIONS)
def test_every_answer_is_as_described(
    method: str, path: str, mode: GenerationMode, api: "Caller", existing: Existing
) -> None:
    document = schemathesis.openapi.from_wsgi("/api/v1/openapi.json", get_wsgi_application())
    cases = document[path][method].as_strategy(generation_mode=mode)
    token = {"Authorization": f"Bearer {api.token}"}
    meant = mode is GenerationMode.POSITIVE
    answers: Counter[int] = Counter()

    @settings(
        max_examples=15,
        deadline=None,
        derandomize=True,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(cases)
    def call(case: Any) -> None:
        if answers.total() % 2 == 0:  # every other one asks for what exists
            for name in case.path_parameters:
                found = existing.named(path, name)
                if found is not None:
                    case.path_parameters[name] = found
            case.query = (meant and existing.query((method, path))) or case.query
            if meant and isinstance(case.body, dict):
                case.body |= existing.body((method, path))
        case.query.pop("wait", None)  # a long poll would only take time
        answers[case.call_and_validate(headers=token, checks=CHECKS).status_code] += 1

    call()
    if meant:
        assert any(200 <= status < 300 for status in answers), answers
