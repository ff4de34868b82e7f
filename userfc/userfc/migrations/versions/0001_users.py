"""The first tables: users, whose e-mail address is unique without case, and revoked tokens."""

from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

UP = (
    """
    CREATE TABLE users (
      id bigint GENERATED ALWAYS AS IDENTITY CONSTRAINT pk_users PRIMARY KEY,
      name text NOT NULL CONSTRAINT ck_users_name CHECK (length(name) BETWEEN 1 AND 255),
      email text NOT NULL,
      password_hash text NOT NULL,
      role text NOT NULL DEFAULT 'user' CONSTRAINT ck_users_role CHECK (role IN ('user', 'admin')),
      created_at timestamptz NOT NULL DEFAULT now(),
      updated_at timestamptz NOT NULL DEFAULT now())
    """,
    "CREATE UNIQUE INDEX uq_users_lower_email ON users (lower(email))",
    "CREATE INDEX ix_users_legacy_hash ON users (id) WHERE password_hash LIKE '$2%'",
    """
    CREATE TABLE revoked_tokens (
      jti text CONSTRAINT pk_revoked_tokens PRIMARY KEY,
      user_id bigint NOT NULL,
      expires_at timestamptz NOT NULL,
      revoked_at timestamptz NOT NULL DEFAULT now())
    """,
    "CREATE INDEX ix_revoked_tokens_expires_at ON revoked_tokens (expires_at)",
    "CREATE INDEX ix_revoked_tokens_revoked_at ON revoked_tokens (revoked_at)",
)
DOWN = ("DROP TABLE revoked_tokens", "DROP TABLE users")


def upgrade() -> None:
    for statement in UP:
        op.execute(statement)


def downgrade() -> None:
    for statement in DOWN:
        op.execute(statement)
