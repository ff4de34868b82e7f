"""What userfc refuses, each with a stable code.

AppError
├── Invalid                 validation_failed
├── Unauthenticated         unauthenticated
│   └── BadCredentials      invalid_credentials   unknown user and wrong password alike
├── NotFound                not_found             an unknown user id (gRPC)
├── Conflict
│   └── EmailTaken          email_taken           compared without case
└── RateLimited             rate_limited
    ├── TooManyTries        rate_limited          an address or an account has used up its window
    └── PasswordsBusy       rate_limited          more passwords wait to be hashed than can be soon
"""

from chassis.errors import Conflict, NotFound, RateLimited, Unauthenticated


class BadCredentials(Unauthenticated):
    """Unknown user or wrong password; nobody is told which."""

    code = "invalid_credentials"

    def __init__(self) -> None:
        super().__init__("invalid email or password")


class EmailTaken(Conflict):
    """Another account has this e-mail address, compared without case."""

    code = "email_taken"

    def __init__(self) -> None:
        super().__init__("email is already registered")


class TooManyTries(RateLimited):
    """A rate limit is used up; `reset_s` is the number of seconds until there is room again."""

    def __init__(self, *, limit: int, reset_s: int) -> None:
        headers = {"RateLimit-Limit": str(limit), "RateLimit-Remaining": "0", "RateLimit-Reset": str(reset_s)}
        super().__init__("Too many tries; wait a moment and try again", retry_after=reset_s, headers=headers)


class PasswordsBusy(RateLimited):
    """The queue in front of password hashing is full."""

    def __init__(self) -> None:
        super().__init__("Too many sign-ins at once; try again in a moment", retry_after=1)


def unknown_user(user_id: int) -> NotFound:
    """Make the refusal of an id that belongs to nobody."""
    return NotFound(f"user {user_id} not found")
