"""A form whose length the client does not know before."""

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from csms.models import FirmwareImage
from tests.files.site import curl, digest

if TYPE_CHECKING:
    from tests.api.caller import Caller
    from tests.running import System


@pytest.mark.django_db(transaction=True)
def test_an_image_comes_in_chunks(system: "System", api: "Caller", tmp_path: Path) -> None:
    content = bytes(range(256)) * 4000
    path = tmp_path / "fw.bin"
    path.write_bytes(content)
    done = curl(
        *("-w", "%{http_code}", "-H", "Transfer-Encoding: chunked"),
        *("-H", f"Authorization: Bearer {api.token}"),
        *("-F", f"file=@{path}", "-F", "version=9.9"),
        f"{system.http_url}/api/v1/firmware-images",
    )
    assert done.stdout.endswith(b"201"), done.stdout
    row = FirmwareImage.objects.get()
    assert (row.version, row.size, row.sha256) == ("9.9", len(content), digest(content))
