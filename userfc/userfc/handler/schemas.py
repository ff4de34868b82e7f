"""The bodies and answers of the HTTP routes."""

from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BaseModel, Field, model_validator
from pydantic.config import JsonDict

from chassis.ids import Name, storable
from userfc.model import (
    MAX_EMAIL,
    MAX_PASSWORD,
    MIN_PASSWORD,
    NewUser,
    check_password,
    normal_email,
)

Email = Annotated[
    str,
    AfterValidator(normal_email),
    Field(examples=["alice@example.com"], json_schema_extra={"format": "email", "maxLength": MAX_EMAIL}),
]
# For the OpenAPI document only: the model checks the password, with sentences of its own.
_LENGTH: JsonDict = {"minLength": MIN_PASSWORD, "maxLength": MAX_PASSWORD}
Password = Annotated[
    str,
    AfterValidator(check_password),
    AfterValidator(storable),
    Field(description="Used unchanged", examples=["correct horse"], json_schema_extra=_LENGTH),
]


class RegisterBody(BaseModel):
    """A registration. Other fields of the body, such as a role, are ignored."""

    name: Name = Field(examples=["Alice"])
    email: Email
    password: Password
    confirm_password: str = Field(description="The same password again", examples=["correct horse"])

    @model_validator(mode="after")
    def _passwords_agree(self) -> Self:
        if self.password != self.confirm_password:
            raise ValueError("Password and ConfirmPassword do not match")
        return self

    def new_user(self) -> NewUser:
        return NewUser(self.name, self.email, self.password)


class LoginBody(BaseModel):
    """A sign-in. Only a value that is not text is refused here: a malformed address belongs to no account."""

    email: Annotated[str, AfterValidator(storable)] = Field(examples=["alice@example.com"])
    password: Annotated[str, AfterValidator(storable)] = Field(examples=["correct horse"])


class RegisteredView(BaseModel):
    """The answer to a registration."""

    message: Literal["User registered successfully"] = "User registered successfully"


class LoggedOutView(BaseModel):
    """The answer to a log-out."""

    message: Literal["Logged out"] = "Logged out"


class TokenView(BaseModel):
    """The bearer token, valid for an hour."""

    token: str = Field(examples=["eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJ1c2VyX2lkIjo3fQ.c2lnbmF0dXJl"])


class UserView(BaseModel):
    """The caller."""

    id: int = Field(examples=[7])
    name: str = Field(examples=["Alice"])
    email: str = Field(examples=["alice@example.com"])
    role: str = Field(examples=["user"])
