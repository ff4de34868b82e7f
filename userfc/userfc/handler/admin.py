"""The route of userfc for administrators: who is behind an id or an e-mail address."""

from typing import Annotated, Self

from fastapi import Query
from pydantic import BaseModel, Field, StringConstraints, model_validator

from chassis.auth.tokens import AdminUser
from chassis.http.app import errors
from chassis.http.dependencies import Db
from chassis.http.id_lists import id_list, ids_pattern
from chassis.http.routing import Router
from chassis.ids import TrimmedText
from chassis.times import UtcTime
from userfc.model import MAX_EMAIL
from userfc.repository import users

router = Router(prefix="/v1/admin", tags=["administration"])

MAX_IDS = 100


class UsersQuery(BaseModel):
    """The query of GET /v1/admin/users: ids, or an address."""

    ids: Annotated[str, Field(json_schema_extra={"pattern": ids_pattern(MAX_IDS)})] | None = Field(
        None, description="Up to 100 ids, separated by commas", examples=["7,8"]
    )
    email: Annotated[TrimmedText, StringConstraints(min_length=1, max_length=MAX_EMAIL)] | None = Field(
        None, description="An e-mail address, without case"
    )

    @model_validator(mode="after")
    def _exactly_one(self) -> Self:
        if (self.ids is None) == (self.email is None):
            raise ValueError("Give either ids or email")
        return self


class AdminUserView(BaseModel):
    """An account."""

    id: int = Field(examples=[7])
    name: str = Field(examples=["Alice"])
    email: str = Field(examples=["alice@example.com"])
    role: str = Field(examples=["user"])
    created_at: UtcTime = Field(examples=["2026-11-24T10:00:00Z"])


class UserList(BaseModel):
    """Accounts by id; unknown ones are left out."""

    items: list[AdminUserView]


@router.get("/users", responses=errors(403), summary="Read accounts")
async def read_users(_: AdminUser, db: Db, query: Annotated[UsersQuery, Query()]) -> UserList:
    """Read up to 100 accounts by id, or the one of an e-mail address."""
    if query.email is not None:
        rows = await users.of_email(db, query.email)
    else:
        rows = await users.by_ids(db, id_list(query.ids or "", what="users", most=MAX_IDS))
    return UserList(items=[AdminUserView.model_validate(dict(row)) for row in rows])
