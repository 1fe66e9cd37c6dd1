"""The REST API is called with whatever its own description allows, and with what it does not:
never a 5xx, and every answer is as described."""

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

from csms.api.application import api as described
from tests import factories

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
def known(transactional_db: None) -> dict[str, Any]:
    """A small fleet, and what names its parts in a path."""
    charger = factories.charge_point(identity="CP1")
    run = factories.transaction(charger)
    factories.connector(charger)
    factories.meter_value(charger, transaction=run)
    tag = factories.id_tag("TAG")
    command = factories.command(charger)
    return {
        "identity": charger.identity,
        "transaction_id": run.transaction_id,
        "id_tag": tag.id_tag,
        "command_id": command.pk,
        "webhook_id": factories.webhook().pk,
    }


@pytest.mark.parametrize("mode", list(GenerationMode), ids=lambda mode: mode.value)
@pytest.mark.parametrize(("method", "path"), OPERATIONS)
def test_every_answer_is_as_described(
    method: str, path: str, mode: GenerationMode, api: "Caller", known: dict[str, Any]
) -> None:
    document = schemathesis.openapi.from_wsgi("/api/v1/openapi.json", get_wsgi_application())
    cases = document[path][method].as_strategy(generation_mode=mode)
    token = {"Authorization": f"Bearer {api.token}"}

    @settings(
        max_examples=15,
        deadline=None,
        derandomize=True,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(cases)
    def call(case: Any) -> None:
        for name, value in case.path_parameters.items():
            if name in known and len(str(value)) % 2:  # every other one asks for what exists
                case.path_parameters[name] = known[name]
        case.query.pop("wait", None)  # a long poll would only take time
        case.call_and_validate(headers=token, checks=CHECKS)

    call()
