"""How files and their transfers are shown."""

from django.utils.safestring import SafeString

from csms.admin import show
from csms.models.roll_outs import ItemState, RollOutItem

GOOD = {"Installed", "Uploaded", "Idle"}


def size_text(size: int) -> str:
    """`12.3 MiB`."""
    for unit, bytes_ in (("GiB", 2**30), ("MiB", 2**20), ("KiB", 2**10)):
        if size >= bytes_:
            return f"{size / bytes_:,.1f} {unit}"
    return f"{size:,} bytes"


def status_badge(status: str) -> SafeString:
    """A status that a charge point reported of a transfer."""
    if status in GOOD:
        return show.badge(status, "good")
    bad = "fail" in status.lower() or "invalid" in status.lower()
    return show.badge(status, "bad" if bad else "info")


def version_told(item: RollOutItem) -> SafeString | str:
    """The firmware version that a charge point of a roll-out told last; marked where it is another
    one although the image was installed."""
    version, image = item.charge_point.firmware_version, item.roll_out.image
    if item.state != ItemState.DONE or version in ("", image.version):
        return show.clip(version, 24)
    return show.badge(version[:24], "warn", f"It says {version}, the image is {image.version}.")
