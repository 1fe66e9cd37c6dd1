"""The OpenAPI document, completed: the payload of each operation from its declaration.

django-ninja describes our own bodies. What a charge point may be asked is described by the message
declarations, so that a new action is documented as soon as it is declared.
"""

import inspect
from typing import Any

import msgspec
from ninja.openapi.schema import OpenAPISchema

from csms.api.errors import Error, Problem
from csms.ocpp.base import Role, action
from csms.ocpp.registry import ACTIONS

REF = "#/components/schemas/{name}"
SECURITY = "token"
ONE_CHOICE: dict[str, Any] = {
    "oneOf": [{"required": [name]} for name in ("identities", "filter", "all")]
}


def completed(document: OpenAPISchema) -> OpenAPISchema:
    """The document with payloads, the one way of authentication and the one shape of errors."""
    schemas: dict[str, Any] = document["components"]["schemas"]
    _add(schemas, {"Problem": Problem.json_schema(), "Error": _error()})
    _add(schemas, payload_components())
    names = [action(request) for request in sendable_requests()]
    for body, more in (("CommandIn", {}), ("BulkIn", ONE_CHOICE)):
        plain = schemas[body]
        _add(schemas, {f"{body}_{name}": _body(plain, name, more) for name in names})
        schemas[body] = _one_of(body, names, plain.get("description", ""))
    _add(schemas, {"TemplateProfile": _template_profile(schemas["ChargingProfile"])})
    for body in ("TemplateOut", "TemplateIn", "TemplateChange"):
        schemas[body]["properties"]["profile"] = {"$ref": REF.format(name="TemplateProfile")}
    document["components"]["securitySchemes"] = {SECURITY: {"type": "http", "scheme": "bearer"}}
    for operations in document["paths"].values():
        for operation in operations.values():
            operation["security"] = [{SECURITY: []}]
            operation["responses"]["default"] = {
                "description": "Refused: 401, 403, 404, 409, 422; or failed: 500, 503.",
                "content": {"application/json": {"schema": {"$ref": REF.format(name="Error")}}},
            }
    return document


def sendable_requests() -> list[type[Any]]:
    """The declarations of what the central system may send."""
    return [request for request in ACTIONS.values() if Role.CENTRAL_SYSTEM in request.senders]


def payload_components() -> dict[str, Any]:
    """JSON schemas of all payloads and of their parts, by name."""
    _, found = msgspec.json.schema_components(sendable_requests(), ref_template=REF)
    for schema in found.values():
        if "description" in schema:
            schema["description"] = inspect.cleandoc(schema["description"])
        for field in schema.get("properties", {}).values():
            if field.get("format") == "decimal":  # numbers in OCPP's JSON
                del field["format"]
                field["type"] = "number"
    return found


def _add(schemas: dict[str, Any], more: dict[str, Any]) -> None:
    taken = schemas.keys() & more.keys()
    if taken:
        raise ValueError(f"Two components have one name: {', '.join(sorted(taken))}.")
    schemas.update(more)


def _error() -> dict[str, Any]:
    schema = Error.model_json_schema(ref_template=REF.format(name="{model}"))
    del schema["$defs"]
    return schema


def _template_profile(declared: dict[str, Any]) -> dict[str, Any]:
    """A charging profile as a template has it: what belongs to one charge point may be missing."""
    properties = {n: v for n, v in declared["properties"].items() if n != "transactionId"}
    required = [name for name in declared["required"] if name != "chargingProfileId"]
    described = {"title": "TemplateProfile", "properties": properties, "required": required}
    return declared | described


def _body(plain: dict[str, Any], name: str, more: dict[str, Any]) -> dict[str, Any]:
    """The body that asks for one action."""
    properties = plain["properties"] | {
        "action": {"const": name},
        "payload": {"$ref": REF.format(name=name)},
    }
    required = ["action"]
    if any(field.required for field in msgspec.structs.fields(ACTIONS[name])):
        required.append("payload")
    return {
        "title": f"{plain['title']} {name}",
        "type": "object",
        "properties": properties,
        "required": required,
        "additionalProperties": False,
        **more,
    }


def _one_of(body: str, names: list[str], description: str) -> dict[str, Any]:
    references = {name: REF.format(name=f"{body}_{name}") for name in names}
    return {
        "title": body,
        "description": description,
        "oneOf": [{"$ref": reference} for reference in references.values()],
        "discriminator": {"propertyName": "action", "mapping": references},
    }
