"""The answer to a search, for its route and for the shortcut past it."""

from collections.abc import Mapping
from urllib.parse import parse_qsl, urlencode

import orjson
from pydantic import ValidationError

from chassis.http.shortcuts import Answer
from productfc.handler.schemas import SearchQuery, view
from productfc.repository.search import Searches

PATH = "/v1/products/search"


async def answer(searches: Searches, query: SearchQuery, parameters: Mapping[str, str]) -> bytes:
    """Return the JSON of a page. `parameters` are those of the request, in its order. Raises Unavailable."""
    page, total = await searches(query.search())
    pages = -(-total // query.page_size)
    next_page = {**parameters, "page": str(query.page + 1)}
    return orjson.dumps(
        {
            "products": [view(product) for product in page],
            "page": query.page,
            "pageSize": query.page_size,
            "totalCount": total,
            "totalPages": pages,
            "nextPageUrl": f"{PATH}?{urlencode(next_page)}" if query.page < pages else "",
        }
    )


def shortcut(searches: Searches) -> Answer:
    """Answer a valid query. The route names what is wrong with any other."""

    async def answer_valid(_parameter: str, query: bytes) -> bytes | None:
        # As Starlette reads it.
        pairs = parse_qsl(query.decode("latin-1"), keep_blank_values=True)
        parameters = dict(pairs)
        if len(parameters) < len(pairs) or not all(parameters.values()):
            return None
        try:
            asked = SearchQuery.model_validate(parameters)
        except ValidationError:
            return None
        return await answer(searches, asked, parameters)

    return answer_valid
