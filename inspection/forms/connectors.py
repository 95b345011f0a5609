"""Forms of the connector pages."""

from __future__ import annotations

from django import forms
from django.core.validators import RegexValidator

KEY = RegexValidator(
    r"^[a-z0-9][a-z0-9_-]{0,63}\Z",
    "Use small letters, digits, - and _, beginning with a letter or digit.",
)


class ConnectorForm(forms.Form):
    """What can be changed later too."""

    name = forms.CharField(max_length=100, help_text="What people call it, e.g. Ticket desk.")
    # Not a URLField: Django's refuses inside names such as http://tickets:8080.
    url = forms.CharField(
        max_length=500,
        label="Address",
        help_text="Events are sent there as POST requests. https:// wherever possible.",
        widget=forms.TextInput(
            attrs={
                "inputmode": "url",
                "autocomplete": "off",
                "placeholder": "https://tickets.example.com/hooks/loupe",
            }
        ),
    )
    allow_inside = forms.BooleanField(
        required=False,
        label="May be inside this network",
        help_text="Only for a host that LOUPE_ALLOW_INSIDE_HOSTS names on this machine.",
    )


class NewConnectorForm(ConnectorForm):
    """A new connector also gets its key, which stays."""

    key = forms.CharField(
        max_length=64,
        validators=[KEY],
        help_text="Plans name it in their playbook. It can't be changed later.",
        widget=forms.TextInput(attrs={"autocomplete": "off", "placeholder": "ticket-desk"}),
    )
    field_order = ["name", "key", "url", "allow_inside"]
