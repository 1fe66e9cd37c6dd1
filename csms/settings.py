"""Django's settings, made from the environment (csms/conf/ says which and why)."""

import secrets
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from csms import conf
from csms.compat import prepare_spyne
from csms.logs import logging_config

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
        DATA_DIR.mkdir(mode=0o700, parents=True, exist_ok=True)  # it holds what nobody may read
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


def _email(url: str) -> dict[str, Any]:
    """Django's settings of a mail server at a URL."""
    parts = urlsplit(url)
    if parts.scheme not in ("smtp", "smtps") or not parts.hostname:
        sys.exit(
            "CSMS_EMAIL_URL cannot be used: write smtp://host:25 or smtps://user:password@host."
        )
    port = parts.port or (465 if parts.scheme == "smtps" else 25)
    return {
        "EMAIL_HOST": parts.hostname,
        "EMAIL_PORT": port,
        "EMAIL_HOST_USER": unquote(parts.username or ""),
        "EMAIL_HOST_PASSWORD": unquote(parts.password or ""),
        "EMAIL_USE_SSL": parts.scheme == "smtps",
        "EMAIL_USE_TLS": parts.scheme == "smtp" and port == 587,
        "EMAIL_TIMEOUT": 10,
        "DEFAULT_FROM_EMAIL": CSMS.email_from,
    }


def _files(url: str) -> dict[str, Any]:
    """Django's description of where firmware and diagnostics are kept; a folder without a URL."""
    if not url:
        return {
            "BACKEND": "django.core.files.storage.FileSystemStorage",
            "OPTIONS": {
                "location": str(DATA_DIR / "files"),
                "file_permissions_mode": 0o600,
                "directory_permissions_mode": 0o700,
            },
        }
    if find_spec("storages") is None or find_spec("boto3") is None:
        sys.exit("CSMS_FILE_STORAGE needs two packages: pip install django-storages boto3.")
    parts = urlsplit(url)
    return {
        "BACKEND": "storages.backends.s3.S3Storage",
        "OPTIONS": {
            "bucket_name": parts.netloc,
            "location": parts.path.strip("/"),
            "default_acl": None,
            "file_overwrite": False,
            "max_memory_size": 1024 * 1024,  # what is read goes through a file, not through memory
        },
    }


def _incoming() -> str | None:
    """Where files are collected while they come in: on the disk of the storage, from which they are
    moved, and not in memory, as /tmp may be. None, Django's own, for who keeps nothing here."""
    folder = DATA_DIR / "incoming"
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError:
        return None
    return str(folder)


SECRET_KEY = _secret_key()
DEBUG = CSMS.debug
ALLOWED_HOSTS = list(CSMS.allowed_hosts)
CSRF_TRUSTED_ORIGINS = list(CSMS.trusted_origins)

INSTALLED_APPS = [
    "unfold",
    "unfold.contrib.filters",
    "ninja",  # its documentation pages, served from here
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "django_otp.plugins.otp_totp",
    "django_otp.plugins.otp_static",
    "axes",
    "csms",  # last: its admin replaces pages of others, its roles have the permissions of all
]

MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "servestatic.middleware.ServeStaticMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "csms.admin.guard.Guard",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "axes.middleware.AxesMiddleware",
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
globals().update(_email(CSMS.email_url))
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

AUTHENTICATION_BACKENDS = [
    "axes.backends.AxesStandaloneBackend",  # first: it stops who must wait
    "django.contrib.auth.backends.ModelBackend",
]
LOGIN_URL = "admin:login"
LOGIN_REDIRECT_URL = "admin:index"

# Wrong passwords: the pair of user and address must wait, so that nobody can lock out another.
AXES_FAILURE_LIMIT = CSMS.login_failures
AXES_COOLOFF_TIME = timedelta(minutes=CSMS.login_wait_minutes)
AXES_LOCKOUT_PARAMETERS = [["username", "ip_address"]]
AXES_RESET_COOL_OFF_ON_FAILURE_DURING_LOCKOUT = False  # the wait does not grow by trying
AXES_RESET_ON_SUCCESS = True
AXES_LOCKOUT_CALLABLE = "csms.admin.guard.locked_out"
AXES_CLIENT_IP_CALLABLE = "csms.admin.guard.address_of"
AXES_DISABLE_ACCESS_LOG = True  # the audit has the logins
AXES_ENABLE_ADMIN = False  # csms/admin/failed_logins.py
AXES_VERBOSE = False

OTP_TOTP_ISSUER = CSMS.public_host or "Charging"  # what an authenticator app calls us

# Sessions end by csms/admin/guard.py; the cookie and the row outlive them by nothing.
SESSION_COOKIE_AGE = 3600 * CSMS.session_hours
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = CSMS.secure_cookies
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = CSRF_COOKIE_SAMESITE = "Lax"
SECURE_SSL_REDIRECT = CSMS.https_only is True
SECURE_SSL_HOST = CSMS.https_host
SECURE_HSTS_SECONDS = CSMS.hsts_seconds if CSMS.https_only is True else 0

STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"},
    "files": _files(CSMS.file_storage),  # firmware in, diagnostics out: csms/services/storage.py
}
FILE_UPLOAD_TEMP_DIR = _incoming()

LANGUAGE_CODE = "en-gb"
TIME_ZONE = "UTC"
USE_TZ = True
STATIC_URL = "/static/"
SERVESTATIC_USE_FINDERS = True  # served from the installed packages: nothing to collect
SILENCED_SYSTEM_CHECKS = [
    "security.W005",  # HSTS for other hosts below this name, and
    "security.W021",  # for lists that browsers come with, is not ours to decide
]

LOGGING = logging_config(kind=CSMS.log_format, level=CSMS.log_level)

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
    "ACCOUNT": {"navigation": "csms.admin.two_factor.account_links"},
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
