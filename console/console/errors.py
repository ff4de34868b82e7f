"""The refusals of the console. Its pages answer them as pages, with the same status.

AppError
├── Unauthenticated   unauthenticated   no session, or one that has ended: the page leads to the log-in
└── Forbidden         forbidden         no administrator, or a form that is not of this console
"""

from chassis.errors import Forbidden


class NotThisForm(Forbidden):
    """The form was not made for this person in this browser, or was sent from another site."""

    def __init__(self) -> None:
        super().__init__("This form was not made for you in this browser; open the page again")
