"""The OpenAPI description, made from the models of requests and answers."""

from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from reex_jax.service.schemas import (
    Done,
    PictureOptions,
    Problem,
    SearchRequest,
    SearchResponse,
    StateResponse,
)
from reex_jax.settings.service import Service

_MODELS: tuple[type[BaseModel], ...] = (
    SearchRequest, SearchResponse, StateResponse, Done, Problem,
)  # fmt: skip
_PLACE = "#/components/schemas/{model}"


def document(settings: Service) -> dict[str, Any]:
    """The description of a service with these settings."""
    modes: Any = [(model, "validation") for model in _MODELS]
    _, schemas = models_json_schema(modes, ref_template=_PLACE)
    limits = settings.limits
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "ReEx search",
            "version": "1",
            "description": "Search that adapts to its queries. A full queue answers 503 with "
            "Retry-After; send the request again then.",
        },
        "paths": _paths(f"at most {limits.upload_mb:g} MB and {limits.pixels:,} pixels"),
        "components": {
            "schemas": schemas["$defs"],
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
        "security": [{}, {"token": []}],
    }


def _paths(upload: str) -> dict[str, Any]:
    picture = {"image/*": {"schema": {"type": "string", "format": "binary"}}}
    search = _answers("SearchResponse", 400, 408, 413, 422, 503)
    position = _parameter("position", "path", {"type": "integer", "minimum": 0}, True)
    most = _parameter("most", "query", {"type": "integer", "default": 200}, False)
    return {
        "/v1/search": {
            "post": {
                "summary": "Search by text",
                "requestBody": _body({"application/json": {"schema": _of("SearchRequest")}}),
                "responses": search,
            }
        },
        "/v1/search/image": {
            "post": {
                "summary": f"Search by the bytes of a picture file, {upload}",
                "parameters": _query(PictureOptions),
                "requestBody": _body(picture),
                "responses": search,
            }
        },
        "/v1/index": {"get": _get("What is searched, and what a request may choose")},
        "/v1/items/{position}/thumbnail": {
            "get": _get("A small picture of an item", [position], 404)
        },
        "/v1/state": {
            "get": {"summary": "What was learned", "responses": _answers("StateResponse")}
        },
        "/v1/state/history": {"get": _get("What happened to what was learned", [most], 422)},
        "/v1/state/reset": {"post": _order("Forget what was learned: the source model again")},
        "/v1/state/save": {"post": _order("Write what was learned to the disk now")},
        "/health": {"get": _get("Whether the process lives")},
        "/ready": {"get": _get("Whether searches are answered", (), 503)},
        "/metrics": {"get": _get("Numbers for Prometheus")},
    }


def _get(summary: str, parameters: Any = (), *statuses: int) -> dict[str, Any]:
    responses = {"200": {"description": "found"}, **_problems(*statuses)}
    return {"summary": summary, "parameters": list(parameters), "responses": responses}


def _order(summary: str) -> dict[str, Any]:
    return {"summary": summary, "responses": _answers("Done", 409, 503)}


def _answers(model: str, *statuses: int) -> dict[str, Any]:
    good = {"description": "done", "content": {"application/json": {"schema": _of(model)}}}
    return {"200": good, **_problems(*statuses)}


_MEANINGS = {
    400: "no JSON, or not whole",
    404: "not there",
    408: "the body came too slowly",
    409: "not with these settings",
    413: "the body is too large",
    422: "a value that cannot be; the message says which",
    503: "not now: Retry-After says when",
}


def _problems(*statuses: int) -> dict[str, Any]:
    content = {"application/json": {"schema": _of("Problem")}}
    return {
        str(status): {"description": _MEANINGS[status], "content": content} for status in statuses
    }


def _of(model: str) -> dict[str, str]:
    return {"$ref": _PLACE.format(model=model)}


def _body(content: dict[str, Any]) -> dict[str, Any]:
    return {"required": True, "content": content}


def _parameter(name: str, place: str, schema: Any, required: bool) -> dict[str, Any]:
    return {"name": name, "in": place, "required": required, "schema": schema}


def _query(model: type[BaseModel]) -> list[dict[str, Any]]:
    return [
        _parameter(name, "query", schema, False)
        for name, schema in model.model_json_schema()["properties"].items()
    ]
