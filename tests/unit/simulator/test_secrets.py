# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest

from ansible_collections.domzero.xen.tests.unit.simulator import storing
from ansible_collections.domzero.xen.tests.unit.simulator.storing import CIFS_ISO, SMB, Storing


@pytest.fixture
def pool() -> Storing:
    return storing.pool()


def configs(pool: Storing, sr: str) -> list[dict[str, str]]:
    return [pool.record("PBD", pbd)["device_config"] for pbd in pool.record("SR", sr)["PBDs"]]


def values(pool: Storing) -> list[str]:
    return [secret["value"] for secret in pool.db.all("secret").values()]


def test_a_secret_is_created_read_and_destroyed(pool: Storing) -> None:
    secret = pool("secret.create", {"value": "hush", "other_config": {"a": "b"}})
    uuid = pool("secret.get_uuid", secret)
    assert pool("secret.get_by_uuid", uuid) == secret
    assert (pool("secret.get_value", secret), pool("secret.get_other_config", secret)) == ("hush", {"a": "b"})
    pool("secret.set_value", secret, "louder")
    assert pool("secret.get_value", secret) == "louder"
    pool("secret.destroy", secret)
    assert pool.refused("secret.get_value", secret) == ["HANDLE_INVALID", "secret", secret]


def test_a_secret_needs_a_value(pool: Storing) -> None:
    assert pool.refused("secret.create", {}) == ["INTERNAL_ERROR", 'Server_helpers.Dispatcher_FieldNotFound("value")']


@pytest.mark.parametrize(("type_", "config", "key"), [("smb", SMB, "password"), ("iso", CIFS_ISO, "cifspassword")])
def test_no_pbd_shows_a_password_and_none_shares_its_secret(pool: Storing, type_: str, config: dict[str, str], key: str) -> None:
    found = configs(pool, pool.sr(type_, config))
    assert all(key not in one for one in found)
    uuids = [one[f"{key}_secret"] for one in found]
    assert len(set(uuids)) == 2
    assert [pool("secret.get_value", pool("secret.get_by_uuid", uuid)) for uuid in uuids] == [config[key]] * 2


def test_a_clients_own_secret_is_copied_and_stays_its_own(pool: Storing) -> None:
    secret = pool("secret.create", {"value": SMB["password"]})
    uuid = pool("secret.get_uuid", secret)
    given = {"server": SMB["server"], "username": SMB["username"], "password_secret": uuid}
    sr = pool.sr("smb", given)
    assert all(one["password_secret"] != uuid for one in configs(pool, sr))
    pool.detach(sr)
    pool("SR.forget", sr)
    assert pool("secret.get_value", secret) == SMB["password"]


@pytest.mark.parametrize("call", ["SR.forget", "SR.destroy"])
def test_the_secrets_of_an_sr_go_with_it(pool: Storing, call: str) -> None:
    before = values(pool)
    sr = pool.sr("smb", SMB)
    assert len(values(pool)) == len(before) + 2
    pool.detach(sr)
    pool(call, sr)
    assert values(pool) == before


def test_the_secret_of_a_pbd_goes_with_it(pool: Storing) -> None:
    before = values(pool)
    sr = pool("SR.introduce", "", "s", "", "smb", "user", True, {})
    pbd = pool("PBD.create", {"SR": sr, "host": pool.host, "device_config": SMB})
    pool("PBD.destroy", pbd)
    assert values(pool) == before


def test_an_unknown_secret_is_refused(pool: Storing) -> None:
    given = {"server": SMB["server"], "username": SMB["username"], "password_secret": "11111111-2222-3333-4444-555555555555"}
    assert pool.no_sr("smb", given) == ["UUID_INVALID", "secret", given["password_secret"]]


def test_a_probe_leaves_no_secret(pool: Storing) -> None:
    before = values(pool)
    pool("SR.probe", pool.host, SMB, "smb", {})
    assert values(pool) == before
