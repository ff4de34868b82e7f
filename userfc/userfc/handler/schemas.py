"""The bodies of userfc's HTTP routes."""

from typing import Annotated, Self

from pydantic import AfterValidator, BaseModel, Field, StringConstraints, model_validator

from chassis.ids import storable
from userfc.model import MAX_NAME, NewUser, check_password, normal_email

# The length stands before the validator, so that its refusal speaks of characters.
Name = Annotated[
    str, StringConstraints(strip_whitespace=True, min_length=1, max_length=MAX_NAME), AfterValidator(storable)
]
Email = Annotated[str, AfterValidator(normal_email), Field(examples=["alice@example.com"])]
Password = Annotated[
    str, AfterValidator(check_password), AfterValidator(storable), Field(description="8 to 128 characters, used as is")
]


class RegisterBody(BaseModel):
    """Who registers. Anything else in the body, such as a role, is ignored."""

    name: Name
    email: Email
    password: Password
    confirm_password: str

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

    email: Annotated[str, AfterValidator(storable)]
    password: Annotated[str, AfterValidator(storable)]


class MessageView(BaseModel):
    """A sentence."""

    message: str


class TokenView(BaseModel):
    """The bearer token, valid for an hour."""

    token: str


class UserView(BaseModel):
    """Who the caller is."""

    id: int
    name: str
    email: str
    role: str
