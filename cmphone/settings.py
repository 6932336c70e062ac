"""Settings of every process, from CMPHONE_* variables (docs/operations.md lists them).

Development needs none of them; production has no default for a secret.
"""

import os
from pathlib import Path
from urllib.parse import parse_qsl, unquote, urlsplit

from celery.schedules import crontab
from django.conf.locale import LANG_INFO
from django.utils.translation import gettext_lazy as _

from cmphone import embedded
from cmphone.environment import (
    SettingsError,
    read_choice,
    read_flag,
    read_folder,
    read_key,
    read_list,
    read_networks,
    read_number,
    read_text,
)

BASE_DIR = Path(__file__).resolve().parent.parent

ENVIRONMENT = read_choice("CMPHONE_ENVIRONMENT", "development", {"development", "production"})
PRODUCTION = ENVIRONMENT == "production"


def development_only(value: str) -> str | None:
    return None if PRODUCTION else value


SECRET_KEY = read_text(
    "CMPHONE_SECRET_KEY", development_only("for development only: not a secret, and refused in production")
)
DEBUG = read_flag("CMPHONE_DEBUG", default=False)
ALLOWED_HOSTS = read_list("CMPHONE_ALLOWED_HOSTS", development_only("*"))
# The address people reach this site by, as links in answers begin.  Empty: the address the request came to.
PUBLIC_URL = read_text("CMPHONE_PUBLIC_URL", development_only("")).rstrip("/")

# Where events are told, if not at the address that the web server is reached by: behind a proxy they are.
EVENTS_URL = read_text("CMPHONE_EVENTS_URL", "")


def read_ports(text: str) -> tuple[int, int] | None:
    """Return two ports as in 8000,8001; empty: None.  Raises SettingsError."""
    if not text:
        return None
    web, _, events = text.partition(",")
    if not (web.isascii() and web.isdigit() and events.isascii() and events.isdigit()):
        raise SettingsError(f"CMPHONE_PORTS must read as 8000,8001, not {text!r}.")
    return int(web), int(events)


# Of the web server and of the process that tells events, where no proxy makes one address of both: `make run`.
PORTS = read_ports(read_text("CMPHONE_PORTS", ""))

# Who signs licences: the base64 of an Ed25519 public key.
DEMO_LICENSE_PUBLIC_KEY = "gwZ0YoFneFdXkQtDztbQ43NdWnR9hckQNlRKLvB2Pyo="
LICENSE_PUBLIC_KEY = read_text("CMPHONE_LICENSE_PUBLIC_KEY", development_only(DEMO_LICENSE_PUBLIC_KEY))

INSTALLED_APPS = [
    # Before the administration, whose frame of every page it adds to.
    "cmphone",
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.postgres",
    "django.contrib.staticfiles",
    "rest_framework",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "cmphone.properties",
    "cmphone.access",
    "cmphone.webhooks",
    "cmphone.releases",
    "cmphone.contacts",
    "cmphone.calls",
    "cmphone.monitoring",
    "cmphone.api",
    "cmphone.web",
    "numbering",
    "templates_store",
    "license",
]

MIDDLEWARE = [
    # First: pages that others shape have a policy, too.
    "cmphone.content_policy.ContentPolicyMiddleware",
    "cmphone.problems.RequestIdMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.locale.LocaleMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]

ROOT_URLCONF = "cmphone.urls"
WSGI_APPLICATION = "cmphone.wsgi.application"
ASGI_APPLICATION = "cmphone.asgi.application"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
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


def database_from_url(url: str) -> dict[str, object]:
    """Return Django's form of a libpq URL: `postgresql://user:password@host:port/name?option=value`.

    Raises SettingsError when it is not one.
    """
    parts = urlsplit(url)
    if parts.scheme not in {"postgresql", "postgres"} or not parts.path.strip("/"):
        raise SettingsError(
            "CMPHONE_DATABASE_URL must read postgresql://user:password@host:5432/name "
            "(for a Unix socket: postgresql://user@/name?host=/folder)."
        )
    options = dict(parse_qsl(parts.query))
    return {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": unquote(parts.path.strip("/")),
        "USER": unquote(parts.username or ""),
        "PASSWORD": unquote(parts.password or ""),
        "HOST": options.pop("host", parts.hostname or ""),
        "PORT": str(parts.port or ""),
        # A connection costs more than a look-up: it is kept as long as its process.
        "CONN_MAX_AGE": None,
        "OPTIONS": {
            # The look-up is prepared; statements of the ORM never are.
            "prepare_threshold": 5,
            "connect_timeout": 5,
            # A host that is gone without a goodbye is noticed in seconds, not after the quarter of an hour of TCP.
            "tcp_user_timeout": 5000,
            "keepalives_idle": 10,
            "keepalives_interval": 5,
            "keepalives_count": 3,
            "application_name": "cmphone",
            # Its plan is made once, whatever the numbers are, and compiling one costs more than it could ever save.
            "options": "-c plan_cache_mode=force_generic_plan -c jit=off",
            **options,
        },
    }


DATABASES = {"default": database_from_url(embedded.database_url())}
REDIS_URL = embedded.redis_url()

AUTH_USER_MODEL = "contacts.User"
AUTHENTICATION_BACKENDS = ["cmphone.access.backends.PasswordBackend"]
PASSWORD_HASHERS = ["django.contrib.auth.hashers.Argon2PasswordHasher"]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator"},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
]
LOGIN_URL = LOGOUT_REDIRECT_URL = "login"
LOGIN_REDIRECT_URL = "home"


