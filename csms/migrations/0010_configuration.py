from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("csms", "0009_gateways")]
    operations = []
