import django.db.models.deletion
import django.utils.timezone
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("csms", "0009_gateways")]

    operations = [
        migrations.CreateModel(
            name="ConfigurationKey",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                (
                    "key",
                    models.CharField(help_text="As the charge point writes it.", max_length=255),
                ),
                (
                    "folded",
                    models.CharField(
                        help_text="In one case: case does not count (§7.28).", max_length=255
                    ),
                ),
                ("value", models.TextField(blank=True)),
                (
                    "compared",
                    models.TextField(
                        blank=True,
                        editable=False,
                        help_text="The value in the form in which values are compared.",
                    ),
                ),
                ("readonly", models.BooleanField(help_text="Empty: it was never told.", null=True)),
                (
                    "known",
                    models.BooleanField(
                        default=True, help_text="No: it says that it has no such key."
                    ),
                ),
                (
                    "read_at",
                    models.DateTimeField(blank=True, help_text="When it was last told.", null=True),
                ),
                (
                    "pending",
                    models.TextField(blank=True, help_text="A value that it takes after a reboot."),
                ),
                ("pending_at", models.DateTimeField(blank=True, null=True)),
            ],
            options={
                "verbose_name": "configuration key",
                "ordering": ["charge_point", "folded"],
            },
        ),
        migrations.CreateModel(
            name="ConfigurationState",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                (
                    "read_at",
                    models.DateTimeField(
                        blank=True,
                        help_text="When all of its keys were read for the last time.",
                        null=True,
                    ),
                ),
                (
                    "reading",
                    models.JSONField(
                        default=list, help_text="Keys that are still to be asked for."
                    ),
                ),
            ],
            options={
                "verbose_name": "configuration reading",
            },
        ),
        migrations.CreateModel(
            name="ConfigurationTemplate",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("name", models.CharField(max_length=100, unique=True)),
                (
                    "vendor",
                    models.CharField(blank=True, help_text="Exactly; empty: any.", max_length=255),
                ),
                (
                    "model",
                    models.CharField(blank=True, help_text="Exactly; empty: any.", max_length=255),
                ),
                (
                    "site",
                    models.CharField(blank=True, help_text="Exactly; empty: any.", max_length=100),
                ),
                (
                    "values",
                    models.JSONField(
                        help_text="[[key, value], …] in the order in which they are sent."
                    ),
                ),
                (
                    "created_at",
                    models.DateTimeField(default=django.utils.timezone.now, editable=False),
                ),
            ],
            options={
                "verbose_name": "configuration template",
                "ordering": ["name"],
            },
        ),
        migrations.CreateModel(
            name="LocalList",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                (
                    "version",
                    models.IntegerField(
                        blank=True,
                        help_text="As last told or accepted.",
                        null=True,
                        verbose_name="listVersion",
                    ),
                ),
                (
                    "length",
                    models.PositiveIntegerField(
                        default=0,
                        help_text="How many entries of the content it has: the first ones.",
                    ),
                ),
                ("updated_at", models.DateTimeField(blank=True, null=True)),
                (
                    "full",
                    models.BooleanField(
                        default=False, help_text="The update sends the whole list."
                    ),
                ),
                (
                    "progress",
                    models.PositiveIntegerField(
                        default=0, help_text="Entries of the update that were accepted."
                    ),
                ),
                ("restarts", models.PositiveSmallIntegerField(default=0)),
                ("started_at", models.DateTimeField(blank=True, null=True)),
                (
                    "problem",
                    models.CharField(
                        blank=True, help_text="Why the update failed.", max_length=255
                    ),
                ),
                (
                    "supported",
                    models.BooleanField(default=True, help_text="No: it says that it has no list."),
                ),
            ],
            options={
                "verbose_name": "local list",
            },
        ),
        migrations.CreateModel(
            name="LocalListContent",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("digest", models.CharField(max_length=64, unique=True)),
                (
                    "entries",
                    models.JSONField(
                        help_text="[[idTag, blocked, expiry or empty, parentIdTag], …] beside those of `common`."
                    ),
                ),
                (
                    "common",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="csms.locallistcontent",
                    ),
                ),
                ("size", models.PositiveIntegerField(help_text="With those of `common`.")),
                ("created_at", models.DateTimeField(default=django.utils.timezone.now)),
            ],
            options={
                "verbose_name": "local list content",
            },
        ),
        migrations.CreateModel(
            name="ChargePointConfiguration",
            fields=[],
            options={
                "verbose_name": "configuration",
                "verbose_name_plural": "configuration of charge points",
                "ordering": ["identity"],
                "proxy": True,
                "indexes": [],
                "constraints": [],
            },
            bases=("csms.chargepoint",),
        ),
        migrations.CreateModel(
            name="ChargePointLocalList",
            fields=[],
            options={
                "verbose_name": "local list of a charge point",
                "verbose_name_plural": "local authorization lists",
                "ordering": ["identity"],
                "proxy": True,
                "indexes": [],
                "constraints": [],
            },
            bases=("csms.chargepoint",),
        ),
        migrations.AddField(
            model_name="chargepoint",
            name="configuration_by_name",
            field=models.BooleanField(
                default=False,
                help_text="Its configuration is read key by key: it cannot tell all keys at once.",
            ),
        ),
        migrations.AddField(
            model_name="connector",
            name="list_conflict_at",
            field=models.DateTimeField(
                blank=True,
                editable=False,
                help_text="When it last told a LocalListConflict.",
                null=True,
            ),
        ),
        migrations.AddIndex(
            model_name="connector",
            index=models.Index(
                condition=models.Q(("list_conflict_at__isnull", False)),
                fields=["list_conflict_at"],
                name="connector_list_conflict",
            ),
        ),
        migrations.AddField(
            model_name="configurationkey",
            name="charge_point",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.CASCADE,
                related_name="configuration_keys",
                to="csms.chargepoint",
            ),
        ),
        migrations.AddField(
            model_name="configurationstate",
            name="charge_point",
            field=models.OneToOneField(
                on_delete=django.db.models.deletion.CASCADE,
                related_name="configuration_state",
                to="csms.chargepoint",
            ),
        ),
        migrations.AddField(
            model_name="configurationstate",
            name="command",
            field=models.ForeignKey(
                blank=True,
                help_text="The latest question of a reading.",
                null=True,
                on_delete=django.db.models.deletion.SET_NULL,
                related_name="+",
                to="csms.command",
            ),
        ),
        migrations.AddField(
            model_name="locallist",
            name="charge_point",
            field=models.OneToOneField(
                on_delete=django.db.models.deletion.CASCADE,
                related_name="local_list",
                to="csms.chargepoint",
            ),
        ),
        migrations.AddField(
            model_name="locallist",
            name="command",
            field=models.ForeignKey(
                blank=True,
                help_text="The latest step of the update.",
                null=True,
                on_delete=django.db.models.deletion.SET_NULL,
                related_name="+",
                to="csms.command",
            ),
        ),
        migrations.AddField(
            model_name="locallist",
            name="content",
            field=models.ForeignKey(
                blank=True,
                help_text="What it has; empty: not known.",
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="+",
                to="csms.locallistcontent",
            ),
        ),
        migrations.AddField(
            model_name="locallist",
            name="target",
            field=models.ForeignKey(
                blank=True,
                help_text="What the update is to bring; empty: none runs.",
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="+",
                to="csms.locallistcontent",
            ),
        ),
        migrations.AddConstraint(
            model_name="configurationkey",
            constraint=models.UniqueConstraint(
                fields=("charge_point", "folded"), name="configuration_key_once"
            ),
        ),
    ]
