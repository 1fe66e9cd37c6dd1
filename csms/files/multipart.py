"""The file in a multipart/form-data body, piece by piece as it comes."""

from typing import Self

from python_multipart.exceptions import MultipartParseError
from python_multipart.multipart import MultipartParser, parse_options_header

LONGEST_HEADER = 8 * 1024
"""Bytes of the headers of one part."""


class NoForm(ValueError):
    """The body is no form with one file in it."""


class FileOfForm:
    """Takes the body in, gives the bytes of its first file out; other parts are passed over."""

    def __init__(self, boundary: bytes) -> None:
        self.name = ""
        self._found = self._inside = self._ended = False
        self._header, self._value, self._headers = b"", b"", {}  # type: ignore[var-annotated]
        self._parts: list[bytes] = []
        self._parser = MultipartParser(
            boundary,
            {
                "on_part_begin": self._begin,
                "on_header_field": self._field,
                "on_header_value": self._text,
                "on_header_end": self._header_end,
                "on_headers_finished": self._headers_end,
                "on_part_data": self._data,
                "on_part_end": self._part_end,
                "on_end": self._end,
            },
        )

    @classmethod
    def of(cls, content_type: str) -> Self | None:
        """For the body of a request with this content type; None when that is no form."""
        kind, options = parse_options_header(content_type)
        if kind != b"multipart/form-data":
            return None
        boundary = options.get(b"boundary", b"")
        if not 0 < len(boundary) <= 70:  # RFC 2046 5.1.1
            raise NoForm("The form has no boundary.")
        return cls(boundary)

    def feed(self, data: bytes) -> list[bytes]:
        """What of the file is in the next bytes of the body. Raises NoForm."""
        try:
            self._parser.write(data)
        except MultipartParseError:
            raise NoForm("The form cannot be read.") from None
        parts, self._parts = self._parts, []
        return parts

    def end(self) -> None:
        """The body is complete. Raises NoForm when there was no whole file in it."""
        if not self._found:
            raise NoForm("There is no file in the form.")
        if not self._ended:
            raise NoForm("The form is not complete.")

    # What the parser tells

    def _begin(self) -> None:
        self._headers = {}

    def _field(self, data: bytes, start: int, end: int) -> None:
        self._header = self._bounded(self._header + data[start:end])

    def _text(self, data: bytes, start: int, end: int) -> None:
        self._value = self._bounded(self._value + data[start:end])

    def _bounded(self, text: bytes) -> bytes:
        if len(text) > LONGEST_HEADER:
            raise NoForm("The headers of the form are too large.")
        return text

    def _header_end(self) -> None:
        if len(self._headers) < 10:
            self._headers[self._header.lower()] = self._value
        self._header, self._value = b"", b""

    def _headers_end(self) -> None:
        _, options = parse_options_header(self._headers.get(b"content-disposition", b""))
        if b"filename" in options and not self._found:
            self._found = self._inside = True
            self.name = options[b"filename"].decode("utf-8", "replace")

    def _data(self, data: bytes, start: int, end: int) -> None:
        if self._inside:
            self._parts.append(data[start:end])

    def _part_end(self) -> None:
        self._inside = False

    def _end(self) -> None:
        self._ended = True
