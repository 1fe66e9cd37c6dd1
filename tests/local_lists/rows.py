"""Local lists as charge points have accepted them."""

from csms.models import ChargePoint, LocalList
from csms.services.local_list_contents import Wanted
from tests.configuration.rows import told


def limits(row: ChargePoint, **values: str) -> None:
    """The configuration keys of local lists, as a charge point told them."""
    usual = {
        "LocalAuthListEnabled": "true",
        "LocalAuthListMaxLength": "1000",
        "SendLocalListMaxLength": "100",
    }
    told(row, **usual | values)


def current(row: ChargePoint, version: int = 1) -> LocalList:
    """A charge point with the list that it should have now."""
    wanted = Wanted([row.pk])
    made, _ = LocalList.objects.update_or_create(
        charge_point=row,
        defaults={
            "version": version,
            "content": wanted.contents([row.pk])[row.pk],
            "length": wanted.size(row.pk),
        },
    )
    return made
