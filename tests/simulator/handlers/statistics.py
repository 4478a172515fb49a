# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Round robin databases and their updates; the hosts are idle, every value is 0 (xen-api: ocaml/xapi/rrdd_proxy.ml, ocaml/xcp-rrdd)."""

from __future__ import annotations

import json
import typing as t
from xml.sax.saxutils import escape

from ..behaviours.host_information import DATA_SOURCES
from . import Exchange, Refused, Reply, handler

STEP = 5  # seconds
ARCHIVES = ((1, 120), (12, 120), (720, 168), (17280, 366))  # steps per row, rows
FUNCTIONS = ("AVERAGE", "MIN", "MAX")
_HOST = tuple(name for name, _text, _unit in DATA_SOURCES)
_GUEST = ("cpu0", "memory", "memory_internal_free")


def _whole(exchange: Exchange, names: t.Sequence[str]) -> Reply:
    now = int(exchange.world.clock.now())
    if "json" in exchange.query:
        sources = [{"name": n, "type": "GAUGE", "minimal_heartbeat": "300", "min": "0", "max": "Infinity", "last_ds": "0"} for n in names]
        archives = [{"cf": cf, "pdp_per_row": str(step), "database": []} for step, _rows in ARCHIVES for cf in FUNCTIONS]
        text = json.dumps({"version": "0003", "step": str(STEP), "lastupdate": str(now), "ds": sources, "rra": archives})
        return Reply(body=text.encode(), headers={"Content-Type": "application/json", "Access-Control-Allow-Origin": "*"})
    sources_xml = "".join(
        f"<ds><name>{escape(n)}</name><type>GAUGE</type><minimal_heartbeat>300</minimal_heartbeat><min>0.0</min><max>Infinity</max>"
        "<last_ds>0</last_ds><value>0</value><unknown_sec>0</unknown_sec></ds>"
        for n in names
    )
    row = f"<row>{'<v>0</v>' * len(names)}</row>"
    archives_xml = "".join(
        f"<rra><cf>{cf}</cf><pdp_per_row>{step}</pdp_per_row><params><xff>0.5</xff></params><database>{row * rows}</database></rra>"
        for step, rows in ARCHIVES
        for cf in FUNCTIONS
    )
    head = f'<?xml version="1.0" encoding="UTF-8"?>\n<rrd><version>0003</version><step>{STEP}</step><lastupdate>{now}</lastupdate>'
    return Reply(
        body=f"{head}{sources_xml}{archives_xml}</rrd>".encode(),
        headers={"Content-Type": "text/xml", "Access-Control-Allow-Origin": "*"},
    )


@handler("GET", "/host_rrd", "read-only")
@handler("GET", "/host_rrds", "read-only")
def host_rrd(exchange: Exchange) -> Reply:
    """Of the host that is asked."""
    return _whole(exchange, _HOST)


@handler("GET", "/vm_rrd", "read-only")
@handler("GET", "/vm_rrds", "read-only")
def vm_rrd(exchange: Exchange) -> Reply:
    """Of a running VM; 404 for any other, 302 to the host where it runs."""
    vm = exchange.db.get("VM", exchange.object("VM", "uuid", "ref"))
    if vm["power_state"] not in ("Running", "Paused") or not exchange.db.exists("host", vm["resident_on"]):
        raise Refused(404)
    if vm["resident_on"] != exchange.machine.host_ref:
        raise exchange.elsewhere(vm["resident_on"])
    return _whole(exchange, _GUEST)


@handler("GET", "/sr_rrd", "read-only")
def sr_rrd(exchange: Exchange) -> Reply:
    """Of an SR."""
    exchange.object("SR", "uuid", "ref")
    return _whole(exchange, ("physical_utilisation", "size"))


@handler("GET", "/rrd_updates", "read-only")
def rrd_updates(exchange: Exchange) -> Reply:
    """Values since ``start``, which must be given (400), from the finest archive that reaches back to it."""
    try:
        start = float(exchange.query["start"])
    except (KeyError, ValueError):
        raise Refused(400) from None
    now = exchange.world.clock.now()
    function = exchange.query.get("cf", "AVERAGE")
    legend = [f"{function}:{source}" for source in _sources(exchange)]
    steps, rows = next(((s, r) for s, r in ARCHIVES if start >= now - s * STEP * r), ARCHIVES[-1])
    step = steps * STEP
    end = int(now // step * step)
    times = [moment for i in range(rows) if (moment := end - i * step) > start]  # newest first
    if "json" in exchange.query or "application/json" in exchange.headers.get("Accept", ""):
        meta = {"start": times[-1] if times else end, "step": step, "end": end, "legend": legend}
        data = [{"t": moment, "values": ["0.0"] * len(legend)} for moment in times]
        return Reply(body=json.dumps({"meta": meta, "data": data}).encode(), headers={"Content-Type": "application/json"})
    return Reply(body=_xport(times, step, end, legend).encode(), headers={"Content-Type": "text/xml"})


def _sources(exchange: Exchange) -> list[str]:
    wanted, host = exchange.query.get("vm_uuid"), exchange.machine.host_record()
    out = [f"host:{host['uuid']}:{name}" for name in _HOST] if exchange.query.get("host") == "true" else []
    for ref in host["resident_VMs"]:
        uuid = exchange.db.get("VM", ref)["uuid"]
        if wanted in (None, "all", uuid):
            out += [f"vm:{uuid}:{name}" for name in _GUEST]
    return out


def _xport(times: list[int], step: int, end: int, legend: list[str]) -> str:
    entries = "".join(f"<entry>{escape(entry)}</entry>" for entry in legend)
    data = "".join(f"<row><t>{moment}</t>{'<v>0.0</v>' * len(legend)}</row>" for moment in times)
    start = times[-1] if times else end
    meta = f"<start>{start}</start><step>{step}</step><end>{end}</end><rows>{len(times)}</rows><columns>{len(legend)}</columns>"
    return f'<?xml version="1.0"?><xport><meta>{meta}<legend>{entries}</legend></meta><data>{data}</data></xport>'
