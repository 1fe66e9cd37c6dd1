"""Files in answers of pages and the API: always as attachments, always in pieces."""

from typing import Any

from django.http import StreamingHttpResponse

from csms.services.storage import opened, safe_name, streamed


def attachment(field: Any, *, name: str, size: int) -> StreamingHttpResponse:
    """The file of a FileField, for a browser to save and never to show. Raises OSError."""
    response = StreamingHttpResponse(
        streamed(opened(field), size), content_type="application/octet-stream"
    )
    safe = safe_name(name, "file", length=100)
    response["Content-Disposition"] = f'attachment; filename="{safe}"'
    response["Content-Length"] = str(size)
    response["X-Content-Type-Options"] = "nosniff"
    response["Content-Security-Policy"] = "sandbox"
    response["Cache-Control"] = "private, no-store"
    return response
