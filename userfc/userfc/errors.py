"""The refusals of userfc, each with a stable code.

AppError
├── Invalid                 validation_failed
│   └── TokenWithoutId      validation_failed     a token that cannot be revoked by its id
├── Unauthenticated         unauthenticated
│   ├── BadCredentials      invalid_credentials   unknown user and wrong password alike
│   └── UnknownTokenUser    invalid_token         a valid token of a user who does not exist
├── NotFound                not_found
│   └── UserNotFound        not_found             (gRPC)
├── Conflict
│   └── EmailTaken          email_taken           compared without case
└── RateLimited             rate_limited
    ├── TooManyTries        rate_limited          (chassis) the window of an address or an account is used up
    └── PasswordsBusy       rate_limited          the queue in front of password hashing is full
"""

from chassis.errors import Conflict, Invalid, NotFound, RateLimited, Unauthenticated


class TokenWithoutId(Invalid):
    """The token has no usable `jti`, so that it cannot be revoked."""

    def __init__(self) -> None:
        super().__init__("This token has no id (jti) and can't be logged out; it ends by itself")


class BadCredentials(Unauthenticated):
    """The user is unknown or the password is wrong; the answer does not tell which."""

    code = "invalid_credentials"

    def __init__(self) -> None:
        super().__init__("invalid email or password")


class UnknownTokenUser(Unauthenticated):
    """The token is valid and its user does not exist."""

    code = "invalid_token"

    def __init__(self) -> None:
        super().__init__("The token's user does not exist")


class UserNotFound(NotFound):
    """No user has this id."""

    def __init__(self, user_id: int) -> None:
        super().__init__(f"user {user_id} not found")


class EmailTaken(Conflict):
    """Another account has this e-mail address, compared without case."""

    code = "email_taken"

    def __init__(self) -> None:
        super().__init__("email is already registered")


class PasswordsBusy(RateLimited):
    """The queue in front of password hashing is full."""

    def __init__(self) -> None:
        super().__init__("Too many sign-ins at once; try again in a moment", retry_after=1)
