"""HTTP → use case: signing in, operators, service tokens."""

from datetime import datetime
from typing import Annotated, Literal

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, ConfigDict, Field, SecretStr, StringConstraints
from servicekit.auth import Role, issue_token
from servicekit.errors import Forbidden

from accounts.context import Admin, Ctx, Viewer
from accounts.http import problems
from accounts.operators import usecases
from accounts.operators.domain import OPERATOR, Email, Name, Operator, Password, ServiceToken

router = APIRouter(prefix="/v1", tags=["operators"])
HumanRole = Literal[Role.VIEWER, Role.OPERATOR, Role.ADMIN]


class _Form(BaseModel):
    model_config = ConfigDict(extra="forbid")


class SignIn(_Form):
    """E-mail address and password."""

    email: Annotated[str, StringConstraints(strip_whitespace=True, to_lower=True, min_length=1, max_length=320)]
    password: Annotated[SecretStr, Field(max_length=1_024)]


class NewOperator(_Form):
    """A person who may sign in."""

    email: Email
    name: Name = ""
    role: HumanRole
    password: Password


class OperatorPatch(_Form):
    """What is left out stays."""

    name: Name | None = None
    role: HumanRole | None = None
    active: bool | None = None
    password: Password | None = None


class PasswordChange(_Form):
    """One's own password."""

    current_password: Annotated[SecretStr, Field(max_length=1_024)]
    new_password: Password


class NewToken(_Form):
    """A token for a program."""

    name: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200)]
    role: Role = Role.SERVICE
    expires_in_days: float = Field(default=90, gt=0, description="Days; the longest is a setting")


class OperatorView(BaseModel):
    """An operator."""

    id: str
    email: str
    name: str
    role: Role
    active: bool
    created_at: datetime


class SessionToken(BaseModel):
    """A bearer token."""

    access_token: str
    token_type: Literal["bearer"] = "bearer"  # noqa: S105  # OAuth's word
    expires_in: int = Field(description="Seconds")
    operator: OperatorView


class Me(BaseModel):
    """Who is asking."""

    subject: str
    role: Role
    operator: OperatorView | None = Field(default=None, description="None for tokens not given to a person here")


class TokenView(BaseModel):
    """A service token, without the token."""

    id: str
    name: str
    role: Role
    created_at: datetime
    created_by: str
    expires_at: datetime
    revoked_at: datetime | None


class GivenToken(TokenView):
    """A new service token: shown this once."""

    token: str


@router.post("/sessions", tags=["sign-in"], status_code=201, summary="Sign in", responses=problems(429))
async def sign_in(ctx: Ctx, form: SignIn, request: Request, response: Response) -> SessionToken:
    """Return an access token. It ends by itself; here also as soon as the operator is switched off."""
    client = request.client.host if request.client else ""
    token, operator = await usecases.sign_in(ctx.operators, ctx.settings, form.email, form.password, client)
    response.headers["Cache-Control"] = "no-store"
    return SessionToken(access_token=token, expires_in=ctx.settings.jwt_lifetime_seconds, operator=_view(operator))


@router.get("/me", summary="Who am I", responses=problems())
async def me(who: Viewer, ctx: Ctx) -> Me:
    """Return the bearer of the token."""
    operator = await ctx.operators.get(who.subject) if who.subject.startswith(OPERATOR) else None
    return Me(subject=who.subject, role=who.role, operator=_view(operator) if operator else None)


@router.post("/me/password", summary="Change one's own password", responses=problems(404))
async def change_password(who: Viewer, ctx: Ctx, form: PasswordChange, response: Response) -> SessionToken:
    """Change it and return a new token: all earlier ones end here at once, elsewhere by their expiry."""
    if not who.subject.startswith(OPERATOR):
        raise Forbidden("This token was not given to an operator.")
    operator = await usecases.change_password(ctx.operators, who.subject, form.current_password, form.new_password)
    await usecases.until_good(operator)
    response.headers["Cache-Control"] = "no-store"
    token = issue_token(ctx.settings, operator.id, operator.role)
    return SessionToken(access_token=token, expires_in=ctx.settings.jwt_lifetime_seconds, operator=_view(operator))


@router.get("/operators", summary="List operators", responses=problems())
async def operators(_: Admin, ctx: Ctx) -> list[OperatorView]:
    """Return every operator."""
    return [_view(operator) for operator in await ctx.operators.all()]


@router.post("/operators", status_code=201, summary="Add an operator", responses=problems(409))
async def add_operator(_: Admin, ctx: Ctx, form: NewOperator) -> OperatorView:
    """Create an operator."""
    return _view(await usecases.add_operator(ctx.operators, form.email, form.name, form.role, form.password))


@router.patch("/operators/{operator_id}", summary="Edit an operator", responses=problems(404, 409))
async def edit_operator(_: Admin, ctx: Ctx, operator_id: str, form: OperatorPatch) -> OperatorView:
    """Change name, role, active or password; a new password and switching off end the operator's tokens."""
    changes = {name: value for name in form.model_fields_set if (value := getattr(form, name)) is not None}
    return _view(await usecases.edit_operator(ctx.operators, operator_id, changes))


@router.delete("/operators/{operator_id}", status_code=204, summary="Delete an operator", responses=problems(404, 409))
async def delete_operator(_: Admin, ctx: Ctx, operator_id: str) -> None:
    """Delete an operator; the last active administrator stays."""
    await usecases.remove_operator(ctx.operators, operator_id)


@router.get("/tokens", tags=["tokens"], summary="List service tokens", responses=problems())
async def tokens(_: Admin, ctx: Ctx) -> list[TokenView]:
    """Return every service token given, the revoked and expired ones included."""
    return [TokenView(**token.model_dump()) for token in await ctx.operators.tokens()]


@router.post("/tokens", tags=["tokens"], status_code=201, summary="Give a service token", responses=problems())
async def give_token(who: Admin, ctx: Ctx, form: NewToken, response: Response) -> GivenToken:
    """Return a token for a program; it is shown this once. Prefer a short life: other services honour only that."""
    days = form.expires_in_days
    text, token = await usecases.give_token(
        ctx.operators, ctx.settings, name=form.name, role=form.role, days=days, by=who.subject
    )
    response.headers["Cache-Control"] = "no-store"
    return _given(text, token)


@router.delete("/tokens/{token_id}", tags=["tokens"], status_code=204, summary="Revoke", responses=problems(404))
async def revoke_token(_: Admin, ctx: Ctx, token_id: str) -> None:
    """Revoke a service token: refused here at once, by other services only when it expires."""
    await usecases.revoke_token(ctx.operators, token_id)


def _view(operator: Operator) -> OperatorView:
    return OperatorView(**operator.model_dump(exclude={"password_hash", "tokens_since"}))


def _given(text: str, token: ServiceToken) -> GivenToken:
    return GivenToken(**token.model_dump(), token=text)