def name_languages(codes: list[str]) -> list[tuple[str, str]]:
    """Return languages beside German and English, each with its name for itself.  Raises SettingsError."""
    if unknown := [code for code in codes if code in {"de", "en"} or "name_local" not in LANG_INFO.get(code, {})]:
        raise SettingsError(f"CMPHONE_MORE_LANGUAGES names languages as in fr,nl, and not {unknown[0]!r}.")
    return [(code, LANG_INFO[code]["name_local"]) for code in codes]


LANGUAGE_CODE = "en"
LANGUAGES = [("de", _("German")), ("en", _("English")), *name_languages(read_list("CMPHONE_MORE_LANGUAGES", ""))]
LOCALE_DIR = read_folder("CMPHONE_LOCALE_DIR")
LOCALE_PATHS = [*([LOCALE_DIR] if LOCALE_DIR else []), BASE_DIR / "cmphone" / "locale"]
FORMAT_MODULE_PATH = ["cmphone.formats"]
USE_I18N = True
USE_TZ = True
# The days of a licence begin and end in this zone.
TIME_ZONE = read_text("CMPHONE_TIME_ZONE", "Europe/Berlin")

STATIC_URL = "static/"
# Straight out of the packages: there is no step to forget after an update.
WHITENOISE_USE_FINDERS = True

SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = PRODUCTION
CSRF_FAILURE_VIEW = "cmphone.problems.answer_csrf_failure"
SESSION_COOKIE_HTTPONLY = True
SECURE_SSL_REDIRECT = PRODUCTION and read_flag("CMPHONE_HTTPS_REDIRECT", default=True)
SECURE_REDIRECT_EXEMPT = [r"^health/", r"^metrics$"]
SECURE_HSTS_SECONDS = 31_536_000 if PRODUCTION else 0
SECURE_HSTS_INCLUDE_SUBDOMAINS = SECURE_HSTS_PRELOAD = PRODUCTION
# Only behind a proxy that sets the header itself; else a client could claim to come by HTTPS.
BEHIND_PROXY = read_flag("CMPHONE_BEHIND_PROXY", default=False)
if BEHIND_PROXY:
    SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")

# A body is at most this long, in bytes; a longer one is refused with 413 before it is read.
DATA_UPLOAD_MAX_MEMORY_SIZE = 2_621_440

REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": [
        "cmphone.api.authentication.SessionTokenAuthentication",
        "cmphone.api.authentication.ApiKeyAuthentication",
    ],
    "DEFAULT_PERMISSION_CLASSES": [
        "rest_framework.permissions.IsAuthenticated",
        "cmphone.api.authentication.KeyHasScope",
    ],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_PARSER_CLASSES": ["cmphone.api.parsing.NestedJSONParser"],
    "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
    "EXCEPTION_HANDLER": "cmphone.problems.answer_exception",
    "UNAUTHENTICATED_USER": None,
}

SPECTACULAR_SETTINGS = {
    "TITLE": "cmphone",
    "DESCRIPTION": "Who is calling: contacts by telephone number, for CM/Phone clients and integrators.",
    "VERSION": "1",
    "SERVE_PERMISSIONS": ["rest_framework.permissions.AllowAny"],
    "SERVE_AUTHENTICATION": [],
    "SERVE_INCLUDE_SCHEMA": False,
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
    "COMPONENT_SPLIT_REQUEST": True,
    "ENUM_NAME_OVERRIDES": {
        "CallDirection": ["incoming", "outgoing"],
        "ContactKind": ["person", "company"],
        "HealthStatus": ["SUCCESS", "WARNING", "ERROR"],
        "NumberKind": ["public", "internal", "service", "withheld", "unreadable"],
    },
    "POSTPROCESSING_HOOKS": [
        "drf_spectacular.hooks.postprocess_schema_enums",
        "cmphone.api.documentation.add_events",
        "cmphone.api.documentation.add_problems",
    ],
}

