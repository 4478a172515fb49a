# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations


class ModuleDocFragment:
    # the connection; the same options as CONNECTION in module_utils/module.py
    DOCUMENTATION = r"""
options:
  hostname:
    description:
      - Address of the pool's coordinator, as C(host), C(host:port) or a URL. A member passes the task on to its coordinator.
      - If not set, the environment variable E(XEN_HOST) is used.
    type: str
  username:
    description:
      - The user to log in as.
      - If not set, the environment variable E(XEN_USER) is used.
    type: str
    default: root
  password:
    description:
      - The user's password.
      - If not set, the environment variable E(XEN_PASSWORD) is used.
    type: str
  validate_certs:
    description:
      - Whether the host's certificate is checked, by O(fingerprint) if given, else by O(ca_file) or the system's certificates.
      - If not set, the environment variable E(XEN_VALIDATE_CERTS) is used.
    type: bool
    default: true
  ca_file:
    description:
      - File of the certificates (PEM) that may sign the host's.
      - If not set, the environment variable E(XEN_CA_FILE) is used.
    type: path
  fingerprint:
    description:
      - SHA-256 fingerprints of the certificates to accept, one for each host that may be met.
      - With any given they replace the check by a CA.
      - Hosts sign their own certificates unless somebody installed others.
      - If not set, the environment variable E(XEN_FINGERPRINT) is used (comma-separated).
    type: list
    elements: str
  timeout:
    description: Seconds to wait for a connection and for each answer.
    type: float
    default: 60.0
  session:
    description:
      - A session opened by M(domzero.xen.xen_session), used instead of a login of this task's own and not ended by it.
    type: dict
    suboptions:
      url:
        description: Where the session was opened.
        type: str
        required: true
      ref:
        description: The session's reference. Whoever has it can do what its user can.
        type: str
        required: true
      validate_certs:
        description: As the option of that name.
        type: bool
        default: true
      ca_file:
        description: As the option of that name.
        type: path
      fingerprint:
        description: As the option of that name.
        type: list
        elements: str
requirements:
  - python >= 3.11
  - XenAPI (Python package)
attributes:
  check_mode:
    description: Can run in check mode and tells exactly what the real run would do.
    support: full
  diff_mode:
    description: Returns what differs between before and after, in the words of the options.
    support: full
  action_group:
    description: Use C(group/domzero.xen.xen) in C(module_defaults) to set the connection for all modules at once.
    support: full
    membership:
      - domzero.xen.xen
"""

    STATE = r"""
options:
  state:
    description: Whether the object is to be there.
    type: str
    choices: [present, absent]
    default: present
  uuid:
    description: Find the object by its uuid instead of by its name; the name is then what it is to be named.
    type: str
"""

    LISTING = r"""
options:
  name:
    description: Only objects of this name.
    type: str
  uuid:
    description: Only the object of this uuid.
    type: str
"""
