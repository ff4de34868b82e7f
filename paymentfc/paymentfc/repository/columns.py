"""Columns that many tables of the payment database have."""

from sqlalchemy import BigInteger, Column, DateTime, Identity, func


def id_() -> "Column[int]":
    return Column("id", BigInteger, Identity(always=True), primary_key=True)


def now(name: str) -> Column[object]:
    return Column(name, DateTime(timezone=True), nullable=False, server_default=func.now())


def time(name: str) -> Column[object]:
    return Column(name, DateTime(timezone=True))
