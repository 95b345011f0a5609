"""Forms for members and tokens."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib.auth.forms import PasswordChangeForm
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


class OwnPasswordForm(PasswordChangeForm):
    """Django's own, in plain words: its help is a list, which a paragraph can't hold."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["old_password"].label = "Password until now"
        self.fields["new_password1"].help_text = "At least 8 characters, and no common password."
        self.fields["new_password2"].label = "New password again"
        self.fields["new_password2"].help_text = ""


class RoleForm(forms.Form):
    role = forms.ChoiceField(choices=Role.choices)


class TokenForm(forms.Form):
    name = forms.CharField(
        label="What is it for?",
        max_length=100,
        widget=forms.TextInput(attrs={"placeholder": "Line 3 camera", "autocomplete": "off"}),
    )
