"""A plain Django site around pinax-referrals: Django's default middleware and database sessions, nothing switched off.

Served as ``pinax_site:application``. Run as a program it makes the tables and so many links, and prints their codes.
It is run by the environment that ``rivals.py`` makes, which knows nothing of the product.
"""

import os
import sys

import django
from django.conf import settings

settings.configure(
    SECRET_KEY="bench",
    ALLOWED_HOSTS=["127.0.0.1"],
    USE_TZ=True,
    ROOT_URLCONF="pinax_site",
    SITE_ID=1,
    DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
    INSTALLED_APPS=[
        "django.contrib.auth",
        "django.contrib.contenttypes",
        "django.contrib.sessions",
        "django.contrib.sites",
        "django.contrib.messages",
        "pinax.referrals",
    ],
    MIDDLEWARE=[
        "django.middleware.security.SecurityMiddleware",
        "django.contrib.sessions.middleware.SessionMiddleware",
        "django.middleware.common.CommonMiddleware",
        "django.middleware.csrf.CsrfViewMiddleware",
        "django.contrib.auth.middleware.AuthenticationMiddleware",
        "django.contrib.messages.middleware.MessageMiddleware",
        "django.middleware.clickjacking.XFrameOptionsMiddleware",
        "pinax.referrals.middleware.SessionJumpingMiddleware",
    ],
    DATABASES={
        "default": {
            "ENGINE": "django.db.backends.postgresql",
            "HOST": os.environ["BENCH_PINAX_HOST"],
            "USER": os.environ["BENCH_PINAX_USER"],
            "NAME": os.environ["BENCH_PINAX_DATABASE"],
            "CONN_MAX_AGE": None,  # connections are kept, as the product keeps its own
        }
    },
)
django.setup()

from django.core.wsgi import get_wsgi_application  # noqa: E402
from django.urls import include, path  # noqa: E402

urlpatterns = [path("r/", include("pinax.referrals.urls", namespace="pinax_referrals"))]
application = get_wsgi_application()


def fill(links: int) -> None:
    """Make the tables, and users with a link each; print the codes."""
    from django.contrib.auth.models import User
    from django.core.management import call_command
    from pinax.referrals.models import Referral

    call_command("migrate", verbosity=0)
    users = User.objects.bulk_create(User(username=f"sharer-{number}") for number in range(links))
    made = [Referral(user=user, code=f"c{user.pk:07d}", redirect_to="/products/x", label="") for user in users]
    Referral.objects.bulk_create(made)
    print("\n".join(referral.code for referral in made))


if __name__ == "__main__":
    fill(int(sys.argv[1]))
