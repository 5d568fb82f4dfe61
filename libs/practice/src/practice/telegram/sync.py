"""The server's configuration, and how a client catches up (https://core.telegram.org/api/updates)."""

import time
from typing import Any

from telethon.tl import functions as f
from telethon.tl import types as t

from practice.telegram import views
from practice.telegram.calls import Call, RpcError, handles

_LIMITS = (  # noqa: SIM905 # twenty-one words
    "chat_size_max megagroup_size_max forwarded_count_max online_update_period_ms offline_blur_timeout_ms "
    "offline_idle_timeout_ms online_cloud_timeout_ms notify_cloud_delay_ms notify_default_delay_ms "
    "push_chat_period_ms push_chat_limit edit_time_limit revoke_time_limit revoke_pm_time_limit rating_e_decay "
    "stickers_recent_limit channels_read_media_period call_receive_timeout_ms call_ring_timeout_ms "
    "call_connect_timeout_ms call_packet_timeout_ms"
).split()


@handles(f.help.GetConfigRequest, public=True)
def get_config(call: Call, _request: Any) -> Any:
    """Say which DCs there are and where."""
    now, dcs = int(time.time()), call.connection.platform.dcs
    return t.Config(
        date=now,
        expires=now + 3600,
        test_mode=False,
        this_dc=call.connection.dc,
        dc_options=[t.DcOption(dc, "127.0.0.1", port) for dc, port in dcs.items()],
        dc_txt_domain_name="",
        me_url_prefix="https://t.me/",
        caption_length_max=1024,
        message_length_max=4096,
        webfile_dc_id=2,
        **dict.fromkeys(_LIMITS, 200),
    )


@handles(f.help.GetNearestDcRequest, public=True)
def get_nearest_dc(call: Call, _request: Any) -> Any:
    """Say which DC this is."""
    return t.NearestDc("ID", call.connection.dc, call.connection.dc)


@handles(f.account.UpdateStatusRequest)
def update_status(_call: Call, _request: Any) -> Any:
    """Note that somebody is online; nobody is told."""
    return True


@handles(f.updates.GetStateRequest)
def get_state(call: Call, _request: Any) -> Any:
    """Return the pts now."""
    return _state(call.me.box.pts)


@handles(f.updates.GetDifferenceRequest)
def get_difference(call: Call, request: Any) -> Any:
    """Return what happened since a pts, in slices where it is much."""
    box = call.me.box
    if request.pts < 1:
        raise RpcError("PERSISTENT_TIMESTAMP_EMPTY")
    if request.pts > box.pts:
        raise RpcError("PERSISTENT_TIMESTAMP_INVALID")
    if request.pts_total_limit and request.pts + request.pts_total_limit < box.pts:
        return t.updates.DifferenceTooLong(box.pts)
    events, complete = box.since(request.pts, call.connection.platform.settings.difference_limit)
    if not events:
        return t.updates.DifferenceEmpty(int(time.time()), 0)
    messages, others, users = views.difference(call.world, call.me, events)
    kind = t.updates.Difference if complete else t.updates.DifferenceSlice
    return kind(messages, [], others, [], users, _state(events[-1].pts))


def _state(pts: int) -> Any:
    return t.updates.State(pts, 0, int(time.time()), 0, 0)
