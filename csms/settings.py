"""Django's settings, made from the environment (csms/conf.py says which and why)."""

import secrets
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from csms import conf
from csms.compat import prepare_spyne

prepare_spyne()

try:
    CSMS = conf.settings()
except conf.SettingError as error:
    sys.exit(str(error))

BASE_DIR = Path(__file__).resolve().parent.parent
DATA_DIR = CSMS.data_path


@contextmanager
def _data_dir() -> Iterator[None]:
    """Make the data folder, for what is written into it: or one clear line."""
    try:
        DATA_DIR.mkdir(parents=True, exist_ok=True)
        yield
    except OSError as error:
        sys.exit(
            f"The data folder {DATA_DIR} cannot be written ({error.strerror}): "
            "set CSMS_DATA_DIR to a folder that can."
        )


def _secret_key() -> str:
    """The configured key, else one that is made once and kept beside the database."""
    if CSMS.secret_key:
        return CSMS.secret_key
    path = DATA_DIR / "secret_key"
    with _data_dir():
        if not path.exists():
            path.touch(mode=0o600)
            path.write_text(secrets.token_urlsafe(50))
        return path.read_text().strip()


def _database(url: str) -> dict[str, Any]:
    """Django's description of the database at a URL; SQLite when there is none."""
    if not url:
        with _data_dir():
            pass  # SQLite makes its file, but no folder
        return {
            "ENGINE": "csms.sqlite",
            "NAME": str(DATA_DIR / "csms.sqlite3"),
            "OPTIONS": {
                "transaction_mode": "IMMEDIATE",
                "timeout": 5,
                "init_command": (
                    "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA cache_size=-65536;"
                    "PRAGMA temp_store=MEMORY; PRAGMA wal_autocheckpoint=4000"
                ),
            },
            # A file, because threads of one process share it; one for each pytest-xdist worker.
            "TEST": {"NAME": str(DATA_DIR / "test.sqlite3")},
        }
    parts = urlsplit(url)
    if parts.scheme not in ("postgres", "postgresql") or not parts.path.strip("/"):
        sys.exit(
            "DATABASE_URL cannot be used: write postgresql://user:password@host:5432/name, "
            "or leave it empty for SQLite."
        )
    return {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": unquote(parts.path.strip("/")),
        "USER": unquote(parts.username or ""),
        "PASSWORD": unquote(parts.password or ""),
        "HOST": unquote(parts.hostname or ""),
        "PORT": str(parts.port or ""),
        "CONN_MAX_AGE": 0,
        "OPTIONS": {
            # A pool that is denied connections waits longer and longer between its attempts:
            # it gives up soon, so that the next who asks tries at once (F3).
            "pool": {"min_size": 1, "max_size": 12, "timeout": 3, "reconnect_timeout": 2},
            "connect_timeout": 5,
            "keepalives_idle": 10,
            "keepalives_interval": 5,
            "keepalives_count": 3,
            "options": "-c idle_in_transaction_session_timeout=5000 -c lock_timeout=3000",
        },
    }


SECRET_KEY = _secret_key()
DEBUG = CSMS.debug
ALLOWED_HOSTS = list(CSMS.allowed_hosts)
CSRF_TRUSTED_ORIGINS = list(CSMS.trusted_origins)

INSTALLED_APPS = [
    "csms",
    "unfold",
    "unfold.contrib.filters",
    "ninja",  # its documentation pages, served from here
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
]

MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "servestatic.middleware.ServeStaticMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]

ROOT_URLCONF = "csms.urls"

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ],
        },
    },
]

DATABASES = {"default": _database(CSMS.database_url)}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}"}
    for name in (
        "UserAttributeSimilarityValidator",
        "MinimumLengthValidator",
        "CommonPasswordValidator",
        "NumericPasswordValidator",
    )
]

LOGIN_URL = "admin:login"
LOGIN_REDIRECT_URL = "admin:index"

LANGUAGE_CODE = "en-gb"
TIME_ZONE = "UTC"
USE_TZ = True
STATIC_URL = "/static/"
SERVESTATIC_USE_FINDERS = True  # served from the installed packages: nothing to collect
SILENCED_SYSTEM_CHECKS = ["security.W004", "security.W008"]  # TLS may end at a proxy in front

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"line": {"format": "%(asctime)s %(levelname)s %(name)s: %(message)s"}},
    "handlers": {"console": {"class": "logging.StreamHandler", "formatter": "line"}},
    "root": {"handlers": ["console"], "level": "INFO"},
    "loggers": {
        "websockets": {"level": "WARNING"},
        "psycopg.pool": {"level": "ERROR"},  # each attempt of its; who asked for one says it once
        "spyne": {"level": "ERROR"},
        "httpx": {"level": "WARNING"},
        "zeep": {"level": "WARNING"},
    },
}


UNFOLD: dict[str, Any] = {
    "SITE_TITLE": "Charging",
    "SITE_HEADER": "Charging",
    "SITE_SUBHEADER": "Central system",
    "SITE_SYMBOL": "ev_station",
    "SITE_FAVICONS": [
        {"rel": "icon", "type": "image/svg+xml", "href": "csms.admin.navigation.favicon"},
    ],
    "SHOW_HISTORY": True,
    "SHOW_VIEW_ON_SITE": False,
    "STYLES": ["csms.admin.navigation.stylesheet"],
    "DASHBOARD_CALLBACK": "csms.admin.dashboard.context",
    "COLORS": {
        "primary": {
            "50": "oklch(97.9% .021 166.1)",
            "100": "oklch(95% .052 163.1)",
            "200": "oklch(90.5% .093 164.2)",
            "300": "oklch(84.5% .143 165)",
            "400": "oklch(76.5% .177 163.2)",
            "500": "oklch(69.6% .17 162.5)",
            "600": "oklch(50.8% .118 165.6)",
            "700": "oklch(43.2% .095 166.9)",
            "800": "oklch(37.8% .077 168.9)",
            "900": "oklch(31% .06 170)",
            "950": "oklch(26.2% .051 172.6)",
        },
    },
    "SIDEBAR": {
        "show_search": False,
        "show_all_applications": False,
        "navigation": "csms.admin.navigation.pages",
    },
}
