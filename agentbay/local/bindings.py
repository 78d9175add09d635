"""The contexts of a session that runs: give it more, list them, and the one for single files."""

from __future__ import annotations

import json
from functools import partial

from ..protocol import bindings as actions
from ..protocol.bindings import ContextBinding, InternalContext
from ..protocol.contexts import PersistenceItem
from ..protocol.sync_policy import DownloadPolicy, ExtractPolicy, SyncPolicy, UploadPolicy
from ._dispatch import handles
from ._errors import EngineError
from ._storage.policies import check_bindings, check_paths
from ._threads import in_thread
from .contexts import begin_transfers
from .engine import Engine
from .session import LocalSession

_FILE_TRANSFER, _FILE_TRANSFER_PATH = "file_transfer", "/tmp/file-transfer"


@handles(actions.BindContexts)
async def bind(engine: Engine, call: actions.BindContexts) -> None:
    session = engine.session(call.session_id)
    session.life.check()
    items = call.persistence_data_list
    bound = len(session.contexts)
    check = partial(check_bindings, engine.store, [*session.contexts, *items], checked=bound)
    await in_thread(check)
    # Another request may have bound a path meanwhile.
    check_paths([*session.contexts, *items])
    session.transfers.bind(items)
    incoming = session.transfers.arrive(items)
    begin_transfers(engine, session, incoming, "download")


@handles(actions.ListBindings)
async def list_bindings(engine: Engine, call: actions.ListBindings) -> list[ContextBinding]:
    session = engine.session(call.session_id)
    return [await _binding(engine, session, item) for item in session.contexts]


@handles(actions.LoadInternalContexts)
async def load_internal_contexts(
    engine: Engine, call: actions.LoadInternalContexts
) -> list[InternalContext]:
    """The context through which single files go; it ends with its session."""
    session = engine.session(call.session_id)
    if _FILE_TRANSFER not in call.context_types:
        known = ", ".join(call.context_types)
        raise EngineError(
            "InvalidParameter", f"the local engine keeps {_FILE_TRANSFER} contexts, not {known}"
        )
    item = await _internal(engine, session)
    return [InternalContext(item.context_id, item.path, _FILE_TRANSFER)]


async def _binding(engine: Engine, session: LocalSession, item: PersistenceItem) -> ContextBinding:
    row = await in_thread(partial(engine.store.get_context, id=item.context_id))
    return ContextBinding(
        item.context_id,
        row.name if row is not None else "",
        item.path,
        json.dumps(item.policy.to_dict()) if item.policy else "",
        session.transfers.since(item),
    )


async def _internal(engine: Engine, session: LocalSession) -> PersistenceItem:
    name = f"file-transfer-{session.session_id}"
    row = await in_thread(partial(engine.store.create_context, name, internal=True))
    if session.transfers.internal is None:
        policy = SyncPolicy(
            upload_policy=UploadPolicy(auto_upload=False),
            download_policy=DownloadPolicy(auto_download=False),
            extract_policy=ExtractPolicy(extract=False),
        )
        session.transfers.internal = PersistenceItem(row.id, _FILE_TRANSFER_PATH, policy)
    return session.transfers.internal
