"""Django settings, all from the environment; docs/configuration.md lists every one."""

from __future__ import annotations

import secrets
from pathlib import Path
from typing import Any

import structlog
from csp.constants import NONE, SELF

from inspection import environment as env
from inspection.storage import storage_settings
from inspection.supervisor.layout import (
    django_database,
    embedded_broker_url,
    embedded_database_url,
)
from inspection.supervisor.options import BIND, PORT, Address, demo_wanted

BASE_DIR = Path(__file__).resolve().parent.parent
STATE_DIR = env.state_dir()

DEBUG = env.boolean(
    "LOUPE_DEBUG", default=False, help="Show error details in the browser. Never in production."
)
ALLOWED_HOSTS = env.words(
    "LOUPE_ALLOWED_HOSTS",
    default=["localhost", "127.0.0.1", "[::1]"],
    help="Host names under which the application answers.",
)
CSRF_TRUSTED_ORIGINS = env.words(
    "LOUPE_TRUSTED_ORIGINS",
    help="Origins such as `https://loupe.example.com`, where a proxy ends TLS.",
)
HTTPS = env.boolean(
    "LOUPE_HTTPS", default=False, help="Served over HTTPS: secure cookies, HSTS, proxy header."
)


def _secret_key() -> str:
    given = env.text(
        "LOUPE_SECRET_KEY",
        default="",
        shown="made once, kept in the state directory",
        help="Signs sessions and tokens. Give the same one to every machine.",
    )
    return given or _kept_secret(STATE_DIR / "secret_key")


