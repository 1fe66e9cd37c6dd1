from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('csms', '0005_security_profiles'),
    ]

    operations = [
        migrations.AddField(
            model_name='command',
            name='sealed',
            field=models.TextField(blank=True, default='', editable=False, help_text='The request with its secrets, until it has ended.'),
            preserve_default=False,
        ),
        migrations.AlterField(
            model_name='command',
            name='payload',
            field=models.JSONField(help_text='The request, valid by its declaration; its secrets are masked.'),
        ),
    ]
