"""The API as Django mounts it: `path("api/v1/", api.urls)`."""

from typing import Any

from django.http import Http404, HttpRequest
from ninja import NinjaAPI, Router
from ninja.openapi.docs import Swagger
from ninja.openapi.schema import OpenAPISchema
from ninja.operation import Operation

from csms.api import (
    batches,
    charge_points,
    charging_profiles,
    commands,
    configuration,
    data_transfer,
    errors,
    firmware,
    id_tags,
    local_lists,
    reservations,
    roll_outs,
    transactions,
    uploads,
    webhooks,
)
from csms.api.access import TokenAccess
from csms.api.openapi import completed
from csms.api.wire import CheckedParser, JsonRenderer

DESCRIPTION = """
The charge points of both transports, their transactions and idTags, and commands to them.

Every request carries a token: `Authorization: Bearer csms_…`; `manage.py api_token add NAME` makes
one. Times are UTC, energies Wh, powers W. Lists come in pages: give `next` of a page as `cursor` to
get the one behind it.
"""


class Api(NinjaAPI):
    """NinjaAPI, its document completed from the declarations of the messages."""

    _document: OpenAPISchema | None = None

    def get_openapi_schema(
        self, *, path_prefix: str | None = None, path_params: dict[str, Any] | None = None
    ) -> OpenAPISchema:
        if self._document is None:
            made = super().get_openapi_schema(path_prefix=path_prefix, path_params=path_params)
            self._document = completed(made)
        return self._document

    def get_openapi_operation_id(self, operation: Operation) -> str:
        """The name of the view."""
        return operation.view_func.__name__


api = Api(
    title="Charging",
    version="1",
    description=DESCRIPTION.strip(),
    urls_namespace="api",
    auth=TokenAccess(),
    docs=Swagger({"validatorUrl": None}),  # nothing is asked of other machines
    renderer=JsonRenderer(),
    parser=CheckedParser(),
)
errors.install(api)
rest_router = Router()


@rest_router.api_operation(
    ["GET", "POST", "PUT", "PATCH", "DELETE"], "/{any:rest}", auth=None, include_in_schema=False
)
def nothing(request: HttpRequest, rest: str) -> None:
    """Whatever else is asked for."""
    raise Http404


for router in (
    charge_points.router,
    transactions.router,
    id_tags.router,
    commands.router,
    batches.router,
    charging_profiles.router,
    configuration.router,
    local_lists.router,
    reservations.router,
    data_transfer.router,
    webhooks.router,
    firmware.router,
    roll_outs.router,
    uploads.router,
    rest_router,  # last: it takes everything
):
    api.add_router("", router)