CELERY_BROKER_URL = embedded.celery_url(REDIS_URL)
CELERY_TASK_IGNORE_RESULT = True
# A publisher does not wait for a broker that is away: what it would have hastened, the clock does a little later.
CELERY_TASK_PUBLISH_RETRY = False
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_TASK_ACKS_LATE = True
CELERY_TIMEZONE = "UTC"
CELERY_BEAT_SCHEDULE = {
    "end timed-out sessions": {"task": "license.tasks.end_timed_out_sessions", "schedule": 60.0},
    "record the use of seats": {"task": "license.tasks.record_use", "schedule": 60.0},
    "remove archived sessions": {"task": "license.tasks.remove_archived_sessions", "schedule": 3600.0},
    "forget failed log-ins": {"task": "cmphone.access.tasks.remove_forgotten_failures", "schedule": 3600.0},
    "remove old log-ins": {"task": "cmphone.access.tasks.remove_old_log_ins", "schedule": 86_400.0},
    "log the warnings of the licence": {"task": "license.tasks.log_warnings", "schedule": 3600.0},
    "show that jobs run": {
        "task": "cmphone.monitoring.tasks.write_worker_sign",
        "schedule": 15.0,
        # One that waited for so long proves nothing about the clock any more.
        "options": {"expires": 60},
    },
    "publish changed popup files": {
        "task": "templates_store.tasks.publish_changed_popups",
        "schedule": 15.0,
        # Those that waited for a worker would only look again at what the first of them saw.
        "options": {"expires": 15},
    },
    "remove old versions of popups": {"task": "templates_store.tasks.remove_old_popups", "schedule": 3600.0},
    "move values of renamed fields and delete those of removed ones": {
        "task": "cmphone.contacts.tasks.finish_field_changes",
        "schedule": 15.0,
        # Those that waited for a worker would only find that the first of them is at it.
        "options": {"expires": 15},
    },
    "import contacts": {
        "task": "cmphone.contacts.tasks.work_off_imports",
        "schedule": 15.0,
        # Those that waited for a worker would only find that the first of them is at it.
        "options": {"expires": 15},
    },
    "send deliveries to webhooks": {
        "task": "cmphone.webhooks.tasks.send_deliveries",
        "schedule": 15.0,
        # Those that waited for a worker would only look for what the first of them has taken.
        "options": {"expires": 15},
    },
    "remove old deliveries": {"task": "cmphone.webhooks.tasks.remove_old_deliveries", "schedule": 3600.0},
    "remove old imports": {"task": "cmphone.contacts.tasks.remove_old_imports", "schedule": 3600.0},
    "rebuild what a changed setting affects": {
        "task": "cmphone.contacts.tasks.rebuild_stale_customer_groups",
        "schedule": 15.0,
    },
    # At night, in UTC.
    "erase what is kept no longer": {
        "task": "cmphone.calls.tasks.apply_retention",
        "schedule": crontab(hour=1, minute=30),
    },
    "end calls whose end nobody reported": {
        "task": "cmphone.calls.tasks.close_overdue_calls",
        "schedule": 15.0,
        # Those that waited for a worker would only look again at what the first of them saw.
        "options": {"expires": 15},
    },
    "remove old calls": {"task": "cmphone.calls.tasks.remove_old_calls", "schedule": 3600.0},
    "pull directories": {
        "task": "cmphone.contacts.tasks.pull_due_directories",
        "schedule": 60.0,
        "options": {"expires": 60},
    },
}

# Of a file with contacts that somebody imports in the administration, in millions of bytes.
IMPORT_MAX_MB = read_number("CMPHONE_IMPORT_MAX_MB", 200, least=1, most=10_000)
# The same of the client's installer.
RELEASE_MAX_MB = read_number("CMPHONE_RELEASE_MAX_MB", 200, least=1, most=2_000)
# Of a form with either, in bytes.
UPLOAD_MAX_SIZE = (max(IMPORT_MAX_MB, RELEASE_MAX_MB) + 1) * 1_000_000

# What Prometheus and other monitoring show to read the health report and the metrics.  Empty: there is no such key,
# and the metrics are open.
MONITORING_KEY = read_key("CMPHONE_MONITORING_KEY", shortest=20)
# Where every web process counts in a file of its own; whoever is asked adds them up.
METRICS_DIR = Path(read_text("CMPHONE_METRICS_DIR", "") or embedded.var_folder() / "metrics").resolve()
# The library asks for it when it is imported, and never again.
os.environ["PROMETHEUS_MULTIPROC_DIR"] = str(METRICS_DIR)

# A folder with popup files, for those who deploy by file.  Empty: there is none.
POPUP_DIR = read_folder("CMPHONE_POPUP_DIR")

# Internal networks in which webhooks may be, such as 10.1.0.0/16: without, events go to the internet only.
WEBHOOK_ALLOWED_NETWORKS = read_networks("CMPHONE_WEBHOOK_ALLOWED_NETWORKS")

# Telephone numbers are personal data: no line of a log holds one.
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"line": {"format": "%(asctime)s %(levelname)s %(name)s %(message)s"}},
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "line"}},
    "root": {"handlers": ["stderr"], "level": read_text("CMPHONE_LOG_LEVEL", "WARNING")},
}
