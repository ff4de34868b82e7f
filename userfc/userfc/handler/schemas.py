"""The bodies of userfc's HTTP routes."""

from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BaseModel, Field, StringConstraints, model_validator
from pydantic.config import JsonDict

from chassis.ids import storable
from userfc.model import (
    MAX_EMAIL,
    MAX_NAME,
    MAX_PASSWORD,
    MIN_PASSWORD,
    NewUser,
    check_password,
    normal_email,
)

# The length stands before the validator, so that its refusal speaks of characters.
Name = Annotated[
    str, StringConstraints(strip_whitespace=True, min_length=1, max_length=MAX_NAME), AfterValidator(storable)
]
Email = Annotated[
    str,
    AfterValidator(normal_email),
    Field(examples=["alice@example.com"], json_schema_extra={"format": "email", "maxLength": MAX_EMAIL}),
]
# Only described here: what is refused, and in which words, is the model's.
_LENGTH: JsonDict = {"minLength": MIN_PASSWORD, "maxLength": MAX_PASSWORD}
Password = Annotated[
    str,
    AfterValidator(check_password),
    AfterValidator(storable),
    Field(description="Used as it is", examples=["correct horse"], json_schema_extra=_LENGTH),
]


class RegisterBody(BaseModel):
    """Who registers. Anything else in the body, such as a role, is ignored."""

    name: Name = Field(examples=["Alice"])
    email: Email
    password: Password
    confirm_password: str = Field(description="The password once more", examples=["correct horse"])

    @model_validator(mode="after")
    def _passwords_agree(self) -> Self:
        if self.password != self.confirm_password:
            raise ValueError("Password and ConfirmPassword do not match")
        return self

    def new_user(self) -> NewUser:
        """Give what the usecase takes."""
        return NewUser(self.name, self.email, self.password)


class LoginBody(BaseModel):
    """Who signs in. Nothing is refused here but what is no text: a bad address is simply nobody's."""

    email: Annotated[str, AfterValidator(storable)] = Field(examples=["alice@example.com"])
    password: Annotated[str, AfterValidator(storable)] = Field(examples=["correct horse"])


class RegisteredView(BaseModel):
    """The sentence after a registration."""

    message: Literal["User registered successfully"] = "User registered successfully"


class LoggedOutView(BaseModel):
    """The sentence after a log-out."""

    message: Literal["Logged out"] = "Logged out"


class TokenView(BaseModel):
    """The bearer token, valid for an hour."""

    token: str = Field(examples=["eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJ1c2VyX2lkIjo3fQ.c2lnbmF0dXJl"])


class UserView(BaseModel):
    """Who the caller is."""

    id: int = Field(examples=[7])
    name: str = Field(examples=["Alice"])
    email: str = Field(examples=["alice@example.com"])
    role: str = Field(examples=["user"])
