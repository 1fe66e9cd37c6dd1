from typing import Any

from django.db import migrations, models


def mark_chosen(apps: Any, schema_editor: Any) -> None:
    """Webhooks that name charge points are held to them."""
    subscriptions = apps.get_model("csms", "WebhookSubscription").objects
    subscriptions.filter(charge_points__isnull=False).update(chosen_only=True)


class Migration(migrations.Migration):
    dependencies = [
        ("csms", "0013_reservations"),
    ]

    operations = [
        migrations.AddField(
            model_name="webhooksubscription",
            name="chosen_only",
            field=models.BooleanField(
                default=False,
                editable=False,
                help_text="Charge points were chosen. When they are deleted it is told of none, not of all.",
            ),
        ),
        migrations.AddField(
            model_name="webhooksubscription",
            name="last_delivered_at",
            field=models.DateTimeField(
                blank=True, editable=False, help_text="To the second; tests count too.", null=True
            ),
        ),
        migrations.AddField(
            model_name="webhooksubscription",
            name="last_error_at",
            field=models.DateTimeField(blank=True, editable=False, null=True),
        ),
        migrations.AddField(
            model_name="webhooksubscription",
            name="paused",
            field=models.BooleanField(
                default=False,
                editable=False,
                help_text="By a person: events are kept, and not sent.",
            ),
        ),
        migrations.AlterField(
            model_name="webhooksubscription",
            name="active",
            field=models.BooleanField(
                default=True,
                help_text="Switch it off to keep no events for it; to have them later, pause it instead.",
            ),
        ),
        migrations.AlterField(
            model_name="webhooksubscription",
            name="charge_points",
            field=models.ManyToManyField(
                blank=True,
                help_text="Choose those to be told of, or leave it empty to be told of all.",
                related_name="+",
                to="csms.chargepoint",
            ),
        ),
        migrations.AlterField(
            model_name="webhooksubscription",
            name="paused_until",
            field=models.DateTimeField(
                blank=True,
                editable=False,
                help_text="After failures: the next attempt.",
                null=True,
            ),
        ),
        migrations.AlterField(
            model_name="webhooksubscription",
            name="site",
            field=models.CharField(
                blank=True,
                help_text="Write a site to be told of its charge points only, or leave it empty.",
                max_length=100,
            ),
        ),
        migrations.AlterField(
            model_name="webhooksubscription",
            name="url",
            field=models.CharField(
                help_text="Write the https:// address that takes the events.",
                max_length=500,
                verbose_name="URL",
            ),
        ),
        migrations.RunPython(mark_chosen, migrations.RunPython.noop),
    ]