def _kept_secret(path: Path) -> str:
    """Read the secret, or make it. Two processes may start at once: the first file wins."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("x", encoding="ascii") as file:
            path.chmod(0o600)
            file.write(secrets.token_urlsafe(50))
    except FileExistsError:
        pass
    return path.read_text(encoding="ascii")


SECRET_KEY = _secret_key()

INSTALLED_APPS = [
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "django.contrib.postgres",
    "django_htmx",
    "csp",
    "pgtrigger",
    "pghistory",
    "ninja",
    "inspection",
]

MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "csp.middleware.CSPMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
    "pghistory.middleware.HistoryMiddleware",
    "inspection.access.MembershipMiddleware",
]

ROOT_URLCONF = "inspection.urls"
WSGI_APPLICATION = "inspection.wsgi.application"
AUTH_USER_MODEL = "inspection.User"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
LOGIN_URL = "sign-in"
LOGIN_REDIRECT_URL = "home"
LOGOUT_REDIRECT_URL = "sign-in"

TEMPLATES: list[dict[str, Any]] = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "inspection.access.membership_context",
                "inspection.notices.notices_context",
            ]
        },
    }
]

AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator"},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
]

DATABASE_URL = env.url(
    "DATABASE_URL",
    default="",
    schemes=("postgresql", "postgres"),
    shown="the embedded Postgres",
    help="A PostgreSQL server with the `vector` extension, version 0.8 or later.",
)


DATABASE_POOL = env.integer(
    "LOUPE_DATABASE_POOL",
    default=8,
    minimum=1,
    maximum=200,
    help="Most database connections of one process.",
)


def _database(address: str) -> dict[str, Any]:
    entry = django_database(address or embedded_database_url(STATE_DIR))
    entry["OPTIONS"] |= {"pool": {"min_size": 0, "max_size": DATABASE_POOL, "timeout": 30}}
    # Without the check, each connection kept from before a restart of Postgres fails once.
    return entry | {"CONN_MAX_AGE": 0, "CONN_HEALTH_CHECKS": True}


DATABASES = {"default": _database(DATABASE_URL)}

CELERY_BROKER_URL = env.url(
    "CELERY_BROKER_URL",
    default="",
    schemes=("redis", "rediss", "redis+socket", "amqp", "amqps"),
    shown="the embedded Valkey",
    help="A Redis, Valkey or RabbitMQ server. Messages only wake the workers; rows are the truth.",
)


CELERY_BROKER = CELERY_BROKER_URL or embedded_broker_url(STATE_DIR)
LEASE_SECONDS = env.integer(
    "LOUPE_LEASE_SECONDS",
    default=60,
    minimum=2,
    help="How long a worker may be silent before its step is given to another one, in seconds.",
)

STORAGE_URL = env.url(
    "LOUPE_STORAGE_URL",
    default="",
    schemes=("file", "s3"),
    shown="files in the state directory",
    help="Where photos are kept: `file:///path` or `s3://bucket/prefix?endpoint=https://…` "
    "(keys by the usual AWS variables; needs the extra `s3`).",
)


STORAGES = {
    "default": storage_settings(STORAGE_URL, STATE_DIR / "photos"),
    "staticfiles": {"BACKEND": "whitenoise.storage.CompressedManifestStaticFilesStorage"},
}
STATIC_URL = "/static/"
STATIC_ROOT = STATE_DIR / "static"
STATICFILES_DIRS = [BASE_DIR / "static"]
WHITENOISE_USE_FINDERS = True
WHITENOISE_AUTOREFRESH = DEBUG

MAX_FILE_BYTES = (
    env.integer(
        "LOUPE_MAX_FILE_MB",
        default=2048,
        minimum=1,
        help="Largest file that may be uploaded (an archive too), in megabytes.",
    )
    * 1_000_000
)
MAX_PHOTO_BYTES = (
    env.integer(
        "LOUPE_MAX_PHOTO_MB", default=100, minimum=1, help="Largest single photo, in megabytes."
    )
    * 1_000_000
)
MAX_PHOTO_PIXELS = (
    env.integer(
        "LOUPE_MAX_PHOTO_MEGAPIXELS",
        default=100,
        minimum=1,
        help="Most pixels of a photo, in millions; more is refused before it is decoded.",
    )
    * 1_000_000
)
UPLOAD_CHUNK_BYTES = 4_000_000
DATA_UPLOAD_MAX_MEMORY_SIZE = 6_000_000
FILE_UPLOAD_MAX_MEMORY_SIZE = 6_000_000

ENGINES = {
    "vlm": env.text("LOUPE_VLM", default="embedded:", help="Vision-language engine or cascade."),
    "sam": env.text("LOUPE_SAM", default="embedded:", help="Segmentation engine."),
    "slm": env.text("LOUPE_SLM", default="embedded:", help="Triage engine or cascade."),
    "mlm": env.text("LOUPE_MLM", default="embedded:", help="Sentence encoder."),
    "llm": env.text("LOUPE_LLM", default="template:", help="Report writer or cascade."),
    "lam": env.text("LOUPE_LAM", default="embedded:", help="Action planner."),
}
THREADS = env.integer(
    "LOUPE_THREADS",
    default=max(1, env.available_cores() // 2),
    minimum=1,
    maximum=256,
    shown="half of the cores",
    help="Threads of a model's arithmetic in one worker process. More than there are cores for all "
    "worker processes together makes each of them slower.",
)
BATCH = env.integer(
    "LOUPE_BATCH",
    default=4,
    minimum=1,
    maximum=64,
    help="Most units that wait for the same step by the same plan and are done in one pass. A GPU "
    "gains from 8 to 16; each unit of a pass waits for the others of it.",
)
BATCH_WAIT_MS = env.integer(
    "LOUPE_BATCH_WAIT_MS",
    default=0,
    minimum=0,
    maximum=60_000,
    help="How long a pass may wait for more units, in milliseconds. 0: it takes what is there.",
)
COST_PER_HOUR_USD = env.number(
    "LOUPE_COST_PER_HOUR",
    default=0.10,
    minimum=0,
    help="Price of an hour of this machine in US dollars, from which the cost of a step is made.",
)
REVIEW_LEASE_SECONDS = env.integer(
    "LOUPE_REVIEW_LEASE_SECONDS",
    default=300,
    minimum=30,
    help="How long a unit stays with a reviewer whose page is silent (closed, or without a "
    "connection) before somebody else may get it, in seconds.",
)
REVIEW_DUE_HOURS = env.number(
    "LOUPE_REVIEW_DUE_HOURS",
    default=24,
    minimum=0.1,
    help="After how many hours in the queue a review is overdue, where nothing else was set.",
)
SHOW_DEMO = demo_wanted()
PUBLIC_URL = (
    env.url(
        "LOUPE_PUBLIC_URL",
        default="",
        schemes=("http", "https"),
        shown="the address on this machine",
        help="Address under which others reach the application, e.g. `https://loupe.example.com`. "
        "Links in tickets start with it.",
    )
    or Address(BIND, PORT).url
).rstrip("/")
ALLOW_INSIDE_HOSTS = env.words(
    "LOUPE_ALLOW_INSIDE_HOSTS",
    help="Inside host names or addresses that connectors may call, e.g. `tickets.lan`. "
    "All other private addresses are refused.",
)

DISPUTE_LINK_DAYS = env.integer(
    "LOUPE_DISPUTE_LINK_DAYS",
    default=14,
    minimum=1,
    maximum=90,
    help="How long the inspected party may write by a dispute link, in days; each link may differ.",
)
DISPUTE_ANSWER_DAYS = env.integer(
    "LOUPE_DISPUTE_ANSWER_DAYS",
    default=5,
    minimum=1,
    maximum=90,
    help="Days within which a statement of the inspected party is promised an answer.",
)

EXPORT_DAYS = env.integer(
    "LOUPE_EXPORT_DAYS",
    default=7,
    minimum=1,
    maximum=365,
    help="How long the files of exports and of imported annotations are kept, in days.",
)

EMAIL_HOST = env.text(
    "LOUPE_EMAIL_HOST",
    default="",
    shown="none: nothing is sent by e-mail",
    help="Mail server by which reports are sent, e.g. `smtp.example.com`.",
)
EMAIL_SECURITY = env.choice(
    "LOUPE_EMAIL_SECURITY",
    default="starttls",
    choices=["starttls", "tls", "none"],
    help="How the connection to the mail server is encrypted.",
)
EMAIL_USE_TLS = EMAIL_SECURITY == "starttls"
EMAIL_USE_SSL = EMAIL_SECURITY == "tls"
EMAIL_PORT = env.integer(
    "LOUPE_EMAIL_PORT", default=587, minimum=1, maximum=65535, help="Port of the mail server."
)
EMAIL_HOST_USER = env.text(
    "LOUPE_EMAIL_USER", default="", help="User at the mail server; empty where it asks for none."
)
EMAIL_HOST_PASSWORD = env.text(
    "LOUPE_EMAIL_PASSWORD", default="", help="Password at the mail server."
)
DEFAULT_FROM_EMAIL = env.text(
    "LOUPE_EMAIL_FROM",
    default="Loupe <loupe@localhost>",
    help="Who reports come from, e.g. `Inspection <inspection@example.com>`.",
)
EMAIL_TIMEOUT = 30
EMAIL_MAX_BYTES = (
    env.integer(
        "LOUPE_EMAIL_MAX_MB",
        default=15,
        minimum=1,
        maximum=1000,
        help="Largest report that is sent by e-mail, in megabytes.",
    )
    * 1_000_000
)
REPORT_FONTS = env.words(
    "LOUPE_REPORT_FONTS",
    help="Further font files (TrueType or OpenType) for PDFs, for scripts that the shipped ones "
    "lack: those write Latin, Greek, Cyrillic, Arabic, Hebrew, Chinese, Japanese and Korean.",
)

SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = "Lax"
SESSION_COOKIE_SECURE = HTTPS
CSRF_COOKIE_SECURE = HTTPS
SECURE_HSTS_SECONDS = 31_536_000 if HTTPS else 0
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if HTTPS else None
SECURE_REFERRER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": [NONE],
        "script-src": [SELF],
        "style-src": [SELF],
        "img-src": [SELF, "data:", "blob:"],
        "connect-src": [SELF],
        "font-src": [SELF],
        "form-action": [SELF],
        "base-uri": [NONE],
        "frame-ancestors": [NONE],
        "manifest-src": [SELF],
    }
}

LANGUAGE_CODE = "en"
TIME_ZONE = env.text("LOUPE_TIME_ZONE", default="UTC", help="Time zone of the pages.")
USE_I18N = False
USE_TZ = True

LOG_LEVEL = env.choice(
    "LOUPE_LOG_LEVEL",
    default="INFO",
    choices=["DEBUG", "INFO", "WARNING", "ERROR"],
    help="Least severity that is logged.",
)
LOG_FORMAT = env.choice(
    "LOUPE_LOG_FORMAT", default="text", choices=["text", "json"], help="How log lines look."
)
LOGGING: dict[str, Any] = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {
        "structured": {
            "()": structlog.stdlib.ProcessorFormatter,
            "processor": (
                structlog.processors.JSONRenderer()
                if LOG_FORMAT == "json"
                else structlog.dev.ConsoleRenderer(colors=False)
            ),
            "foreign_pre_chain": [
                structlog.stdlib.add_log_level,
                structlog.processors.TimeStamper(fmt="iso"),
            ],
        }
    },
    "handlers": {"console": {"class": "logging.StreamHandler", "formatter": "structured"}},
    "root": {"handlers": ["console"], "level": LOG_LEVEL},
}
structlog.configure(
    processors=[
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.filter_by_level,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso"),
        structlog.processors.format_exc_info,
        structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
    ],
    logger_factory=structlog.stdlib.LoggerFactory(),
    cache_logger_on_first_use=True,
)
