"""The product's settings, with a cheap password hash: at 100 ms each, log-ins would hardly ever meet."""

from cmphone.settings import *  # noqa: F403

PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
