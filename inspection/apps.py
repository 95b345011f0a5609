"""Application configuration."""

from django.apps import AppConfig


class InspectionConfig(AppConfig):
    """Loupe's only app."""

    name = "inspection"
    default_auto_field = "django.db.models.BigAutoField"
