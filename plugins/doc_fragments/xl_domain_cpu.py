# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations


class ModuleDocFragment:
    # processors, memory and time; the same as CPU in module_utils/xl/domain/table.py
    DOCUMENTATION = r"""
options:
  vcpus:
    description: Virtual CPUs that are online. Changed while it runs, up to O(maxvcpus).
    type: int
  maxvcpus:
    description: Virtual CPUs it can have.
    type: int
  cpus:
    description:
      - Host CPUs its virtual CPUs may run on, such as V(2-3,^3) or V(all); a list gives one entry to each virtual CPU.
        Changed while it runs.
    type: raw
  cpus_soft:
    description: The same for the CPUs they prefer.
    type: raw
  cpu_weight:
    description: Its share of CPU time (credit, credit2), 1 to 65535. xl takes 256. Changed while it runs.
    type: int
  cap:
    description: The most CPU time it gets, in percent of one CPU; 0 for no limit. Changed while it runs.
    type: int
  pool:
    description: CPU pool. Changed while it runs.
    type: str
  memory:
    description: Memory, in MiB or as a size with a unit, such as V(1 GiB). Changed while it runs, up to O(maxmem).
    type: str
  maxmem:
    description: The most memory it can have. Changed while it runs; a guest that was started with less may not be able to use more.
    type: str
  shadow_memory:
    description: Memory for its shadow page tables or HAP state.
    type: str
  vnuma:
    description: Virtual NUMA nodes; each a list such as V([pnode=0, size=512, vcpus=0-1, vdistances=10,20]).
    type: list
    elements: raw
  hap:
    description: Hardware assisted paging.
    type: bool
  oos:
    description: Out of sync page tables.
    type: bool
  nestedhvm:
    description: HVM, PVH. Let the guest be a hypervisor.
    type: bool
  cpuid:
    description:
      - >-
        What the CPUID instruction tells: a string V(host,tm=0) or a list of registers.
    type: raw
  pae:
    description: HVM. Physical address extensions.
    type: bool
  nx:
    description: HVM. The no-execute bit.
    type: bool
  mca_caps:
    description: HVM. Machine check capabilities; Xen knows V(lmce).
    type: list
    elements: str
  msr_relaxed:
    description: Handle unknown MSRs as Xen before 4.15 did.
    type: bool
  altp2m:
    description: Access to alternate views of memory.
    type: str
    choices: [disabled, mixed, external, limited]
  altp2mhvm:
    description: HVM. Deprecated, see O(altp2m).
    type: bool
  tsc_mode:
    description: How the time stamp counter is provided.
    type: str
    choices: ["default", always_emulate, native, native_paravirt]
  timer_mode:
    description: HVM, PVH. How virtual timers make up for missed ticks.
    type: str
    choices: [delay_for_missed_ticks, no_delay_for_missed_ticks, no_missed_ticks_pending, one_missed_tick_pending]
  localtime:
    description: The clock has local time instead of UTC.
    type: bool
  rtc_timeoffset:
    description: Seconds by which the clock is off.
    type: int
  vpt_align:
    description: HVM. Align periodic timers.
    type: bool
  hpet:
    description: HVM. High precision event timer.
    type: bool
  vmtrace_buf_kb:
    description: KiB of trace buffer of each virtual CPU.
    type: int
  vpmu:
    description: Arm. Access to the PMU registers.
    type: bool
"""
