"""AsyncAPI 3.0 documents, one per service, made from the table of contracts.

FastStream alone would miss lanes and buckets, which are subscribed per account. `python -m contracts.asyncapi DIR` writes
them all.
"""

import json
import sys
from pathlib import Path
from typing import Any

from contracts.base import Message, Value
from contracts.channels import Channel
from contracts.examples import example
from contracts.registry import CHANNEL, CONTRACTS, Contract

SERVICES = ("accounts", "campaigns", "channel-email", "channel-telegram", "channel-whatsapp")
_PLACEHOLDERS = {
    "channel": "A platform, such as email",
    "account_id": "The account's opaque id",
    "replica": "A process's id",
    "service": "The service that changed something",
    "key>": "One or more tokens",
}


def document(service: str) -> dict[str, Any]:
    """Return what *service* sends and receives; lanes, buckets and requests included."""
    role = CHANNEL if service.startswith("channel-") else service
    channels: dict[str, Any] = {}
    operations: dict[str, Any] = {}
    used: dict[str, type[Value]] = {}
    for contract in CONTRACTS:
        actions = [a for a, who in (("send", contract.senders), ("receive", contract.receivers)) if role in who]
        if not actions:
            continue
        key = _key(contract)
        channels[key] = _channel(contract, service)
        used |= {m.__name__: m for m in (contract.model, contract.reply) if m}
        for action in actions:
            operations[f"{action}.{key}"] = _operation(action, key, contract)
    return {
        "asyncapi": "3.0.0",
        "info": {"title": f"Kurir: {service}", "version": "0.1.0", "description": "Made from contracts/registry.py."},
        "defaultContentType": "application/json",
        "channels": channels,
        "operations": operations,
        "components": _components(used),
    }


def _key(contract: Contract) -> str:
    return contract.address.replace("$KV.", "kv.").replace("{", "").replace("}", "").replace(">", "")


def _channel(contract: Contract, service: str) -> dict[str, Any]:

    names = [n for n in _PLACEHOLDERS if f"{{{n}}}" in contract.address]
    parameters: dict[str, Any] = {n.rstrip(">"): {"description": _PLACEHOLDERS[n]} for n in names}
    if "channel" in parameters and service.startswith("channel-"):
        parameters["channel"]["enum"] = [c.value for c in Channel if c.service == service]
    return {
        "address": contract.address.replace("key>}", "key}"),
        "messages": {m.__name__: {"$ref": f"#/components/messages/{m.__name__}"} for m in _models(contract)},
        "parameters": parameters,
        "bindings": {"nats": {"bindingVersion": "0.1.0"}},
        "x-transport": contract.transport,
    }


def _models(contract: Contract) -> list[type[Value]]:
    return [contract.model] + ([contract.reply] if contract.reply else [])


def _operation(action: str, key: str, contract: Contract) -> dict[str, Any]:
    channel = f"#/channels/{key.replace('/', '~1')}"
    operation: dict[str, Any] = {
        "action": action,
        "channel": {"$ref": channel},
        "messages": [{"$ref": f"{channel}/messages/{contract.model.__name__}"}],
    }
    if contract.reply:
        operation["reply"] = {
            "messages": [{"$ref": f"{channel}/messages/{contract.reply.__name__}"}],
            "channel": {"$ref": channel},
        }
    return operation


def _components(used: dict[str, type[Value]]) -> dict[str, Any]:
    schemas: dict[str, Any] = {}
    messages: dict[str, Any] = {}
    for name, model in used.items():
        schema = model.model_json_schema(ref_template="#/components/schemas/{model}")
        schemas |= schema.pop("$defs", {})
        schemas[name] = schema
        messages[name] = {
            "name": model.ce_type() if issubclass(model, Message) else name,
            "summary": (model.__doc__ or "").splitlines()[0],
            "payload": {"$ref": f"#/components/schemas/{name}"},
            "examples": [{"payload": example(model)}],
        }
    return {"messages": messages, "schemas": schemas}


def main() -> None:
    """Write `<service>.asyncapi.json` of each service into the folder given."""
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    for service in SERVICES:
        text = json.dumps(document(service), indent=1) + "\n"
        (folder / f"{service}.asyncapi.json").write_text(text, "utf-8")


if __name__ == "__main__":
    main()
