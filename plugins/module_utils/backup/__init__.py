# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The repository of backups: a plain folder that can be read without this software (docs/docsite/rst/guide_backup_format.rst).

ROOT/repository.json
ROOT/<pool name>_<pool uuid>/<kind>_<name>_<uuid>/<stamp>/manifest.json, and the files it names
"""
