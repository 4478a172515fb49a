# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from ansible.plugins.loader import init_plugin_loader

# Before anything of the collection is imported: pytest-ansible installs Ansible's importer after the first conftest files were
# read, and what was imported past it cannot be imported from afterwards.
init_plugin_loader()
