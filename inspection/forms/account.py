"""Forms for members and tokens."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib.auth.password_validation import validate_password
from django.contrib.auth.validators import UnicodeUsernameValidator

from inspection.models.choices import Role


class MemberForm(forms.Form):
    username = forms.CharField(
        label="User name", max_length=150, validators=[UnicodeUsernameValidator()]
    )
    password = forms.CharField(
        label="First password",
        widget=forms.PasswordInput(attrs={"autocomplete": "new-password"}),
        help_text="At least 8 characters. Tell it to them in person.",
    )
    role = forms.ChoiceField(choices=Role.choices)

    def clean_password(self) -> Any:
        password = self.cleaned_data["password"]
        validate_password(password)
        return password


class RoleForm(forms.Form):
    role = forms.ChoiceField(choices=Role.choices)


class TokenForm(forms.Form):
    name = forms.CharField(
        label="What is it for?",
        max_length=100,
        widget=forms.TextInput(attrs={"placeholder": "Line 3 camera", "autocomplete": "off"}),
    )
