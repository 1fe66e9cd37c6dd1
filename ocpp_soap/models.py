"""spyne's ComplexModels, produced from the declarations for the namespace of each service.

They serve spyne's interface: dispatch and the schema of the WSDL. No message passes through them
(see `codec`).
"""

from functools import cache
from typing import Any

from msgspec import inspect as ins

from csms.compat import prepare_spyne

prepare_spyne()

from spyne import (  # noqa: E402  after prepare_spyne
    AnyUri,
    Boolean,
    ComplexModel,
    DateTime,
    Decimal,
    Enum,
    Integer32,
    Unicode,
)

from csms.ocpp.base import Payload, Request  # noqa: E402
from ocpp_soap.codec import bare  # noqa: E402


@cache
def model(declaration: type[Payload], namespace: str) -> Any:
    """The ComplexModel of a declaration, named as its type in the official WSDL."""
    info = ins.type_info(declaration)
    assert isinstance(info, ins.StructType)
    members = [(field.encode_name, _member(field, namespace)) for field in info.fields]
    return type(
        declaration.__name__,
        (ComplexModel,),
        {
            "__namespace__": namespace,
            "__type_name__": type_name(declaration),
            "_type_info": members,
        },
    )


def type_name(declaration: type[Payload]) -> str:
    """`BootNotificationRequest`, `BootNotificationResponse`, `MeterValue`."""
    suffix = "Request" if issubclass(declaration, Request) else ""
    return declaration.__name__ + suffix


def _member(field: ins.Field, namespace: str) -> Any:
    """The spyne type of a field with its cardinality, as an element of an xs:sequence."""
    declared, least = field.type, 1 if field.required else 0
    most: int | str = 1
    listed = bare(declared)
    if isinstance(listed, ins.VarTupleType):
        declared, most = listed.item_type, "unbounded"
        least = min(least, listed.min_length or 0)
    cardinality = {"min_occurs": least, "max_occurs": most, "nillable": False}
    item = bare(declared)
    if isinstance(item, ins.StructType):
        return model(item.cls, namespace).customize(**cardinality)
    if isinstance(item, ins.EnumType):
        values = [str(member.value) for member in item.cls]
        listing = Enum(*values, type_name=item.cls.__name__, __namespace__=namespace)
        return listing.customize(**cardinality)
    return _text(item, declared, namespace, cardinality)


def _text(item: ins.Type, declared: ins.Type, namespace: str, cardinality: dict[str, Any]) -> Any:
    if isinstance(item, ins.IntType):
        return Integer32(**cardinality)
    if isinstance(item, ins.BoolType):
        return Boolean(**cardinality)
    if isinstance(item, ins.DateTimeType):
        return DateTime(**cardinality)
    if isinstance(item, ins.DecimalType):
        named = {"type_name": "DecimalOne", "__namespace__": namespace}
        return Decimal(fraction_digits=1, **named, **cardinality)
    if isinstance(declared, ins.Metadata) and (declared.extra or {}).get("xsd") == "anyURI":
        return AnyUri(**cardinality)
    assert isinstance(item, ins.StrType)
    if item.max_length is None:
        return Unicode(**cardinality)
    named = {"type_name": f"CiString{item.max_length}Type", "__namespace__": namespace}
    return Unicode(max_len=item.max_length, **named, **cardinality)
