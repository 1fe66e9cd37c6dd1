"""The processes that hold the sockets of charge points."""

from django.db import models


class Gateway(models.Model):
    """A running process; its row is a lease that it renews every few seconds."""

    name = models.CharField(
        max_length=64,
        primary_key=True,
        editable=False,
        help_text="Host, port, and number of the worker: the same after a restart.",
    )
    started_at = models.DateTimeField(editable=False)
    seen_at = models.DateTimeField(editable=False, db_index=True)

    class Meta:
        ordering = ["started_at"]

    def __str__(self) -> str:
        return self.name
