from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("csms", "0011_files")]
    operations = []
