"""JSON in and out: hostile texts refused, times in UTC with a Z."""

import json
from datetime import UTC, datetime
from typing import Annotated, Any

import msgspec
from django.http import HttpRequest
from django.urls import register_converter
from django.urls.converters import PathConverter
from django.utils.datastructures import MultiValueDict
from ninja.parser import Parser
from ninja.renderers import BaseRenderer
from ninja.types import DictStrAny
from pydantic import AfterValidator, AwareDatetime

from csms.api.errors import Refusal
from csms.ocpp.errors import ProtocolError
from csms.ocpp.hostile import check_plain, check_text


def _in_utc(moment: datetime) -> datetime:
    if not 1 < moment.year < 9999:
        raise ValueError("the year is out of range")
    return moment.astimezone(UTC)


Moment = Annotated[AwareDatetime, AfterValidator(_in_utc)]
"""A time: taken with any zone, given in UTC."""


class AnyText(PathConverter):
    """What `path` takes in a URL, and line ends too."""

    regex = r"[\s\S]+"


register_converter(AnyText, "any")


def encode(data: Any) -> str:
    """Plain values as compact JSON."""
    return msgspec.json.encode(data).decode()


class JsonRenderer(BaseRenderer):
    """Answers."""

    media_type = "application/json"

    def render(self, request: HttpRequest, data: Any, *, response_status: int) -> str:
        return encode(data)


class CheckedParser(Parser):
    """Requests, without what neither database nor charge points take (NUL, half surrogates)."""

    def parse_body(self, request: HttpRequest) -> DictStrAny:
        """The body; what is raised here is answered in csms/api/errors.py."""
        data: DictStrAny = json.loads(request.body)
        check_plain(data)
        return data

    def parse_querydict(
        self, data: MultiValueDict[str, Any], list_fields: list[str], request: HttpRequest
    ) -> DictStrAny:
        for name in data:
            checked(str(data[name]), name)
        return super().parse_querydict(data, list_fields, request)


def checked(text: str, field: str | None = None) -> str:
    """A text of a path or query that holds nothing hostile."""
    try:
        check_text(text, "")
    except ProtocolError as problem:
        raise Refusal(422, problem.description, field) from None
    return text
