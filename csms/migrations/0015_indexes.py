"""Indexes: one less on meter values, and those of open transactions by their idTag."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("csms", "0014_webhooks"),
    ]

    operations = [
        migrations.AddIndex(
            model_name="transaction",
            index=models.Index(
                condition=models.Q(("state", "open")),
                fields=["id_tag_key"],
                name="transaction_open_id_tag",
            ),
        ),
        migrations.RemoveConstraint(model_name="metervalue", name="meter_value_once"),
        migrations.RemoveIndex(model_name="metervalue", name="meter_value_charge_point"),
        migrations.AddIndex(
            model_name="metervalue",
            index=models.Index(
                condition=models.Q(("bucket_at", models.F("received_at"))),
                fields=["charge_point", "connector_id", "digest"],
                name="meter_value_clockless",
            ),
        ),
        migrations.AddConstraint(
            model_name="metervalue",
            constraint=models.UniqueConstraint(
                fields=("charge_point", "bucket_at", "connector_id", "digest", "timestamp"),
                name="meter_value_known_once",
            ),
        ),
    ]
