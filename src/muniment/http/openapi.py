"""The OpenAPI 3.1 document, made from the verb table and nothing else."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

import msgspec

from muniment.kernel.verb import Download, Verb
from muniment.wire.routes import reads, template

_REFUSALS: Final = {
    "401": "Nobody is known by the credential.",
    "403": "Policy said no; recorded.",
    "404": "No such object, or not visible to the asker.",
    "409": "The state moved on; read again, then retry.",
    "422": "The request contradicts itself, the schema or the data.",
    "500": "Stored bytes or history do not verify.",
    "503": "An engine did not answer; nothing changed; safe to retry.",
}


def document(verbs: Iterable[Verb], version: str) -> dict[str, Any]:
    """The OpenAPI document of all verbs that can be asked from outside."""
    public = [verb for verb in verbs if not verb.internal]
    types = list(
        dict.fromkeys(
            [verb.request for verb in public]
            + [verb.reply for verb in public if isinstance(verb.reply, type) and issubclass(verb.reply, msgspec.Struct)]
        )
    )
    schemas, components = msgspec.json.schema_components(types, ref_template="#/components/schemas/{name}")
    by_type = dict(zip(types, schemas, strict=True))
    paths: dict[str, Any] = {}
    for verb in public:
        path = template(verb.action, in_project=verb.on.in_project)
        paths.setdefault(path, {})["get" if reads(verb.action) else "post"] = _operation(verb, by_type, components)
    components["Error"] = {
        "type": "object",
        "required": ["code", "message", "facts"],
        "properties": {
            "code": {"type": "string", "description": "Stable code, documented in the reference of errors."},
            "message": {"type": "string"},
            "facts": {"type": "object"},
            "help": {"type": "string"},
        },
    }
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Muniment",
            "version": version,
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
            "description": "Every operation passes one gate: authenticate, authorise, act, record, commit.",
        },
        "security": [{"token": []}],
        "paths": dict(sorted(paths.items())),
        "components": {
            "schemas": dict(sorted(components.items())),
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
    }


def _operation(verb: Verb, schemas: dict[Any, Any], components: dict[str, Any]) -> dict[str, Any]:
    operation: dict[str, Any] = {
        "operationId": verb.action,
        "summary": verb.summary,
        "tags": [verb.room],
        "x-audit-event": verb.event,
        "x-resource": verb.on.name,
        "responses": {
            "200": {"description": "Done and recorded.", "content": _content(verb, schemas)},
            **{
                status: {
                    "description": text,
                    "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}},
                }
                for status, text in _REFUSALS.items()
            },
        },
    }
    parameters = []
    if verb.on.in_project:
        parameters.append({"name": "project", "in": "path", "required": True, "schema": {"type": "string"}})
    if verb.public:
        operation["security"] = []
    if reads(verb.action) or verb.takes_body:
        properties = components[schemas[verb.request]["$ref"].rsplit("/", 1)[-1]]
        required = properties.get("required", [])
        for name, schema in properties.get("properties", {}).items():
            if name != "project" or not verb.on.in_project:
                parameters.append({"name": name, "in": "query", "required": name in required, **_written(schema)})
    if verb.takes_body:
        body: dict[str, Any] = {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}}
        operation["requestBody"] = {"required": True, "content": body}
    elif not reads(verb.action):
        operation["requestBody"] = {
            "required": True,
            "content": {"application/json": {"schema": schemas[verb.request]}},
        }
    if parameters:
        operation["parameters"] = parameters
    return operation


def _written(schema: dict[str, Any]) -> dict[str, Any]:
    """How a query parameter is written: text and numbers as they are, lists and mappings as JSON (see wire.routes)."""
    kinds = {one.get("type") for one in schema.get("anyOf", [schema])}
    plain = kinds <= {"string", "integer", "number", "boolean", "null"}
    return {"schema": schema} if plain else {"content": {"application/json": {"schema": schema}}}


def _content(verb: Verb, schemas: dict[Any, Any]) -> dict[str, Any]:
    if verb.reply is Download:
        return {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}}
    return {"application/json": {"schema": schemas[verb.reply]}}
