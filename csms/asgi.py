"""The HTTP side: OCPP-S beside Django on one port.

OCPP-S is an ASGI application of its own, since a Django view costs a thread for each request.
"""

import os
from typing import Any

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "csms.settings")

from django.core.asgi import get_asgi_application

SOAP_PATH = "/ocpp/soap"


def make_application(inbox: Any) -> Any:
    """The ASGI application of one process; `inbox` takes the messages of SOAP charge points."""
    django = get_asgi_application()

    from ocpp_soap.asgi import SoapApplication

    soap = SoapApplication(inbox=inbox)

    async def application(scope: Any, receive: Any, send: Any) -> None:
        path = scope.get("path", "")
        if scope["type"] == "http" and (path == SOAP_PATH or path.startswith(SOAP_PATH + "/")):
            await soap(scope, receive, send)
        elif scope["type"] == "http":
            await django(scope, receive, send)

    return application
